//! `live-update`: an operator sends a new image and has it take over. The steps are those of xenstore-control(1), whose
//! refusals are texts: anything but `OK` is shown as the reason.

use core::fmt::Write;

use super::answer::{finish, no_more, refuse, refuse_for_memory};
use crate::platform::Platform;
use crate::server::context::{Context, Outcome};
use crate::server::core::{Core, Deed};
use crate::server::scratch::Reply;
use crate::server::session::{COMMAND_LINE, Session, Start};
use crate::store::DomainId;
use crate::update::{Bounds, examine};
use crate::wire::{Header, Strings, XsError, plain_number};

/// Why a step is refused.
const ACTIVE: &str = "live-update session already active.";
const INACTIVE: &str = "Not in live-update session.";
const TOO_MUCH: &str = "Too much kernel data.";
const INCOMPLETE: &str = "Kernel not complete.";
const OTHER_VERSION: &str = "Stream version not supported.";
const NO_SUCCESSOR: &str = "This server cannot be replaced while it runs.";

pub fn live_update<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let step = args.required()?;
    let whose = cx.core.store.current.from.ok_or(XsError::EIO)?;
    match step {
        b"-b" => begin(cx, whose, args, reply),
        b"-d" => take(cx, whose, args, reply),
        b"-c" => command_line(cx.core, whose, args, reply),
        b"-s" => start(cx, whose, args, reply),
        b"-a" => {
            no_more(args)?;
            if own(cx.core, whose).is_none() {
                return refuse(reply, INACTIVE);
            }
            cx.core.end_update();
            Ok(Outcome::OK)
        }
        _ => Err(XsError::EINVAL),
    }
}

/// The session, if it is of this domain, which has been heard of.
fn own(core: &mut Core, whose: DomainId) -> Option<&mut Session> {
    let session = core.updates.session.as_mut().filter(|session| session.whose == whose)?;
    session.heard = core.clock.now;
    Some(session)
}

/// `-b <size>`: begins a session.
fn begin<P: Platform>(
    cx: &mut Context<'_, P>,
    whose: DomainId,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let size = plain_number(args.required()?).filter(|size| *size > 0).ok_or(XsError::EINVAL)? as usize;
    no_more(args)?;
    let Some(Bounds { memory, .. }) = cx.platform.bounds() else { return refuse(reply, NO_SUCCESSOR) };
    // Whoever has wanted the last one to start is answered at the next look, and is one at most.
    if cx.core.updates.session.is_some() || cx.core.updates.given_up.is_some() {
        return refuse(reply, ACTIVE);
    }
    let most = memory.end.saturating_sub(memory.start);
    if size as u64 > most {
        let fits = format_args!("the new image does not fit: {size} bytes, there is room for {most}");
        reply.write_fmt(fits).map_err(|_| XsError::E2BIG)?;
        return finish(reply);
    }
    cx.core.end_save();
    let Some(room) = cx.core.store.lend(size) else {
        return refuse_for_memory(cx.core, "new image", size, reply);
    };
    cx.core.updates.active = true;
    // The store grows later.
    (cx.core.updates.due, cx.core.updates.prepared) = (false, None);
    let heard = cx.core.clock.now;
    cx.core.updates.session =
        Some(Session { whose, room, size, there: 0, has_line: false, start: None, heard });
    Ok(Outcome::OK)
}

/// `-d <n> <n bytes>`: the next part of the image.
fn take<P: Platform>(
    cx: &mut Context<'_, P>,
    whose: DomainId,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let size = plain_number(args.required()?).ok_or(XsError::EINVAL)? as usize;
    let part = args.rest().get(..size).ok_or(XsError::EINVAL)?;
    let Some(session) = own(cx.core, whose).filter(|session| session.start.is_none()) else {
        return refuse(reply, INACTIVE);
    };
    if session.size - session.there < part.len() {
        return refuse(reply, TOO_MUCH);
    }
    cx.platform.keep(session.room.start + session.there, part);
    session.there += part.len();
    Ok(Outcome::OK)
}

/// `-c <command line>`: instead of the present one's.
fn command_line(
    core: &mut Core,
    whose: DomainId,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let line = args.required()?;
    no_more(args)?;
    let Some(session) = own(core, whose) else { return refuse(reply, INACTIVE) };
    if line.len() > COMMAND_LINE {
        write!(reply, "The command line is too long: {} bytes of at most {COMMAND_LINE}", line.len())
            .map_err(|_| XsError::E2BIG)?;
        return finish(reply);
    }
    session.has_line = true;
    core.updates.set_line(line);
    Ok(Outcome::OK)
}

/// `-s -t <seconds> [-F] [-v <version>]`: the image takes over as soon as no transaction is open. The answer comes then.
fn start<P: Platform>(
    cx: &mut Context<'_, P>,
    whose: DomainId,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let since = cx.core.clock.now;
    let mut start =
        Start { header: Header::NONE, since, patience: 60, force: false, version: None, records: u32::MAX };
    while let Some(arg) = args.next() {
        match arg {
            b"-F" => start.force = true,
            b"-t" => start.patience = plain_number(args.required()?).ok_or(XsError::EINVAL)?,
            b"-v" => start.version = Some(plain_number(args.required()?).ok_or(XsError::EINVAL)?),
            _ => return Err(XsError::EINVAL),
        }
    }
    let Some(bounds) = cx.platform.bounds() else { return refuse(reply, NO_SUCCESSOR) };
    let Some(session) = own(cx.core, whose).filter(|session| session.start.is_none()) else {
        return refuse(reply, INACTIVE);
    };
    if session.there < session.size {
        return refuse(reply, INCOMPLETE);
    }
    let image = cx.platform.kept(session.room.clone()).get(..session.size).unwrap_or_default();
    let program = match examine(image, &bounds, start.force) {
        Ok(program) => program,
        Err(fault) => {
            write!(reply, "{fault}").map_err(|_| XsError::E2BIG)?;
            return finish(reply);
        }
    };
    if let Some(promise) = program.promise {
        start.records = promise.records;
    }
    if let Some(version) = start.version {
        let read = program.promise.is_none_or(|promise| {
            let (first, last) = promise.states;
            (first..=last).contains(&version)
        });
        if !read || !bounds.states.contains(&version) {
            return refuse(reply, OTHER_VERSION);
        }
    }
    cx.leave(Deed::Update(start))
}
