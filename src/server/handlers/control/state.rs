//! `state`: all that the store holds, for an operator, as it was at one moment. See `state::page`. What has changed since it
//! began, for `layers`, is handed out in the same way.

use super::answer::{finish, no_more, parse, refuse};
use crate::platform::Platform;
use crate::server::context::{Context, Outcome};
use crate::server::core::Deed;
use crate::server::scratch::Reply;
use crate::server::session::Held;
use crate::state::page::{Head, What, write};
use crate::wire::{Strings, XsError};

const ENDED: &str = "The state is not held any more.";
const CHANGES_ENDED: &str = "The changes are not held any more.";
/// Both would lie in the same memory.
const UPDATES: &str = "A live update is under way.";

/// `dump`: takes the state and answers with its first page. `dump <number> <from>`: another page of it.
pub fn state<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    if args.required()? != b"dump" {
        return Err(XsError::EINVAL);
    }
    hold(cx, What::State, args, reply)
}

/// With no arguments takes the state, or what else it is, and answers with its first page; with `<number> <from>`, another
/// page of it.
pub fn hold<P: Platform>(
    cx: &mut Context<'_, P>,
    what: What,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let Some(number) = args.next() else {
        if cx.core.updates.session.is_some() {
            return refuse(reply, UPDATES);
        }
        return cx.leave(Deed::Take(what));
    };
    let (number, from) = (parse(number)?, parse(args.required()?)?);
    no_more(args)?;
    hand_out(cx, what, number, from, reply)
}

/// Answers with the page that begins at `from`, of what is held with this number. After its last page it is not held any more.
pub fn hand_out<P: Platform>(
    cx: &mut Context<'_, P>,
    what: What,
    number: u64,
    from: usize,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let until = cx.core.clock.now.after_seconds(Held::PATIENCE);
    let held = cx.core.updates.held.as_mut();
    let Some(held) = held.filter(|held| (held.what, held.number) == (what, number)) else {
        return refuse(reply, if what == What::State { ENDED } else { CHANGES_ENDED });
    };
    held.until = until;
    let size = held.size;
    if from >= size {
        return Err(XsError::EINVAL);
    }
    let page = cx.platform.kept(held.page(from).ok_or(XsError::EIO)?);
    let count = page.len();
    Head { number, first: from, count, size }.show(what, reply).map_err(|_| XsError::E2BIG)?;
    reply.push(b"\n")?;
    let mut told = Ok(());
    match what {
        What::State => {
            write(page, &mut |digits| told = told.and_then(|()| reply.push(digits)));
            told = told.and_then(|()| reply.push(b"\n"));
        }
        What::Layer { .. } => told = reply.push(page),
    }
    told?;
    if from + count == size {
        cx.core.end_save();
    }
    finish(reply)
}
