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
pub struct Wanted<'a> {
    pub host: IpAddr,
    pub port: u16,
    pub database: &'a str,
    pub role: &'a str,
}

/// The password of the first line `host:port:database:role:password` that matches. In it `*`
/// matches anything, and `\:` and `\\` stand for `:` and `\`. Lines with `#` are comments. A
/// loopback address is also called `localhost` (PostgreSQL's manual, "The Password File").
///
/// The file is opened once. Root must trust it (see `Trust`), and nobody else may read it. The
/// error is the end of a sentence.
pub fn password(path: &Path, wanted: Wanted<'_>) -> Result<Vec<u8>, String> {
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
