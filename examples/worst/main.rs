//! The requests that keep the store busy longest, counted in instructions by callgrind.
//!
//! Each scene runs in a process of its own. Callgrind writes what it has counted whenever the server looks for events of
//! other domains: the largest of these counts is how long others wait, their sum is what the request takes.

mod scenes;

use std::cell::Cell;
use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{Error, Result};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use measure::figure::Figure;
use scenes::{SCENES, Scene};

/// The table of the report.
const TABLE: u64 = 10;

const HELP: &str = "\
Usage: worst measure FOLDER | run SCENE

measure FOLDER  measures every scene under callgrind, which puts its files into an empty FOLDER; prints figures, one
                line of JSON each
run SCENE       runs one scene, by its number from 0 on
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match &words[..] {
        ["--help" | "-h"] => output::put(HELP),
        ["measure", folder] => measure_all(Path::new(folder)),
        ["run", number] if number.parse().is_ok_and(|number: usize| number < SCENES.len()) => {
            run(&SCENES[number.parse::<usize>().unwrap_or_default()]);
            Ok(())
        }
        _ => {
            eprint!("worst: what is wanted?\n{HELP}");
            return ExitCode::from(2);
        }
    };
    output::status("worst", 1, done.map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

thread_local! {
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

/// The server looks whether others have sent something. Callgrind knows it by its name.
#[inline(never)]
fn the_server_looks() {
    LOOKS.set(LOOKS.get() + 1);
}

fn run(scene: &Scene) {
    let mut host = (scene.prepare)();
    host.xen.on_look = Some(Box::new(the_server_looks));
    loop {
        counted_poll(&mut host);
        if !scenes::read_all(&mut host) {
            break;
        }
    }
    the_server_looks();
    black_box(LOOKS.get());
}

/// What is counted.
#[inline(never)]
fn counted_poll(host: &mut support::Host) {
    host.poll();
}

fn measure_all(folder: &Path) -> Result<()> {
    for (number, scene) in SCENES.iter().enumerate() {
        let counts = measure(number, &folder.join(number.to_string()))?;
        let longest = counts.iter().copied().max().unwrap_or_default();
        let whole: u64 = counts.iter().sum();
        for (column, value) in [("without a look at others", longest), ("the whole", whole)] {
            Figure::new(TABLE, scene.name, column, value as f64, "instructions").print()?;
        }
    }
    Ok(())
}

/// What a scene counts between the server's looks.
fn measure(number: usize, folder: &Path) -> Result<Vec<u64>> {
    fs::create_dir(folder)?;
    let status = Command::new("valgrind")
        .args([
            "--quiet",
            "--tool=callgrind",
            "--toggle-collect=*worst*counted_poll*",
            "--dump-before=*the_server_looks*",
        ])
        .arg(format!("--callgrind-out-file={}/counts", folder.display()))
        .arg(env::current_exe()?)
        .args(["run", &number.to_string()])
        .stdin(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(Error::other(format!("scene {number} ends with {status}")));
    }
    fs::read_dir(folder)?
        .map(|file| {
            let text = fs::read_to_string(file?.path())?;
            let count = text.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok());
            count.ok_or_else(|| Error::other("a file of callgrind's has no summary"))
        })
        .collect()
}
