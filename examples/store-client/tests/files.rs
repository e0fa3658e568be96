//! Files that tools write, where links and other files are in the way.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::thread;

use store_client::{ORDINARY, create, write};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn text(file: PathBuf) -> String {
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Also one as /dev/stdout is, which is the whole machine's.
#[test]
fn a_link_stays() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let (kept, unnamed) =
        (File::create(at("kept")).expect("a file"), File::create(at("unnamed")).expect("a file"));
    fs::remove_file(at("unnamed")).expect("it loses its name");
    fs::write(at("old"), "old").expect("a file");
    let of = |file: &File| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    for (name, to, found) in [
        ("to-old", at("old"), at("old")),
        ("to-none", at("new"), at("new")),
        ("to-kept", of(&kept), at("kept")),
        ("to-unnamed", of(&unnamed), of(&unnamed)),
    ] {
        symlink(to, at(name)).expect("a link");
        write(&at(name), name.as_bytes(), ORDINARY).unwrap_or_else(|problem| panic!("{problem}"));
        assert!(at(name).is_symlink(), "{name}");
        assert_eq!(text(found), name);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 7, "nothing is left beside them");
}

#[test]
fn what_others_may_not_read_stays_so() {
    let folder = folder();
    let file = folder.path().join("file");
    for (was, mode, is) in
        [(0o600, ORDINARY, 0o600), (0o640, ORDINARY, 0o640), (0o666, ORDINARY, 0o666), (0o600, 0o644, 0o644)]
    {
        fs::write(&file, "old").expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(was)).expect("its mode is set");
        write(&file, b"new", mode).unwrap_or_else(|problem| panic!("{problem}"));
        let found = file.metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!((found, text(file.clone()).as_str()), (is, "new"), "{was:o}, {mode:o}");
    }
}

/// The group, to which its mode gives rights, is another than that of whoever replaces it. Only root, or who is in it, can give that.
#[test]
fn the_group_that_may_read_stays_the_same() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "old").expect("a file");
    let own = file.metadata().expect("it is there").gid();
    let other = if chown(&file, None, Some(own + 1)).is_ok() { own + 1 } else { own };
    fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("its mode is set");
    write(&file, b"new", ORDINARY).unwrap_or_else(|problem| panic!("{problem}"));
    let found = file.metadata().expect("it is there");
    assert_eq!((found.gid(), found.mode() & 0o777), (other, 0o640));
}

/// What is to take its place lies beside it while it is written, for some milliseconds.
#[test]
fn what_others_may_not_read_they_may_not_read_meanwhile() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "old").expect("a file");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its mode is set");
    let path = file.clone();
    let writer = thread::spawn(move || write(&path, &vec![1; 16 << 20], ORDINARY));
    let mut found = BTreeSet::new();
    while !writer.is_finished() {
        let entries = fs::read_dir(folder.path()).expect("a folder").flatten();
        found.extend(entries.flat_map(|entry| entry.metadata()).map(|found| found.mode() & 0o777));
    }
    writer.join().expect("it ends").unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(found, BTreeSet::from([0o600]));
}

#[test]
fn all_files_are_made_or_none() {
    let folder = folder();
    let files = ["a", "b", "c"].map(|name| (folder.path().join(name), name.as_bytes().to_vec()));
    fs::write(&files[1].0, "other").expect("a file");
    let problem = create(&files).expect_err("one is there");
    assert!(problem.ends_with("b: File exists (os error 17)"), "{problem}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    assert_eq!(text(files[1].0.clone()), "other");
    fs::remove_file(&files[1].0).expect("it is there");
    create(&files).unwrap_or_else(|problem| panic!("{problem}"));
    assert!(files.iter().all(|(file, bytes)| text(file.clone()).as_bytes() == bytes));
}
