//! The bus within one process has all properties of a bus.

use windlass_bus::{Limits, MemoryBus, conformance::Fixture};

windlass_bus::conformance_tests!(async || {
    let limits = Limits { queue: 50, dead_letters: 20, backlog: 16 };
    ((), Fixture::new(MemoryBus::with_limits(limits), limits))
});
