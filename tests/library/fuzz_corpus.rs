//! The fuzz targets on stable Rust: the seeds of their corpus, and many random inputs.

use std::path::PathBuf;

use support::interpret::{packet, session};

fn replay(target: &str, run: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("the folder can be read").path();
        println!("{}", path.display());
        run(&std::fs::read(&path).expect("the file can be read"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

/// Runs inputs of up to `len` bytes; one that fails is printed.
fn random(count: usize, len: usize, draw: impl Fn(&mut fastrand::Rng) -> u8, run: fn(&[u8])) {
    struct Shown(Vec<u8>);
    impl Drop for Shown {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("failed on {:?}", self.0);
            }
        }
    }
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..count {
        let len = rng.usize(..len);
        let input = Shown((0..len).map(|_| draw(&mut rng)).collect());
        run(&input.0);
    }
}

#[test]
fn packets_of_the_corpus() {
    replay("packet", packet::run);
}

#[test]
fn sessions_of_the_corpus() {
    replay("session", session::run);
}

#[test]
fn random_packets() {
    random(20_000, 120, |rng| rng.u8(..), packet::run);
    let likely = b"/ab0@\0nrwb-9local/domain/1";
    random(20_000, 120, |rng| likely[rng.usize(..likely.len())], packet::run);
}

#[test]
fn random_sessions() {
    random(1000, 600, |rng| rng.u8(..), session::run);
    random(1000, 600, |rng| rng.u8(..40), session::run);
}
