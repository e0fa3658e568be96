//! `trace`: reads the flight recorder, and sets what it records.

use core::fmt::Write;

use super::answer::{finish, line, no_more, parse};
use crate::platform::Platform;
use crate::server::context::{Context, Outcome};
use crate::server::core::Core;
use crate::server::scratch::Reply;
use crate::trace::page::{Base64, Head, RECORDS_MAX};
use crate::trace::{ALL_KINDS, Kind, Names, Record};
use crate::wire::{Strings, XsError, strict_domid};

/// Records that `show` prints: so many fit a message, whatever their paths.
const SHOWN: u64 = 16;

/// Longest path that `paths` prints, characters.
const PATH_SHOWN: usize = 1024;

pub fn trace<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let Some(what) = args.next() else { return state(cx.core, reply) };
    match what {
        b"dump" => dump(cx, args, reply),
        b"paths" => paths(cx.core, args, reply),
        b"filter" => filter(cx.core, args, reply),
        b"show" => {
            no_more(args)?;
            let mut told = Ok(());
            cx.core.tell_trace(SHOWN, cx.platform.khz(), &mut |text| {
                told = told.and_then(|()| line(reply, text))
            });
            told?;
            finish(reply)
        }
        b"mark" => mark(cx.core, args),
        b"on" => {
            no_more(args)?;
            cx.core.store.trace.set_on(true);
            Ok(Outcome::OK)
        }
        b"off" => off(cx.core, args),
        _ => Err(XsError::EINVAL),
    }
}

/// `off [<seconds>]`: records nothing, for so long or until it is told otherwise.
fn off(core: &mut Core, mut args: Strings<'_>) -> Result<Outcome, XsError> {
    let seconds = args.next().map(parse::<u32>).transpose()?;
    no_more(args)?;
    match seconds {
        None => core.store.trace.set_on(false),
        Some(0) => return Err(XsError::EINVAL),
        Some(seconds) => core.store.trace.pause(core.clock.now.after_seconds(seconds.into())),
    }
    Ok(Outcome::OK)
}

/// `mark <word>…`: writes a record with a text, for operators to find again.
fn mark(core: &mut Core, args: Strings<'_>) -> Result<Outcome, XsError> {
    let mut text = heapless::Vec::<u8, { Names::TEXT_MAX }>::new();
    for word in args {
        let blank: &[u8] = if text.is_empty() { b"" } else { b" " };
        [blank, word]
            .into_iter()
            .try_for_each(|part| text.extend_from_slice(part))
            .map_err(|_| XsError::E2BIG)?;
    }
    if text.is_empty() {
        return Err(XsError::EINVAL);
    }
    let record =
        Record { hash: core.store.key().hash(&text), ..Record::new(Kind::Mark, core.store.current.writer) };
    // A mark that is not recorded must not displace the text of one that is.
    if core.store.trace.takes(record.kind, record.domid) {
        core.store.trace.name_mark(record.hash, &text);
    }
    core.note(record);
    Ok(Outcome::OK)
}

fn state(core: &Core, reply: &mut Reply) -> Result<Outcome, XsError> {
    let trace = &core.store.trace;
    line(reply, format_args!("trace            : {}", if trace.is_on() { "on" } else { "off" }))?;
    let now = core.clock.now.0;
    let pause = trace.pause_ends().map_or(0, |then| then.0.saturating_sub(now).div_ceil(1_000_000_000));
    for (name, count) in [
        ("on again in s", pause),
        ("records written", trace.end()),
        ("overwritten", trace.first()),
        ("room for", trace.capacity()),
    ] {
        line(reply, format_args!("{name:<17}: {count:>8}"))?;
    }
    finish(reply)
}

/// `dump [<number>]`: a page of the records from that number on, see [`crate::trace::page`].
fn dump<P: Platform>(
    cx: &Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let from = args.next().map(parse).transpose()?.unwrap_or(0);
    no_more(args)?;
    let trace = &cx.core.store.trace;
    let first = from.max(trace.first()).min(trace.end());
    let count = (trace.end() - first).min(RECORDS_MAX as u64);
    let head = Head {
        first,
        count,
        end: trace.end(),
        lost: trace.first(),
        khz: cx.platform.khz(),
        started: cx.platform.started().0,
    };
    line(reply, format_args!("{head}"))?;
    let mut base64 = Base64::default();
    let mut told = Ok(());
    let mut out = |digits: &[u8]| told = told.and_then(|()| reply.push(digits));
    for record in trace.from(first).take(RECORDS_MAX) {
        base64.write(&record.to_bytes(), &mut out);
    }
    base64.finish(&mut out);
    told?;
    line(reply, format_args!(""))?;
    finish(reply)
}

/// `paths <hash>…`, hexadecimal: a line of hash and path for each, as many as fit.
fn paths(core: &Core, args: Strings<'_>, reply: &mut Reply) -> Result<Outcome, XsError> {
    for hash in args {
        let hash = core::str::from_utf8(hash).ok().and_then(|hash| u64::from_str_radix(hash, 16).ok());
        let hash = hash.ok_or(XsError::EINVAL)?;
        let start = reply.len();
        let written = reply
            .push(&hexadecimal(hash))
            .map_err(|_| core::fmt::Error)
            .and_then(|()| core.write_name(hash, PATH_SHOWN, reply))
            .and_then(|()| writeln!(reply));
        if written.is_err() || reply.is_full() {
            reply.truncate(start);
            break;
        }
    }
    finish(reply)
}

/// The digits of a hash and a space, in a fifth of what formatting takes: there may be 200 in one answer.
fn hexadecimal(hash: u64) -> [u8; 17] {
    core::array::from_fn(|n| match (hash >> 60_usize.saturating_sub(4 * n)) as u8 & 15 {
        _ if n == 16 => b' ',
        digit @ 0..10 => b'0' + digit,
        digit => b'a' - 10 + digit,
    })
}

/// `filter [all|none|+<kind>|-<kind>|domain <domid>|domain all]…`: sets what is recorded from now on.
fn filter(core: &mut Core, mut args: Strings<'_>, reply: &mut Reply) -> Result<Outcome, XsError> {
    let (mut kinds, mut only) = core.store.trace.filter();
    if args.rest().is_empty() {
        for kind in Kind::ALL {
            let state = if kinds & kind.bit() != 0 { "on" } else { "off" };
            line(reply, format_args!("{:<17}: {state}", kind.name()))?;
        }
        match only {
            Some(domid) => line(reply, format_args!("{:<17}: {domid}", "domain"))?,
            None => line(reply, format_args!("{:<17}: all", "domain"))?,
        }
        return finish(reply);
    }
    while let Some(arg) = args.next() {
        match arg {
            b"all" => (kinds, only) = (ALL_KINDS, None),
            b"none" => kinds = 0,
            b"domain" => {
                only = match args.required()? {
                    b"all" => None,
                    b"" => return Err(XsError::EINVAL),
                    domid => Some(strict_domid(domid)?),
                }
            }
            [sign @ (b'+' | b'-'), name @ ..] => {
                let kind = Kind::ALL.iter().find(|kind| kind.name().as_bytes() == name);
                let bit = kind.ok_or(XsError::EINVAL)?.bit();
                kinds = if *sign == b'+' { kinds | bit } else { kinds & !bit };
            }
            _ => return Err(XsError::EINVAL),
        }
    }
    core.store.trace.set_filter(kinds, only);
    Ok(Outcome::OK)
}
