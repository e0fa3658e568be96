//! The fuzz targets on stable Rust: the seeds of their corpus, and many random inputs.

use std::path::PathBuf;

use support::interpret::{layer, packet, session, state};

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

/// An input that is printed if it fails.
struct Shown(Vec<u8>);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed on {:?}", self.0);
        }
    }
}

/// Runs inputs of up to `len` bytes.
fn random(count: usize, len: usize, draw: impl Fn(&mut fastrand::Rng) -> u8, run: fn(&[u8])) {
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
fn states_of_the_corpus() {
    replay("state", state::run);
}

#[test]
fn layers_of_the_corpus() {
    replay("layer", layer::run);
}

#[test]
fn random_layers() {
    let likely = b"/ab =\"\\x0:\n\n(n0)   whiteoutopaque/layer\nend/a/b";
    random(300, 200, |rng| likely[rng.usize(..likely.len())], layer::run);
    let lines = [
        "/a",
        "/b",
        "/a/b",
        " = \"x\"",
        ":",
        "   (n0)",
        "   (r0,b0)",
        "\n",
        "\n",
        "\nwhiteout ",
        "\nopaque ",
        "\nlayer x\n",
    ];
    let mut rng = fastrand::Rng::with_seed(2);
    for _ in 0..300 {
        let text: String = (0..rng.usize(..40)).map(|_| lines[rng.usize(..lines.len())]).collect();
        layer::run(Shown(text.into_bytes()).0.as_slice());
    }
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

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let seeds = std::fs::read_dir(folder).expect("the corpus is there");
    seeds.map(|seed| std::fs::read(seed.expect("the folder can be read").path()).expect("a file")).collect()
}

/// Seeds of records, cut off or with some of their bytes changed, moved or doubled.
fn damaged(count: usize, seeds: &[Vec<u8>], run: fn(&[u8])) {
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..count {
        let mut bytes = seeds[rng.usize(..seeds.len())].clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..8) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = 0,
                2 => bytes[at] = 255,
                3 | 4 => bytes[at] = rng.u8(..),
                5 => bytes[at] ^= 1 << rng.u8(..8),
                _ => {
                    // Whole records, mostly.
                    let (from, to) = (at / 8 * 8, rng.usize(..=bytes.len() - at / 8 * 8) / 8 * 8);
                    let piece = bytes[from..(from + to.min(512)).min(bytes.len())].to_vec();
                    let at = rng.usize(..=bytes.len()) / 8 * 8;
                    if rng.bool() {
                        bytes.drain(from..from + piece.len());
                    }
                    let at = at.min(bytes.len());
                    bytes.splice(at..at, piece);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let shown = Shown(bytes);
        run(&shown.0);
    }
}

#[test]
fn states_that_are_damaged() {
    damaged(3000, &seeds("state"), state::run);
}

#[test]
fn layers_of_records_that_are_damaged() {
    let mut seeds = seeds("layer");
    seeds.retain(|seed| seed.starts_with(b"xenstore\0"));
    damaged(300, &seeds, layer::run);
}
