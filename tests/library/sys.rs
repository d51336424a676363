//! What is read of this machine's processes and users, and the ids of a thread.

use caps::Capability;
use pgcordon::testing::sys::{
    EffectiveIds, Stat, Status, has_ended, missing, pidfd, pids, printable, sockets, user_name,
};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;

#[test]
fn names_with_parentheses_and_blanks_do_not_shift_the_fields() {
    for (text, name, parent, group) in [
        ("1 (systemd) S 0 1 1 0 -1", "systemd", 0, 1),
        ("7 ((sd-pam)) S 6 7 7 0", "(sd-pam)", 6, 7),
        ("8 (a) S 1 (b) R 2 8 8 0", "a) S 1 (b", 2, 8),
        ("9 (post gres) Z 4711 9 9 34816", "post gres", 4711, 9),
    ] {
        let stat = Stat::parse(text.as_bytes()).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent, stat.group), (name, parent, group));
    }
    assert!(Stat::parse(b"9 (x) Z 1 9 9 0").unwrap().is_dead());
    for odd in ["", "7", "7 (x", "7 (x)", "7 (x) S", "7 (x) S 1 7", ") 7 ("] {
        assert!(Stat::parse(odd.as_bytes()).is_err(), "{odd}");
    }
}

#[test]
fn links_of_descriptors_tell_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("socket:[4711]")).unwrap();
    let (pipe, _) = nix::unistd::pipe().unwrap();
    let (socket, _) = UnixStream::pair().unwrap();
    let held = sockets(std::process::id() as i32).unwrap().unwrap();
    let inode = |descriptor: &dyn AsRawFd| {
        let is_it = |(held, _): &&(i32, u32)| *held == descriptor.as_raw_fd();
        held.iter().find(is_it).map(|(_, inode)| u64::from(*inode))
    };
    assert_eq!(inode(&socket), Some(rustix::fs::fstat(&socket).unwrap().st_ino));
    assert_eq!((inode(&file), inode(&pipe)), (None, None));
}

#[test]
fn a_status_is_found_by_key() {
    let text = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t900\t17\nSigIgn:\t0000000000000006\n";
    let status = Status(text.to_owned());
    assert_eq!(status.effective_ids().unwrap(), (2, 6));
    assert_eq!(status.innermost_pid(), Some(17));
    assert_eq!(status.ignored_signals(), Some(6));
    let empty = Status(String::new());
    assert!(empty.effective_ids().is_err());
    assert_eq!((empty.innermost_pid(), empty.ignored_signals()), (None, None));
}

#[test]
fn this_process_is_there_and_the_highest_pid_is_not() {
    let own = std::process::id() as i32;
    // Not the state: the first thread runs or sleeps from one moment to the next.
    let facts = |stat: Stat| (stat.name, stat.parent, stat.group, stat.terminal);
    let by_pid = Stat::read(own).unwrap().map(facts);
    assert_eq!(by_pid, Stat::read("self").unwrap().map(facts));
    assert!(!has_ended(pidfd(own).unwrap().unwrap()).unwrap());
    assert!(pids().unwrap().contains(&own));
    assert_eq!(Stat::read(i32::MAX).unwrap(), None);
    assert!(pidfd(i32::MAX).unwrap().is_none());
    assert_eq!(sockets(i32::MAX).unwrap(), None);
}

#[test]
fn root_has_a_name_and_an_unknown_uid_has_none() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let name = |uid| runtime.block_on(user_name(uid)).unwrap();
    assert_eq!(name(0).as_deref(), Some("root"));
    assert_eq!(name(3_999_999_999), None);
}

#[test]
fn the_ids_change_for_this_thread_alone_and_come_back() {
    let ids = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let keys = ["Uid:", "Gid:", "Groups:", "CapEff:"];
        let is_id = |line: &&str| keys.iter().any(|key| line.starts_with(key));
        let ids: Vec<_> = status.lines().filter(is_id).map(str::to_owned).collect();
        ids
    };
    let before = ids();
    let guard = EffectiveIds::switch(65534, 65534).expect("switch");
    let within = ids();
    let elsewhere = thread::spawn(rustix::process::getuid).join().unwrap();
    assert!(within[0].contains("0\t65534\t0\t65534"), "{within:?}");
    assert_eq!(within[2].trim_end(), "Groups:\t65534");
    assert_eq!(missing(&[Capability::CAP_NET_ADMIN]).len(), 1);
    drop(guard);
    assert_eq!(before, ids());
    assert!(elsewhere.is_root());
    assert!(missing(&[Capability::CAP_NET_ADMIN]).is_empty());
}

#[test]
fn a_switch_to_the_own_uid_changes_nothing() {
    let own = rustix::process::geteuid().as_raw();
    let groups = rustix::process::getgroups().expect("groups");
    let _guard = EffectiveIds::switch(own, 65534).expect("switch");
    assert_eq!(groups, rustix::process::getgroups().expect("groups"));
    // For the kernel, the highest number is no user.
    assert!(EffectiveIds::switch(u32::MAX, 0).is_err());
}

#[test]
fn control_and_bidirectional_characters_are_shown_not_obeyed() {
    assert_eq!(printable("a\x1b[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
    assert_eq!(printable("größer, 你好"), "größer, 你好");
}
