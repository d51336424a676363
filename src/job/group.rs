//! Who is left in a process group.

use std::fs;

/// Whether a process group has a member that has not ended.
pub fn has_living(group: i32) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return false;
    };
    entries.flatten().any(|entry| {
        let is_process = entry.file_name().to_str().is_some_and(is_number);
        is_process && {
            let stat = fs::read_to_string(entry.path().join("stat"));
            stat.is_ok_and(|stat| is_living_member(&stat, group))
        }
    })
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads `/proc/PID/stat`: behind the name, which may hold anything, stand the state, the
/// parent and the process group (proc_pid_stat(5)).
fn is_living_member(stat: &str, group: i32) -> bool {
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut fields = rest.split(' ');
    let is_alive = !matches!(fields.next(), Some("Z" | "X") | None);
    is_alive && fields.nth(1).and_then(|field| field.parse().ok()) == Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_alive_and_of_the_group() {
        assert!(is_living_member("9 (a) b) S 1 77 77 0", 77));
        assert!(!is_living_member("9 (a) Z 1 77 77 0", 77));
        assert!(!is_living_member("9 (a) S 77 1 77 0", 77));
        let own = rustix::process::getpgrp().as_raw_nonzero().get();
        assert!(has_living(own));
    }
}
