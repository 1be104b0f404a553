//! The names under which attempts are claimed in the store: who holds what exists on one host, or in one cluster, and nowhere else.

/// Holds attempts that are never to be created.
pub const NOBODY: &str = "-";

/// The holder that a host's directory of attempts is: the host's name, and what tells the directory from others.
pub fn of_directory(host: &str, directory: &str) -> String {
    format!("{host}.{directory}")
}

/// The holder that a cluster is, for all its launchers.
pub fn of_cluster(cluster: &str) -> String {
    format!("{cluster}.cluster")
}

/// The host on which a holder's attempts are; none for [`NOBODY`].
pub fn host(holder: &str) -> Option<&str> {
    holder.rsplit_once('.').map(|(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_tells_its_host_whatever_that_is_called() {
        for name in ["node-7", "node-7.rack.example", "a"] {
            assert_eq!(host(&of_directory(name, "0a1b2c3d")), Some(name));
        }
        assert_eq!(host(NOBODY), None);
    }
}
