//! How many files and sockets the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files as far as the system lets us, and returns it; `None` means that
/// there is none.
///
/// Shells and service managers set a soft limit of 1024 for the sake of old programs, far below the
/// connections that are configured. Failing changes nothing: the accept loop can do with too few.
pub fn raise_open_files() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let before = limit.current;
        limit.current = limit.maximum;
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit.current = before;
        }
    }
    limit.current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_only_grows() {
        let before = getrlimit(Resource::Nofile).current;
        let after = raise_open_files();
        assert!(after.unwrap_or(u64::MAX) >= before.unwrap_or(u64::MAX));
        assert_eq!(raise_open_files(), after);
    }
}
