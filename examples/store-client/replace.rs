//! Writes files at one stroke.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// What follows a file's name in the name of what is to take its place, before some letters of chance.
const NEW: &[u8] = b".new-";

/// For how long what is to take a file's place is written at most. Who has left it for longer has been killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Replaces a file at one stroke, so that nobody reads half of it, also where several do so at once. A new one has this mode, less
/// the umask. What is there and no file, such as a terminal or a pipe, is written to and stays. What others have left who were
/// killed amid this is removed.
pub fn replace(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return fs::write(file, bytes);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default();
    let prefix = [b".", name.as_bytes(), NEW].concat();
    // Errors of a file that is made otherwise name that file, of which nobody has heard.
    let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut new = tempfile::Builder::new().prefix(OsStr::from_bytes(&prefix)).make_in(folder, create)?;
    new.as_file_mut().write_all(bytes)?;
    new.persist(file)?;
    let begins = |entry: &DirEntry| entry.file_name().as_bytes().starts_with(&prefix);
    // The folder may be one that cannot be read.
    for left in fs::read_dir(folder).into_iter().flatten().flatten().filter(begins).filter(is_left) {
        // Another may have removed it.
        let _gone = fs::remove_file(left.path());
    }
    Ok(())
}

/// Whether it was written to so long ago that nobody does any more.
fn is_left(entry: &DirEntry) -> bool {
    let written = entry.metadata().and_then(|found| found.modified()).ok();
    written.and_then(|written| written.elapsed().ok()).is_some_and(|age| age > PATIENCE)
}
