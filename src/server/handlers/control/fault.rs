//! `fault`: a fault on purpose, for tests and for operators who want to see what follows.

use super::answer::no_more;
use crate::platform::{Fault, Platform};
use crate::server::context::{Context, Outcome};
use crate::server::scratch::Reply;
use crate::store::Damage;
use crate::wire::{Strings, XsError};

/// EACCES unless the command line allows it. It happens amid this request, which is answered with EIO then.
pub fn fault<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let fault = match args.required()? {
        b"panic" => Fault::Panic,
        b"page" => Fault::Page,
        b"loop" => Fault::Loop,
        b"damage" => Fault::Damage,
        _ => return Err(XsError::EINVAL),
    };
    no_more(args)?;
    let have = cx.core.have_fault.ok_or(XsError::EACCES)?;
    if fault == Fault::Damage
        && let Some(from) = cx.core.store.current.from
    {
        cx.core.store.damage(from, Damage::Charge);
    }
    have(fault);
    Ok(Outcome::OK)
}
