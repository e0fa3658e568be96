//! INTRODUCE, RELEASE, RESUME, SET_TARGET, IS_DOMAIN_INTRODUCED, GET_DOMAIN_PATH. xenstore.txt, "Domain
//! management and xenstored communications".

use crate::abi::{DomId, Port};
use crate::path::home;
use crate::perms::Entry;
use crate::platform::Platform;
use crate::server::context::{Context, Outcome, Request};
use crate::server::core::Deed;
use crate::server::scratch::Reply;
use crate::store::{Domain, DomainId};
use crate::wire::{XsError, number, one_string, strict_domid, strings};

/// `domid|gfn|port|`: starts to serve a domain, or resets its connection. The frame number is not used: the
/// page is mapped by grant.
pub fn introduce<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut args = strings(request.payload);
    let [domid, _gfn, port] = [args.required()?, args.required()?, args.required()?];
    let domid = strict_domid(domid)?;
    let port = u32::try_from(number(port)).map_err(|_| XsError::EINVAL)?;
    if port == 0 || cx.core.is_fixed(domid) {
        return Err(XsError::EINVAL);
    }
    cx.leave(Deed::Introduce(domid, Port(port)))
}

/// The introduced domain of this number; ENOENT if there is none.
fn introduced<P: Platform>(cx: &Context<'_, P>, domid: DomId) -> Result<DomainId, XsError> {
    cx.core.store.domains.find(domid).filter(|id| cx.roster.has(*id)).ok_or(XsError::ENOENT)
}

/// The introduced domain that a request is about: EINVAL for a fixed one, ENOENT if there is none.
fn guest<P: Platform>(cx: &Context<'_, P>, string: &[u8]) -> Result<DomainId, XsError> {
    let domid = strict_domid(string)?;
    if cx.core.is_fixed(domid) {
        return Err(XsError::EINVAL);
    }
    introduced(cx, domid)
}

pub fn release<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let id = guest(cx, one_string(request.payload)?)?;
    cx.leave(Deed::Release(id))
}

pub fn resume<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let id = guest(cx, one_string(request.payload)?)?;
    cx.core.store.domains.update(id).shutdown = false;
    Ok(Outcome::OK)
}

/// `domid|tdomid|`: from now on the first domain also has the rights of the second.
pub fn set_target<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut args = strings(request.payload);
    let [domid, target] = [args.required()?, args.required()?];
    let (domid, target) = (strict_domid(domid)?, strict_domid(target)?);
    let (id, target) = (introduced(cx, domid)?, introduced(cx, target)?);
    let Domain { domid, life, .. } = *cx.core.store.domains.get(target);
    cx.core.store.domains.update(id).target = Entry { domid, life, ..Entry::NOBODY };
    Ok(Outcome::OK)
}

pub fn is_domain_introduced<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let domid = strict_domid(one_string(request.payload)?)?;
    let is_introduced = domid == DomId::SELF || introduced(cx, domid).is_ok();
    reply.push(if is_introduced { b"T\0" } else { b"F\0" })?;
    Ok(Outcome::DATA)
}

pub fn get_domain_path<P: Platform>(
    _: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut digits = [0; 10];
    let [above, number] = home(strict_domid(one_string(request.payload)?)?, &mut digits);
    reply.push(above)?;
    reply.push_string(number)?;
    Ok(Outcome::DATA)
}
