//! The whole trace as lines of text, for a domain that has only its console. `xs-trace dump --console` reads them.

use core::fmt::{self, Arguments};

use heapless::{Deque, String};

use super::Server;
use crate::platform::{Cycles, Platform};
use crate::trace::Record;
use crate::trace::page::{Base64, Head, RECORDS_MAX};

/// The beginning of each line, behind whatever the console puts before it.
pub const MARK: &str = "dump: ";

/// The last line, behind the mark.
pub const END: &str = "end";

/// Records of one line: as many as fit a line of the console in base64.
const RECORDS: usize = 5;

/// Digits of so many records in base64.
const DIGITS: usize = (RECORDS * Record::SIZE).div_ceil(3) * 4;

/// Longest part of a path that is printed, characters: with it a line of the console is nearly full.
const PATH: usize = 180;

/// How many of the latest hashes are remembered and not explained again.
const RECENT: usize = 32;

const _: () = assert!(RECORDS <= RECORDS_MAX);

impl<P: Platform> Server<P> {
    /// Prints all records by `tell`: first the [`Head`] of a page that has them all; then lines of `records`, each in
    /// base64 by itself, and lines of `path` with a hash in hexadecimal and its text; last [`END`]. `started` is when
    /// the program was entered, `khz` are the cycles in a millisecond.
    pub fn dump_trace(&self, started: Cycles, khz: u64, tell: &mut dyn FnMut(Arguments<'_>)) {
        let trace = &self.core.store.trace;
        let (first, end) = (trace.first(), trace.end());
        tell(format_args!(
            "{MARK}{}",
            Head { first, count: end - first, end, lost: first, khz, started: started.0 }
        ));
        let mut recent = Deque::<u64, RECENT>::new();
        let mut next = first;
        while next < end {
            let (mut digits, mut base64) = (String::<DIGITS>::new(), Base64::default());
            // They fit: a line has so many.
            let mut out = |four: &[u8]| drop(digits.push_str(core::str::from_utf8(four).unwrap_or_default()));
            for record in trace.from(next).take(RECORDS) {
                base64.write(&record.to_bytes(), &mut out);
            }
            base64.finish(&mut out);
            tell(format_args!("{MARK}records {digits}"));
            for record in trace.from(next).take(RECORDS) {
                if record.hash == 0 || recent.iter().any(|told| *told == record.hash) {
                    continue;
                }
                if recent.is_full() {
                    recent.pop_front();
                }
                // There is room, since the oldest was removed.
                let _ = recent.push_back(record.hash);
                let name = fmt::from_fn(|out| self.core.write_name(record.hash, PATH, out));
                tell(format_args!("{MARK}path {:016x} {name}", record.hash));
            }
            next += RECORDS as u64;
        }
        tell(format_args!("{MARK}{END}"));
    }
}
