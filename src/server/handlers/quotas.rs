//! GET_FEATURE, SET_FEATURE, GET_QUOTA, SET_QUOTA: the features and quotas of each domain.

use core::fmt::Write;

use crate::abi::ServerFeatures;
use crate::platform::Platform;
use crate::quota::{QUOTAS, Quota};
use crate::server::FEATURES;
use crate::server::context::{Context, Outcome, Request};
use crate::server::scratch::Reply;
use crate::store::DomainId;
use crate::wire::{XsError, plain_number, strict_domid, strings};

pub fn get_feature<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut args = strings(request.payload);
    let count = args.remaining();
    if count > 0 && !request.view.caller.is_privileged() {
        return Err(XsError::EACCES);
    }
    let id = match count {
        0 => request.from,
        1 => known(cx, args.required()?)?,
        _ => return Err(XsError::EINVAL),
    };
    write!(reply, "{}\0", cx.core.store.domains.get(id).features.bits()).map_err(|_| XsError::E2BIG)?;
    Ok(Outcome::DATA)
}

pub fn set_feature<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let [domid, value] = strings(request.payload).exactly()?;
    let id = known(cx, domid)?;
    let value = plain_number(value);
    if cx.roster.has(id) {
        return Err(XsError::EBUSY);
    }
    let features = value.filter(|value| value & !FEATURES.bits() == 0);
    let features = features.and_then(ServerFeatures::from_bits).ok_or(XsError::EINVAL)?;
    cx.core.store.domains.update(id).features = features;
    Ok(Outcome::OK)
}

/// Without arguments: the names. With a name: its default. With a domid and a name: that domain's.
pub fn get_quota<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut args = strings(request.payload);
    let quotas = match args.remaining() {
        0 => {
            for (n, quota) in QUOTAS.iter().enumerate() {
                reply.push(if n == 0 { b"" } else { b" " })?;
                reply.push(quota.name.as_bytes())?;
            }
            reply.push(b"\0")?;
            return Ok(Outcome::DATA);
        }
        1 => cx.core.settings.quotas,
        2 => {
            let id = known(cx, args.required()?)?;
            cx.core.store.domains.get(id).quotas
        }
        _ => return Err(XsError::EINVAL),
    };
    let quota = Quota::named(args.required()?).ok_or(XsError::EINVAL)?;
    write!(reply, "{}\0", (quota.get)(&quotas)).map_err(|_| XsError::E2BIG)?;
    Ok(Outcome::DATA)
}

/// With a name and a value: sets the default for future domains. With a domid before them: sets that domain's. The
/// highest number is refused: upstream it means that there is no such quota.
pub fn set_quota<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut args = strings(request.payload);
    let id = match args.remaining() {
        2 => None,
        3 => Some(known(cx, args.required()?)?),
        _ => return Err(XsError::EINVAL),
    };
    let quota = Quota::named(args.required()?).ok_or(XsError::EINVAL)?;
    let value = plain_number(args.required()?).filter(|value| *value < u32::MAX).ok_or(XsError::EINVAL)?;
    match id {
        Some(id) => (quota.set)(&mut cx.core.store.domains.update(id).quotas, value),
        None => (quota.set)(&mut cx.core.settings.quotas, value),
    }
    Ok(Outcome::OK)
}

/// The record of a living domain, made now if need be, also before its introduction. ENOENT if there is no such domain.
fn known<P: Platform>(cx: &mut Context<'_, P>, string: &[u8]) -> Result<DomainId, XsError> {
    cx.core.know(cx.platform, strict_domid(string)?).ok_or(XsError::ENOENT)
}
