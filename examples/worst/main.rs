//! The requests that keep the store busy longest, counted in instructions by callgrind.
//!
//! Each scene runs in a process of its own, as many at once as there are processors. Callgrind tells what it has counted
//! whenever the server looks for events of other domains: the largest of these counts is how long others wait, their sum
//! is what the request takes. It tells all that through one pipe, since a file for each look would fill a disk.

mod more;
mod scenes;

use std::cell::Cell;
use std::env;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Error, Result};
use std::panic::resume_unwind;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use measure::callgrind::Callgrind;
use measure::figure::Figure;
use scenes::Scene;

/// The table of the report.
const TABLE: u64 = 10;

const HELP: &str = "\
Usage: worst measure PREFIX | run SCENE [PREFIX]

measure  measures every scene under callgrind, whose pipes begin with PREFIX; prints figures, one line of JSON each
run      runs one scene, by its number from 0 on. With PREFIX, valgrind runs it with --vgdb-prefix=PREFIX and
         --instr-atstart=no, and begins to count when the scene is prepared
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match &words[..] {
        ["--help" | "-h"] => output::put(HELP),
        ["--version"] => output::put(concat!("worst ", env!("CARGO_PKG_VERSION"), "\n")),
        ["measure", prefix] => measure_all(prefix),
        ["run", number, prefix @ ..] if scene(number).is_some() && prefix.len() <= 1 => {
            scene(number).map_or(Ok(()), |scene| run(scene, prefix.first()))
        }
        _ => {
            output::tell(format_args!("worst: what is wanted?\n{}", HELP.trim_end()));
            return ExitCode::from(2);
        }
    };
    output::status("worst", 1, done.map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

/// All scenes, in the order of the table.
fn all() -> impl Iterator<Item = &'static Scene> {
    scenes::SCENES.iter().chain(more::SCENES)
}

fn scene(number: &str) -> Option<&'static Scene> {
    all().nth(number.parse().ok()?)
}

thread_local! {
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

/// The server looks whether others have sent something. Callgrind knows it by its name.
#[inline(never)]
fn the_server_looks() {
    LOOKS.set(LOOKS.get() + 1);
}

fn run(scene: &Scene, prefix: Option<&&str>) -> Result<()> {
    let mut host = (scene.prepare)();
    host.xen.on_look = Some(Box::new(the_server_looks));
    if let Some(prefix) = prefix {
        // What callgrind tells at each look takes as long as the code is that it has seen.
        Callgrind { prefix }.switch(true)?;
    }
    loop {
        counted_poll(&mut host);
        if !scenes::read_all(&mut host) {
            break;
        }
    }
    the_server_looks();
    black_box(LOOKS.get());
    Ok(())
}

/// What is counted.
#[inline(never)]
fn counted_poll(host: &mut support::Host) {
    host.poll();
}

fn measure_all(prefix: &str) -> Result<()> {
    let next = AtomicUsize::new(0);
    let measure_some = || {
        let numbers = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        numbers
            .take_while(|number| *number < all().count())
            .map(|number| (number, measure(number, prefix)))
            .collect::<Vec<_>>()
    };
    let mut measured: Vec<_> = thread::scope(|scope| {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(measure_some)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    measured.sort_by_key(|(number, _)| *number);
    for (scene, (_, counts)) in all().zip(measured) {
        let Counts { longest, whole } = counts?;
        for (column, value) in [("without a look at others", longest), ("the whole", whole)] {
            Figure::new(TABLE, scene.name, column, value as f64, "instructions").print()?;
        }
    }
    Ok(())
}

/// What a scene counts between the server's looks.
#[derive(Default)]
struct Counts {
    /// The most of it.
    longest: u64,
    /// The sum.
    whole: u64,
}

fn measure(number: usize, prefix: &str) -> Result<Counts> {
    let prefix = format!("{prefix}-{number}");
    let mut callgrind = Command::new("valgrind")
        .args([
            "--quiet",
            "--tool=callgrind",
            "--toggle-collect=*worst*counted_poll*",
            "--dump-before=*the_server_looks*",
            "--combine-dumps=yes",
            "--callgrind-out-file=/dev/stdout",
            "--instr-atstart=no",
        ])
        .arg(format!("--vgdb-prefix={prefix}"))
        .arg(env::current_exe()?)
        .args(["run", &number.to_string(), &prefix])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut counts = Counts::default();
    if let Some(told) = callgrind.stdout.take() {
        for line in BufReader::new(told).split(b'\n') {
            if let Some(count) = line?.strip_prefix(b"summary: ") {
                let count =
                    std::str::from_utf8(count).ok().and_then(|count| count.trim().parse::<u64>().ok());
                let count = count.ok_or_else(|| Error::other("callgrind tells no number"))?;
                counts.longest = counts.longest.max(count);
                counts.whole += count;
            }
        }
    }
    let status = callgrind.wait()?;
    if !status.success() {
        return Err(Error::other(format!("scene {number} ends with {status}")));
    }
    if counts.whole == 0 {
        return Err(Error::other(format!("callgrind has counted nothing in scene {number}")));
    }
    Ok(counts)
}
