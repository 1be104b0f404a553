//! The bus within one process has all properties of a bus.

use windlass_bus::{Limits, MemoryBus, conformance::Fixture};

windlass_bus::conformance_tests!(async || {
    let (capacity, backlog) = (50, 16);
    let bus = MemoryBus::with_limits(Limits { queue: capacity, backlog });
    ((), Fixture::new(bus, capacity, backlog))
});
