//! The command of `run`.

use pgcordon::testing::job::{End, FindError, find};
use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[test]
fn a_signal_is_128_and_its_number() {
    assert_eq!(End::Status(3).status(), 3);
    assert_eq!(End::Signal(15).status(), 143);
    assert_eq!(End::Signal(64).status(), 192);
}

fn file(folder: &Path, name: &str, mode: u32) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(&path, "#!/bin/true\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_command_is_found_as_execvp_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let dull = file(&one, "both", 0o644);
    let right = file(&two, "both", 0o755);
    let plain = file(&two, "plain", 0o644);
    let search = env::join_paths([&one, &two]).unwrap();
    let find = |name: &OsStr| find(name, Some(search.clone()));

    assert_eq!(find("both".as_ref()).unwrap(), right);
    for (name, path) in [("plain".as_ref(), &plain), (dull.as_os_str(), &dull)] {
        match find(name) {
            Err(FindError::NotExecutable { path: named, .. }) => assert_eq!(&named, path),
            other => panic!("{other:?}"),
        }
    }
    for missing in ["none", "", "/none/at/all"] {
        assert!(matches!(find(missing.as_ref()), Err(FindError::NotFound(_))));
    }
    assert!(matches!(find(one.as_os_str()), Err(FindError::NotExecutable { .. })));
}
