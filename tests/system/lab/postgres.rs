//! Making a PostgreSQL cluster on a host, laid out as Debian does.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::User;

use super::cluster::Cluster;
use super::host::Host;
use super::template::template;

/// Debian's peer login for local users, and trust for everyone who comes over TCP.
const ACCESS: &str = "local all all peer\n\
    local replication all peer\n\
    host all all 127.0.0.1/32 trust\n\
    host all all ::1/128 trust\n\
    host all all 0.0.0.0/0 trust\n\
    host all all ::/0 trust\n\
    host replication all 0.0.0.0/0 trust\n\
    host replication all ::/0 trust\n";

/// A cluster that is to be made.
#[derive(Clone)]
pub struct Postgres {
    name: String,
    pub(super) binaries: PathBuf,
    pub(super) port: u16,
    pub(super) socket_dir: PathBuf,
    settings: Vec<(String, String)>,
    access: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Postgres {
    /// Debian's `15/main` on port 5432 of every address.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Postgres {
        Postgres {
            name: "main".to_owned(),
            binaries: "/usr/lib/postgresql/15/bin".into(),
            port: 5432,
            socket_dir: "/var/run/postgresql".into(),
            settings: Vec::new(),
            access: ACCESS.to_owned(),
            files: Vec::new(),
        }
    }

    /// The cluster's name, which a second one on the same host needs.
    pub fn name(mut self, name: &str) -> Postgres {
        self.name = name.to_owned();
        self
    }

    /// Where `postgres` and `initdb` are; the user postgres must be able to read it.
    pub fn binaries(mut self, directory: impl Into<PathBuf>) -> Postgres {
        self.binaries = directory.into();
        self
    }

    /// The TCP port.
    pub fn port(mut self, port: u16) -> Postgres {
        self.port = port;
        self
    }

    /// The addresses to listen on, as in `listen_addresses`.
    pub fn listen(self, addresses: &str) -> Postgres {
        self.setting("listen_addresses", addresses)
    }

    /// Another directory for the Unix socket, made if it is missing. A second cluster on
    /// the same port needs one.
    pub fn socket_dir(mut self, directory: impl Into<PathBuf>) -> Postgres {
        self.socket_dir = directory.into();
        self
    }

    /// A setting of postgresql.conf; the last one of a name holds.
    pub fn setting(mut self, name: &str, value: impl ToString) -> Postgres {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// What stands in pg_hba.conf instead.
    pub fn access(mut self, lines: &str) -> Postgres {
        self.access = lines.to_owned();
        self
    }

    /// A file in the data directory, such as a key, readable by postgres alone.
    pub fn file(mut self, name: &str, contents: impl Into<Vec<u8>>) -> Postgres {
        self.files.push((name.to_owned(), contents.into()));
        self
    }

    fn configuration(&self) -> String {
        let fixed = [
            ("port", self.port.to_string()),
            ("unix_socket_directories", self.socket_dir.display().to_string()),
            ("listen_addresses", "*".to_owned()),
            ("fsync", "off".to_owned()),
            ("shared_buffers", "16MB".to_owned()),
            ("max_wal_senders", "10".to_owned()),
            ("wal_level", "replica".to_owned()),
            ("log_line_prefix", "%m [%p] %q%u@%d %r ".to_owned()),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value));
        fixed
            .iter()
            .chain(&self.settings)
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect()
    }
}

impl Host {
    /// Makes a cluster here and starts it.
    pub fn start_postgres(&self, postgres: Postgres) -> Cluster {
        let cluster = self.make_postgres(postgres);
        cluster.start();
        cluster
    }

    /// Makes a cluster here and leaves it stopped.
    pub fn make_postgres(&self, postgres: Postgres) -> Cluster {
        let program = postgres.binaries.join("postgres");
        assert!(
            self.inside(|| program.exists()),
            "no PostgreSQL: {} is missing",
            program.display()
        );
        let version = self.run([&*program.to_string_lossy(), "--version"]);
        let version = version.assert_status(0).stdout.trim().to_owned();
        let template = template(self, &postgres.binaries, &version);
        let major = version
            .split_whitespace()
            .nth(2)
            .and_then(|number| number.split(['.', 'b', 'r']).next()?.parse().ok());
        let major = major.unwrap_or_else(|| panic!("a version: {version}"));
        let parent = PathBuf::from(format!("/var/lib/postgresql/{major}"));
        let data = parent.join(&postgres.name);
        self.inside(|| {
            own_directory(Path::new("/var/lib/postgresql"));
            own_directory(&parent);
            own_directory(&postgres.socket_dir);
        });
        let (from, to) = (template.to_string_lossy(), data.to_string_lossy());
        self.run(["cp", "-a", "--", &from, &to]).assert_status(0);
        self.inside(|| {
            let configuration = data.join("postgresql.conf");
            let mut text = fs::read_to_string(&configuration).expect("postgresql.conf");
            text += &postgres.configuration();
            own_file(&configuration, text.as_bytes());
            own_file(&data.join("pg_hba.conf"), postgres.access.as_bytes());
            for (name, contents) in &postgres.files {
                own_file(&data.join(name), contents);
            }
        });
        Cluster { host: self.clone(), postgres, data, major }
    }
}

/// Makes a directory of the user postgres, if it is missing.
fn own_directory(path: &Path) {
    if !path.exists() {
        fs::DirBuilder::new()
            .mode(0o755)
            .create(path)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    give(path);
}

/// Writes a file that belongs to the user postgres alone.
fn own_file(path: &Path, contents: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, contents).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
    give(path);
}

fn give(path: &Path) {
    let user = User::from_name("postgres").expect("the user database");
    let user = user.expect("this machine has no user postgres");
    chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("chown");
}
