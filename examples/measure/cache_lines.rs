//! The memory that a server touches for one request, from the trace that `valgrind --tool=lackey` writes.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Error, Result};
use std::mem::take;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

/// Bytes of a cache line.
const LINE: u64 = 64;
/// A server that has traced nothing for so long waits for the next request.
const QUIET: Duration = Duration::from_millis(50);
/// A store in use has found its pace after so many requests of a kind.
const WARM: usize = 50;
/// Odd, so that one in the middle can be taken.
const SAMPLES: usize = 5;

/// Numbers of the lines touched since they were last asked for.
#[derive(Default)]
struct Touched {
    code: HashSet<u64>,
    data: HashSet<u64>,
}

#[derive(Default)]
struct Progress {
    touched: Touched,
    /// Lines of the trace.
    accesses: u64,
    /// The bytes that are written when what counts begins and ends; without them, all counts.
    marks: Option<[u64; 2]>,
    is_outside: bool,
}

impl Progress {
    fn note(&mut self, Access { is_code, first, last }: &Access) {
        self.accesses += 1;
        match self.marks {
            Some([begin, _]) if *first == begin => self.is_outside = false,
            Some([_, end]) if *first == end => self.is_outside = true,
            _ if self.is_outside => {}
            _ => {
                let Touched { code, data } = &mut self.touched;
                let lines = if *is_code { code } else { data };
                lines.extend(first / LINE..=last / LINE);
            }
        }
    }
}

/// A trace that is being written.
pub struct Trace(Arc<Mutex<Progress>>);

impl Trace {
    /// Follows the trace in a thread of its own; it is a pipe, so that it takes no space.
    pub fn follow(pipe: &Path) -> Result<Trace> {
        // Opened for writing, too: it does not wait for the server then, which may wait for this.
        let file = OpenOptions::new().read(true).write(true).open(pipe);
        let file = file.map_err(|error| Error::other(format!("{}: {error}", pipe.display())))?;
        let progress = Arc::new(Mutex::new(Progress::default()));
        let shared = progress.clone();
        thread::spawn(move || {
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                if let Some(access) = access(&line) {
                    shared.lock().unwrap_or_else(PoisonError::into_inner).note(&access);
                }
            }
        });
        Ok(Trace(progress))
    }

    /// Counts from now on only what is done after a byte at the first address was written, until one at the second is.
    pub fn count_between(&self, marks: [u64; 2]) {
        let mut progress = self.lock();
        progress.marks = Some(marks);
        progress.is_outside = true;
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was touched since the last call, once the server waits.
    fn take(&self) -> Touched {
        let mut before = self.lock().accesses;
        loop {
            sleep(QUIET);
            let mut progress = self.lock();
            if progress.accesses == before {
                return take(&mut progress.touched);
            }
            before = progress.accesses;
        }
    }

    /// Lines of data and of code that one request touches, each the median of a few. `once` makes it, and is told how often
    /// it was made before.
    pub fn per_request(&self, mut once: impl FnMut(usize) -> Result<()>) -> Result<[usize; 2]> {
        (0..WARM).try_for_each(&mut once)?;
        let (mut data, mut code) = (Vec::new(), Vec::new());
        for turn in WARM..WARM + SAMPLES {
            self.take();
            once(turn)?;
            let touched = self.take();
            data.push(touched.data.len());
            code.push(touched.code.len());
        }
        Ok([data, code].map(|mut counts| {
            counts.sort_unstable();
            counts[SAMPLES / 2]
        }))
    }
}

/// The first and the last byte of what was executed, or read or written.
struct Access {
    is_code: bool,
    first: u64,
    last: u64,
}

/// What a line of the trace is about. `I  04001a,3` is an instruction of three bytes; ` L`, ` S` and ` M` load, store and
/// modify.
fn access(line: &str) -> Option<Access> {
    let (kind, place) = line.split_at_checked(3)?;
    if !matches!(kind, "I  " | " L " | " S " | " M ") {
        return None;
    }
    let (address, size) = place.split_once(',')?;
    let (first, size) = (u64::from_str_radix(address, 16).ok()?, size.parse::<u64>().ok()?);
    Some(Access { is_code: kind == "I  ", first, last: first + size - 1 })
}
