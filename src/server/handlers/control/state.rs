//! `state`: all that the store holds, for an operator, as it was at one moment. See `state::page`.

use super::answer::{finish, line, no_more, parse, refuse};
use crate::platform::Platform;
use crate::server::context::{Context, Outcome};
use crate::server::core::Deed;
use crate::server::scratch::Reply;
use crate::server::session::Held;
use crate::state::page::{BYTES_MAX, Head, write};
use crate::wire::{Strings, XsError};

const ENDED: &str = "The state is not held any more.";
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
    let Some(number) = args.next() else {
        if cx.core.updates.session.is_some() {
            return refuse(reply, UPDATES);
        }
        return cx.leave(Deed::TakeState);
    };
    let (number, from) = (parse(number)?, parse(args.required()?)?);
    no_more(args)?;
    hand_out(cx, number, from, reply)
}

/// Answers with the page that begins at `from`, of the state with this number. After its last page it is not held any more.
pub fn hand_out<P: Platform>(
    cx: &mut Context<'_, P>,
    number: u64,
    from: usize,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let until = cx.core.clock.now.after_seconds(Held::PATIENCE);
    let Some(held) = cx.core.updates.held.as_mut().filter(|held| held.number == number) else {
        return refuse(reply, ENDED);
    };
    held.until = until;
    let (size, end) = (held.size, held.end);
    if from >= size {
        return Err(XsError::EINVAL);
    }
    let (pages, skipped) = (from / BYTES_MAX + 1, from % BYTES_MAX);
    let start = end.checked_sub(pages * BYTES_MAX).ok_or(XsError::EIO)?;
    let length = BYTES_MAX.min(size - (from - skipped));
    let page = cx.platform.kept(start..start + length).get(skipped..length).ok_or(XsError::EIO)?;
    let count = page.len();
    line(reply, format_args!("{}", Head { number, first: from, count, size }))?;
    let mut told = Ok(());
    write(page, &mut |digits| told = told.and_then(|()| reply.push(digits)));
    told?;
    if from + count == size {
        cx.core.end_save();
    }
    line(reply, format_args!(""))?;
    finish(reply)
}
