//! Reads the password for `--pg-host` from a file in the format of `.pgpass`.

use crate::sys::trusted::{self, Trust};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Longer files are no password files.
const MAX_BYTES: u64 = 64 << 10;

/// What a line of the file must match.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) host: IpAddr,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) role: &'a str,
}

/// The password of the first line `host:port:database:role:password` that matches. In it `*`
/// matches anything, and `\:` and `\\` stand for `:` and `\`. Lines with `#` are comments. A
/// loopback address is also called `localhost` (PostgreSQL's manual, "The Password File").
///
/// The file is opened once. Root must trust it (see [`Trust`]), and nobody else may read it. The
/// error is the end of a sentence.
pub(super) fn password(path: &Path, wanted: Wanted<'_>) -> Result<Vec<u8>, String> {
    let file = trusted::open(path, Trust::RootOnly).map_err(|error| error.to_string())?;
    let mode = file.metadata().map_err(|error| error.to_string())?.mode();
    if mode & 0o077 != 0 {
        return Err(format!("its mode is {:04o}, not 0600", mode & 0o7777));
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(|error| error.to_string())?;
    text.split(|byte| *byte == b'\n').find_map(|line| match_line(line, wanted)).ok_or_else(|| {
        let Wanted { host, port, database, role } = wanted;
        format!("no line matches {host}:{port}:{database}:{role}")
    })
}

fn match_line(line: &[u8], wanted: Wanted<'_>) -> Option<Vec<u8>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.starts_with(b"#") {
        return None;
    }
    let [host, port, database, role, password] = fields(line)?;
    let is = |(raw, text): &(bool, Vec<u8>), value: &str| *raw || text == value.as_bytes();
    let host_is = is(&host, &wanted.host.to_string())
        || (wanted.host.is_loopback() && is(&host, "localhost"));
    let matches = host_is
        && is(&port, &wanted.port.to_string())
        && is(&database, wanted.database)
        && is(&role, wanted.role);
    matches.then_some(password.1)
}

/// The five unescaped fields, each with whether it is a bare `*`. As in libpq, the password ends
/// at the next colon.
fn fields(line: &[u8]) -> Option<[(bool, Vec<u8>); 5]> {
    let mut fields = vec![(false, Vec::new())];
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        let field = fields.last_mut()?;
        match byte {
            b'\\' => field.1.extend(bytes.next()),
            b':' => fields.push((false, Vec::new())),
            b'*' if field.1.is_empty() => *field = (true, vec![b'*']),
            _ => {
                field.0 = false;
                field.1.push(byte);
            }
        }
    }
    fields.truncate(5);
    fields.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const WANTED: Wanted<'_> = Wanted {
        host: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        port: 5432,
        database: "postgres",
        role: "cordon",
    };

    fn matched(line: &str) -> Option<String> {
        match_line(line.as_bytes(), WANTED).map(|it| String::from_utf8(it).unwrap())
    }

    #[test]
    fn a_line_matches_by_its_first_four_fields() {
        for (line, password) in [
            ("127.0.0.1:5432:postgres:cordon:pw", Some("pw")),
            ("localhost:*:*:cordon:p w#\r", Some("p w#")),
            ("*:*:*:*:*", Some("*")),
            ("127.0.0.2:5432:postgres:cordon:pw", None),
            ("*:5433:*:*:pw", None),
            ("*:*:*:cordon2:pw", None),
            ("*:*:*:*x:pw", None),
            ("#*:*:*:*:pw", None),
            ("*:*:*:*", None),
            ("", None),
        ] {
            assert_eq!(matched(line).as_deref(), password, "{line}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(matched("*:*:*:*:a\\:b\\\\c").as_deref(), Some("a:b\\c"));
        assert_eq!(matched("*:*:*:\\*:pw"), None);
        assert_eq!(matched("*:*:*:*:pw\\").as_deref(), Some("pw"));
    }

    #[test]
    fn only_a_file_that_is_roots_alone_is_used() {
        // Where only root may write, unlike /tmp.
        let folder = tempfile::tempdir_in("/run").unwrap();
        let path = folder.path().join("pass");
        fs::write(&path, "# mine\n*:*:*:*:pw\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&path, WANTED).unwrap(), b"pw");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(password(&path, WANTED).unwrap_err().contains("0640"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(password(&path, WANTED).unwrap_err().contains("not to root"));
        assert!(password(folder.path(), WANTED).unwrap_err().contains("regular"));
    }
}
