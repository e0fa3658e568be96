//! `memreport` and `logfile`: the use of memory, and where the log goes.

use super::answer::{finish, line, no_more};
use crate::platform::Platform;
use crate::server::context::{Context, Outcome};
use crate::server::scratch::Reply;
use crate::wire::{Strings, XsError};

/// The last line of the answer if a file is named.
const NO_FILES: &str = "This server has no files. Its log goes to its console.";

/// How full each kind of storage is, and the most that it has been: as the answer and in the log.
pub fn memreport<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let file = args.next();
    no_more(args)?;
    for (what, [used, most, capacity]) in fill_levels(cx) {
        let told = format_args!("memory: {used} {what}, at most {most}, room for {capacity}");
        cx.core.recorder.say(told);
        line(reply, told)?;
    }
    if file.is_some() {
        line(reply, format_args!("{NO_FILES}"))?;
    }
    finish(reply)
}

pub fn logfile<P: Platform>(
    _: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    args.required()?;
    no_more(args)?;
    line(reply, format_args!("{NO_FILES}"))?;
    finish(reply)
}

/// Of each kind of storage, see [`Arena::level`](crate::slots::Arena::level).
pub(super) fn fill_levels<P: Platform>(
    cx: &Context<'_, P>,
) -> impl Iterator<Item = (&'static str, [u32; 3])> {
    let waiting = ("waiting messages", cx.roster.outbox().level());
    cx.core.store.levels().into_iter().chain([waiting])
}
