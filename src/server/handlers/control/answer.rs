//! What the commands share: parsing arguments, and answers of text.

use core::fmt::{Arguments, Write};
use core::str::FromStr;

use crate::server::context::Outcome;
use crate::server::core::Core;
use crate::server::scratch::Reply;
use crate::wire::{Strings, XsError};

/// Tells of one thing that is wrong, on the console and in a line of the reply. Not inlined: the check would have a copy for
/// each kind of finding.
#[cold]
#[inline(never)]
pub fn tell(reply: &mut Reply, finding: Arguments<'_>) {
    log::error!("check: {finding}");
    // Findings that do not fit the answer are on the console.
    let start = reply.len();
    if writeln!(reply, "{finding}").is_err() || reply.is_full() {
        reply.truncate(start);
    }
}

/// Appends a line to a text.
pub fn line(reply: &mut Reply, text: Arguments<'_>) -> Result<(), XsError> {
    writeln!(reply, "{text}").map_err(|_| XsError::E2BIG)
}

/// Ends a text, which is the answer.
pub fn finish(reply: &mut Reply) -> Result<Outcome, XsError> {
    reply.push(b"\0")?;
    Ok(Outcome::DATA)
}

/// Answers with a reason instead of `OK`.
pub fn refuse(reply: &mut Reply, why: &str) -> Result<Outcome, XsError> {
    reply.push(why.as_bytes())?;
    finish(reply)
}

/// The same for what the store cannot lend `size` bytes for.
pub fn refuse_for_memory(
    core: &Core,
    what: &str,
    size: usize,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let missing = size.saturating_sub(core.store.lendable()).div_ceil(1024);
    write!(reply, "not enough memory for the {what}: {missing} KiB are missing")
        .map_err(|_| XsError::E2BIG)?;
    finish(reply)
}

/// An argument of a type that can be parsed, else EINVAL.
pub fn parse<T: FromStr>(text: &[u8]) -> Result<T, XsError> {
    core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(XsError::EINVAL)
}

/// EINVAL if arguments are left.
pub fn no_more(args: Strings<'_>) -> Result<(), XsError> {
    if args.remaining() == 0 { Ok(()) } else { Err(XsError::EINVAL) }
}

/// The number of this version and the build, so many bytes of what identifies that.
pub fn write_version(build: &[u8], reply: &mut Reply) -> Result<(), XsError> {
    reply.push(concat!(env!("CARGO_PKG_VERSION"), ", build ").as_bytes())?;
    if build.is_empty() {
        reply.push(b"unknown")?;
    }
    build.iter().try_for_each(|byte| write!(reply, "{byte:02x}").map_err(|_| XsError::E2BIG))
}
