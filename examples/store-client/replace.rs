//! Writes files at one stroke.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Replaces a file at one stroke, so that nobody reads half of it, also where several do so at once. A new one has this mode, less
/// the umask. What is there and no file, such as a terminal or a pipe, is written to and stays.
pub fn replace(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return fs::write(file, bytes);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Errors of a file that is made otherwise name that file, of which nobody has heard.
    let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut new = tempfile::Builder::new().make_in(folder, create)?;
    new.as_file_mut().write_all(bytes)?;
    new.persist(file)?;
    Ok(())
}
