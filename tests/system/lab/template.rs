//! The data directory that every cluster begins with: made once, copied for each.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::host::Host;

/// To be raised when the way the template is made changes.
const FORM: u32 = 1;

/// The template for this version of PostgreSQL, made now if it is not there. Two test
/// processes at once make one of it: the first under a lock, the other waits.
pub fn template(host: &Host, binaries: &Path, version: &str) -> PathBuf {
    let shelf = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(shelf).expect("the target's tmp");
    let words: Vec<_> = version
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let name = format!("{}-form-{FORM}", words.join("-"));
    let ready = shelf.join(format!("data-{name}"));
    if ready.exists() {
        return ready;
    }
    let lock = File::create(shelf.join(format!("data-{name}.lock"))).expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("flock");
    if !ready.exists() {
        // initdb runs as postgres, who may not be able to enter the target directory.
        let initdb = binaries.join("initdb").to_string_lossy().into_owned();
        let script = r#"
            ready=$1 initdb=$2
            rm -rf "$ready.part"
            install -d -o postgres -g postgres /var/lib/postgresql/template
            setpriv --reuid=postgres --regid=postgres --init-groups "$initdb" \
                -D /var/lib/postgresql/template -U postgres -A trust -E UTF8 \
                --locale=C.UTF-8 --no-sync --wal-segsize=1
            cp -a /var/lib/postgresql/template "$ready.part"
            rm -rf /var/lib/postgresql/template
            mv -T "$ready.part" "$ready"
        "#;
        host.run(["bash", "-euc", script, "template", &ready.to_string_lossy(), &initdb])
            .assert_status(0);
    }
    ready
}
