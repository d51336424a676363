//! `pgcordon man`: the manual, a page for pgcordon and one for each of its commands.

mod pages;
mod text;

use super::CommandError;
use crate::cli::Man;
use std::path::Path;

/// Writes the pages into a directory, which is made if it is missing; says which.
pub fn run(args: &Man) -> Result<String, CommandError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::Write { path, source }
    };
    std::fs::create_dir_all(&args.directory).map_err(failed(&args.directory))?;
    let mut written = Vec::new();
    for page in pages::all() {
        let path = args.directory.join(&page.file_name);
        std::fs::write(&path, page.roff).map_err(failed(&path))?;
        written.push(path.display().to_string());
    }
    Ok(written.join("\n"))
}
