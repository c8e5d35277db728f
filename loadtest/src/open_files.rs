//! The limit on open files: every connection is one.

use crate::usage::UsageError;

/// Files that are open besides the connections: the loop's own, the terminal, the JSON file.
#[cfg(unix)]
const SPARE: u64 = 64;

/// Makes room for `connections` that take `sockets_each` sockets of this process, raising the
/// soft limit when it is too low.
#[cfg(unix)]
pub(crate) fn make_room(connections: u64, sockets_each: u64) -> Result<(), UsageError> {
    let needed = connections * sockets_each + SPARE;
    let Ok((soft, hard)) = rlimit::Resource::NOFILE.get() else {
        // A system without such a limit: connections fail one by one, and are counted.
        return Ok(());
    };
    if needed <= soft {
        return Ok(());
    }
    // Past the hard limit only a privileged process gets; asking costs nothing.
    let raised = rlimit::Resource::NOFILE.set(needed, hard.max(needed));
    raised.map_err(|_| too_low(connections, sockets_each, hard))
}

/// Without such a limit connections fail one by one, and are counted.
#[cfg(not(unix))]
pub(crate) fn make_room(_connections: u64, _sockets_each: u64) -> Result<(), UsageError> {
    Ok(())
}

#[cfg(unix)]
fn too_low(connections: u64, sockets_each: u64, hard: u64) -> UsageError {
    let needed = connections * sockets_each + SPARE;
    let possible = hard.saturating_sub(SPARE) / sockets_each;
    UsageError::new(
        format!("--connections {connections}"),
        format!(
            "needs {needed} open files, and the hard limit of this process (RLIMIT_NOFILE) is \
             {hard}"
        ),
        format!(
            "Ask for at most {possible} connections, or raise the limit first: \
             `ulimit -n {needed}` as root, or `nofile` in /etc/security/limits.conf."
        ),
    )
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn room_that_is_there_is_not_asked_for() {
        let before = rlimit::Resource::NOFILE.get().expect("limit");
        make_room(1, 1).expect("room for one");
        assert_eq!(rlimit::Resource::NOFILE.get().expect("limit"), before);
    }

    #[test]
    fn the_error_names_limit_need_and_remedy() {
        let text = too_low(20_000, 2, 1_024).to_string();
        let parts = [
            "--connections 20000",
            "RLIMIT_NOFILE",
            "1024",
            "at most 480",
            "ulimit -n 40064",
        ];
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
