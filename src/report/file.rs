//! A report in a file: there as a whole or not at all, and only for root to read, since it
//! names clients and their queries.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that a report will be written to.
#[derive(Debug)]
pub struct ReportFile {
    path: PathBuf,
    to: Target,
}

#[derive(Debug)]
enum Target {
    /// Takes the path's place when it is complete; vanishes if it never is.
    Beside(NamedTempFile),
    /// A pipe or a device.
    Stream(File),
}

impl ReportFile {
    /// Prepares to write, so that a path which cannot be written is known in time.
    pub fn open(path: &Path) -> io::Result<Self> {
        let to = match path.symlink_metadata() {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => Target::Stream(stream(path)?),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {
                let folder = match path.parent() {
                    Some(folder) if !folder.as_os_str().is_empty() => folder,
                    _ => Path::new("."),
                };
                if path.file_name().is_none() {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                let file = tempfile::Builder::new().prefix(".pgcordon-").tempfile_in(folder)?;
                Target::Beside(file)
            }
        };
        let path = path.to_owned();
        Ok(Self { path, to })
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it.
    pub fn write(self, text: &str) -> io::Result<()> {
        let line = format!("{text}\n");
        match self.to {
            Target::Beside(mut file) => {
                file.write_all(line.as_bytes())?;
                file.persist(&self.path)?;
                Ok(())
            }
            Target::Stream(mut file) => file.write_all(line.as_bytes()),
        }
    }
}

/// Opens a pipe or a device, also through a link such as /dev/fd/63; a pipe that nobody
/// reads is refused instead of waited for.
fn stream(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)?;
    if file.metadata()?.is_file() {
        let why = "it is a link to a file; name the file itself";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let flags = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::NONBLOCK)?;
    Ok(file)
}
