//! The store in Redis and Valkey: all properties of a store, on each of them; and what befalls servers.

mod cluster;
mod damage;
mod fixture;
mod limits;
mod opening;
mod results;
mod sentinel;
mod trouble;

mod conformance {
    mod valkey {
        use windlass_servers::Program;

        use crate::fixture::{config, open, shared};

        windlass_store::conformance_tests!(async || {
            ((), open(&config(shared(Program::Valkey).await)).await)
        });
    }

    mod redis {
        use windlass_servers::Program;

        use crate::fixture::{config, open, shared};

        windlass_store::conformance_tests!(async || {
            ((), open(&config(shared(Program::Redis).await)).await)
        });
    }

    /// The rights that the documentation names are enough for all that a store does.
    mod limited {
        use windlass_servers::Program;

        use crate::fixture::{as_limited_user, config, documented_rights, open, shared};

        windlass_store::conformance_tests!(async || {
            let server = shared(Program::Valkey).await;
            let config = as_limited_user(server, config(server), &documented_rights()).await;
            ((), open(&config).await)
        });
    }

    mod cluster {
        use crate::fixture::{cluster_config, open, shared_cluster};

        windlass_store::conformance_tests!(async || {
            ((), open(&cluster_config(shared_cluster().await)).await)
        });
    }
}
