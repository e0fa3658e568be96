//! The standard output, whose reader may have seen enough: then the tool ends without a word. And the standard error, which may
//! be a file on a full disk, or a pipe that nobody reads.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Nobody reads the standard output. By its type it differs from a server's connection that breaks.
#[derive(Debug)]
struct Unread;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the standard output")
    }
}

impl Error for Unread {}

/// Prints all of these bytes. The error says whether somebody reads, for [`is_unread`], or why they cannot be written.
pub fn put(bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes.as_ref()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => io::Error::new(ErrorKind::BrokenPipe, Unread),
        kind => io::Error::new(kind, format!("standard output: {error}")),
    })
}

/// Says a line on the standard error. If it cannot be said, the work goes on and has the status that it comes to: `eprintln!` would
/// panic.
pub fn tell(line: impl fmt::Display) {
    let _unheard = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether this is [`put`]'s error when nobody reads.
pub fn is_unread(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is_some_and(|inner| inner.is::<Unread>())
}

/// The status of a program that has come so far, `failed` after an error, which is told in one line. That nobody reads is none.
pub fn status(program: &str, failed: u8, done: Result<ExitCode, Box<dyn Error>>) -> ExitCode {
    match done {
        Ok(status) => status,
        Err(error) if is_unread(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("{program}: {error}"));
            ExitCode::from(failed)
        }
    }
}
