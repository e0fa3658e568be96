//! `quota` and `quota-soft`: what domains may hold, what they hold, and the most that they have held.

use core::fmt::Write;
use core::ops::RangeInclusive;

use super::answer::{finish, line, no_more};
use crate::platform::Platform;
use crate::quota::{Quota, Quotas};
use crate::server::context::{Context, Outcome};
use crate::server::scratch::Reply;
use crate::wire::{Strings, XsError, plain_number};

/// What `set` accepts. Switching a check off takes SET_QUOTA.
const SETTINGS: RangeInclusive<u32> = 1..=i32::MAX as u32;

pub fn quota<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    match args.next() {
        None => {
            line(reply, format_args!("Quota settings:"))?;
            for quota in Quota::hard() {
                setting(reply, quota.name, quota, &cx.core.settings.quotas)?;
            }
            finish(reply)
        }
        Some(b"set") => {
            let name = args.required()?;
            let quota = Quota::hard().find(|quota| quota.name.as_bytes() == name).ok_or(XsError::EINVAL)?;
            set(cx, quota, args)
        }
        Some(b"max") => {
            match args.next() {
                None => {}
                Some(b"-r") if args.remaining() == 0 => cx.core.store.reset_peaks(),
                Some(_) => return Err(XsError::EINVAL),
            }
            line(reply, format_args!("Max. seen accounting values:"))?;
            let peak = cx.core.store.peak();
            for quota in Quota::hard() {
                line(reply, format_args!("{:<17}: {:>8}", quota.name, (quota.get)(&peak)))?;
            }
            finish(reply)
        }
        Some(domid) => {
            no_more(args)?;
            let (store, id) = (&cx.core.store, cx.core.record_of(domid)?);
            let (now, peak) = (store.held.of(id).usage.as_quotas(), store.most(id));
            line(reply, format_args!("Domain {}:", store.domains.get(id).domid))?;
            for Quota { name, get, .. } in Quota::hard() {
                line(reply, format_args!("{name:<17}: {:>8} (max {:>8})", get(&now), get(&peak)))?;
            }
            finish(reply)
        }
    }
}

pub fn soft<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    match args.next() {
        None => {
            line(reply, format_args!("Quota settings:"))?;
            for (name, quota) in Quota::soft() {
                setting(reply, name, quota, &cx.core.settings.quotas)?;
            }
            finish(reply)
        }
        Some(b"set") => {
            let quota = Quota::soft_named(args.required()?).ok_or(XsError::EINVAL)?;
            set(cx, quota, args)
        }
        Some(_) => Err(XsError::EINVAL),
    }
}

/// Sets the default for future domains.
fn set<P: Platform>(
    cx: &mut Context<'_, P>,
    quota: &Quota,
    mut args: Strings<'_>,
) -> Result<Outcome, XsError> {
    let value = plain_number(args.required()?).filter(|value| SETTINGS.contains(value));
    no_more(args)?;
    (quota.set)(&mut cx.core.settings.quotas, value.ok_or(XsError::EINVAL)?);
    Ok(Outcome::OK)
}

fn setting(reply: &mut Reply, name: &str, quota: &Quota, quotas: &Quotas) -> Result<(), XsError> {
    writeln!(reply, "{name:<17}: {:>8} {}", (quota.get)(quotas), quota.about).map_err(|_| XsError::E2BIG)
}
