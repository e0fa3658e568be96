//! Writes files at one stroke.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

/// The mode of a file that is to be as the umask has it, or as the one was that it replaces. Any other is that of the file whatever
/// the umask is.
pub const ORDINARY: u32 = 0o666;

/// What follows a file's name in the name of what is to take its place, before some letters of chance.
const NEW: &[u8] = b".new-";

/// For how long what is to take a file's place is written at most. Who has left it for longer has been killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes all of these bytes to a file, which is replaced, or to the standard output if its name is `-`, whose reader may have seen
/// enough. The error is one line.
pub fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    if file == Path::new("-") {
        return match output::put(bytes) {
            Err(error) if !output::is_unread(&error) => Err(error.to_string()),
            _ => Ok(()),
        };
    }
    replace(file, bytes, mode).map_err(named(file))
}

/// Makes files, none of which may be there: all of them, or where one cannot be made none.
pub fn create(files: &[(PathBuf, Vec<u8>)]) -> Result<(), String> {
    let begun = files.iter().map(|(file, bytes)| beside(file, bytes, ORDINARY, None).map_err(named(file)));
    for (n, new) in begun.collect::<Result<Vec<_>, _>>()?.into_iter().enumerate() {
        let (file, _) = &files[n];
        if let Err(error) = new.persist_noclobber(file) {
            files[..n].iter().for_each(|(made, _)| drop(fs::remove_file(made)));
            return Err(named(file)(error.error));
        }
    }
    Ok(())
}

fn named(file: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", file.display())
}

/// Replaces a file at one stroke, so that nobody reads half of it, also where several do so at once. A new one has this mode.
/// What is there and no file, such as a terminal or a pipe, is written to and stays; so does a link, and what it leads
/// to is replaced. What others have left who were killed amid this is removed.
fn replace(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let file = match file.canonicalize() {
        _ if file.metadata().is_ok_and(|found| !found.is_file()) => return overwrite(file, bytes, mode),
        Ok(place) => place,
        // To what is not there, or has no name any more.
        Err(_) if file.is_symlink() => return overwrite(file, bytes, mode),
        Err(_) => file.to_path_buf(),
    };
    let found = file.metadata().ok().filter(|_| mode == ORDINARY);
    beside(&file, bytes, mode, found.as_ref())?.persist(&file)?;
    let (folder, prefix) = place_of_new(&file);
    let begins = |entry: &DirEntry| entry.file_name().as_bytes().starts_with(&prefix);
    // The folder may be one that cannot be read.
    for left in fs::read_dir(folder).into_iter().flatten().flatten().filter(begins).filter(is_left) {
        // Another may have removed it.
        let _gone = fs::remove_file(left.path());
    }
    Ok(())
}

fn overwrite(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(file)?.write_all(bytes)
}

/// Where what is to take a file's place is written, and what its name begins with.
fn place_of_new(file: &Path) -> (&Path, Vec<u8>) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default();
    (folder, [b".", name.as_bytes(), NEW].concat())
}

/// What is to take a file's place, complete. Dropped, it is removed. Whoever keeps what it replaces from others has it kept from them,
/// too, from its first byte on.
fn beside(
    file: &Path,
    bytes: &[u8],
    mode: u32,
    replaced: Option<&Metadata>,
) -> io::Result<NamedTempFile<File>> {
    let (folder, prefix) = place_of_new(file);
    let first = if replaced.is_some() { 0o600 } else { mode };
    // Errors of a file that is made otherwise name that file, of which nobody has heard.
    let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(first).open(path);
    let mut new = tempfile::Builder::new().prefix(OsStr::from_bytes(&prefix)).make_in(folder, create)?;
    let kept = replaced.map(|replaced| as_kept(new.as_file(), replaced));
    if let Some(mode) = kept.or(Some(mode).filter(|mode| *mode != ORDINARY)) {
        // Where the file system has no modes, it is as all files there.
        let _as_all = new.as_file().set_permissions(Permissions::from_mode(mode));
    }
    new.as_file_mut().write_all(bytes)?;
    Ok(new)
}

/// Gives a file the group of the one that it replaces, and returns the mode that keeps it from the same users. Another group, where
/// that one cannot be given, may what all may.
fn as_kept(new: &File, replaced: &Metadata) -> u32 {
    let mode = replaced.mode() & 0o777;
    match fchown(new, None, Some(replaced.gid())) {
        Ok(()) => mode,
        Err(_) => mode & (0o707 | (mode & 0o007) << 3),
    }
}

/// Whether it was written to so long ago that nobody does any more.
fn is_left(entry: &DirEntry) -> bool {
    let written = entry.metadata().and_then(|found| found.modified()).ok();
    written.and_then(|written| written.elapsed().ok()).is_some_and(|age| age > PATIENCE)
}
