//! The memory that a server touches for one request, from the trace that `valgrind --tool=lackey` writes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Result};
use std::mem::take;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::requests::Request;
use measure::connection::Connection;

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
    /// Lines of the trace.
    accesses: u64,
}

/// A trace that is being written.
pub struct Trace(Arc<Mutex<Touched>>);

impl Trace {
    /// Follows the trace in a thread of its own; it is a pipe, so that it takes no space.
    pub fn follow(pipe: &Path) -> Result<Trace> {
        let file = File::open(pipe).map_err(|error| Error::other(format!("{}: {error}", pipe.display())))?;
        let touched = Arc::new(Mutex::new(Touched::default()));
        let shared = touched.clone();
        thread::spawn(move || {
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                let mut touched = shared.lock().unwrap_or_else(PoisonError::into_inner);
                touched.accesses += 1;
                if let Some((is_code, first, last)) = access(&line) {
                    let lines = if is_code { &mut touched.code } else { &mut touched.data };
                    lines.extend(first..=last);
                }
            }
        });
        Ok(Trace(touched))
    }

    fn lock(&self) -> MutexGuard<'_, Touched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was touched since the last call, once the server waits.
    fn take(&self) -> Touched {
        let mut before = self.lock().accesses;
        loop {
            sleep(QUIET);
            let mut touched = self.lock();
            if touched.accesses == before {
                return take(&mut *touched);
            }
            before = touched.accesses;
        }
    }

    /// Lines of data and of code that one request touches, each the median of a few.
    pub fn per_request(&self, client: &mut Connection, request: Request) -> Result<[usize; 2]> {
        request.begin(client)?;
        (0..WARM).try_for_each(|turn| request.once(client, turn))?;
        let (mut data, mut code) = (Vec::new(), Vec::new());
        for turn in WARM..WARM + SAMPLES {
            self.take();
            request.once(client, turn)?;
            let touched = self.take();
            data.push(touched.data.len());
            code.push(touched.code.len());
        }
        request.end(client)?;
        Ok([data, code].map(|mut counts| {
            counts.sort_unstable();
            counts[SAMPLES / 2]
        }))
    }
}

/// Whether a line of the trace is about code, and the first and last cache line touched. `I  04001a,3` is
/// an instruction of three bytes; ` L`, ` S` and ` M` load, store and modify.
fn access(line: &str) -> Option<(bool, u64, u64)> {
    let (kind, place) = line.split_at_checked(3)?;
    if !matches!(kind, "I  " | " L " | " S " | " M ") {
        return None;
    }
    let (address, size) = place.split_once(',')?;
    let (address, size) = (u64::from_str_radix(address, 16).ok()?, size.parse::<u64>().ok()?);
    Some((kind == "I  ", address / LINE, (address + size - 1) / LINE))
}
