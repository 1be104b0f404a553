//! The names under which attempts are claimed in the store: who holds what exists on one host, or in one cluster, and nowhere else.

/// Holds attempts that are never to be created.
pub const NOBODY: &str = "-";

/// What the holder that is a cluster has where others have a directory, whose names are hexadecimal.
const CLUSTER: &str = "cluster";

/// The holder that a host's directory of attempts is: the host's name, and what tells the directory from others.
pub fn of_directory(host: &str, directory: &str) -> String {
    format!("{host}.{directory}")
}

/// The holder that a cluster is, for all its launchers.
pub fn of_cluster(cluster: &str) -> String {
    format!("{cluster}.{CLUSTER}")
}

/// Whether a holder is a cluster: its attempts are on no host.
pub fn is_cluster(holder: &str) -> bool {
    holder.rsplit_once('.').is_some_and(|(_, what)| what == CLUSTER)
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
            assert!(is_cluster(&of_cluster(name)) && !is_cluster(&of_directory(name, "0a1b2c3d")));
        }
        assert_eq!(host(NOBODY), None);
    }
}
