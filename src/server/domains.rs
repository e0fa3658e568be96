//! INTRODUCE, RELEASE, RESUME, SET_TARGET, IS_DOMAIN_INTRODUCED, GET_DOMAIN_PATH. xenstore.txt, "Domain
//! management and xenstored communications".

use super::Server;
use super::operations::{Outcome, Request};
use super::scratch::Reply;
use crate::abi::{DomId, Port};
use crate::path::{Path, home};
use crate::perms::Entry;
use crate::platform::Platform;
use crate::store::{Domain, DomainId};
use crate::trace::Kind;
use crate::wire::{XsError, number, one_string, strict_domid, strings};

impl<P: Platform> Server<P> {
    /// `domid|gfn|port|`: starts to serve a domain, or starts afresh. The frame number is of no use here:
    /// the page comes by grant.
    pub(super) fn introduce(
        &mut self,
        platform: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut args = strings(request.payload);
        if args.remaining() < 3 {
            return Err(XsError::EINVAL);
        }
        let domid = strict_domid(args.required()?)?;
        let _gfn = args.required()?;
        let port = u32::try_from(number(args.required()?)).map_err(|_| XsError::EINVAL)?;
        if port == 0 || self.is_fixed(domid) {
            return Err(XsError::EINVAL);
        }
        self.bury_predecessor(platform, domid);
        let id = self.know(platform, domid).ok_or(XsError::EINVAL)?;
        if self.links.has(id) {
            self.rebind(platform, id, domid, Port(port));
            self.drop_session(id);
            self.note_of_domain(Kind::Restarted, domid, 0);
            self.links.restart(id);
        } else {
            self.connect(platform, id, domid, Port(port))?;
            self.fire_special(Path::INTRODUCE_DOMAIN, None);
            self.fire_special(Path::INTRODUCE_DOMAIN, Some(domid));
            self.links.restart(id);
        }
        Ok(Outcome::Ok)
    }

    /// If the number now means another domain than the one on record, that one is gone.
    fn bury_predecessor(&mut self, platform: &mut P, domid: DomId) {
        let Some(id) = self.store.domains.find(domid) else { return };
        let known = self.store.domains.get(id).unique_id;
        let now = platform.state(domid).map(|state| state.unique_id);
        if known != 0 && now != Some(known) {
            self.destroy(platform, id);
        }
    }

    /// The domains that are neither introduced nor released: the privileged and the server's own.
    fn is_fixed(&self, domid: DomId) -> bool {
        self.own == Some(domid) || self.store.domains.find(domid).is_some_and(|id| self.is_privileged(id))
    }

    /// The introduced domain that a request is about: EINVAL for a fixed one, ENOENT if there is none.
    fn introduced(&self, string: &[u8]) -> Result<DomainId, XsError> {
        let domid = strict_domid(string)?;
        if self.is_fixed(domid) {
            return Err(XsError::EINVAL);
        }
        self.store.domains.find(domid).filter(|id| self.links.has(*id)).ok_or(XsError::ENOENT)
    }

    pub(super) fn release(
        &mut self,
        platform: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let id = self.introduced(one_string(request.payload)?)?;
        self.destroy(platform, id);
        Ok(Outcome::Ok)
    }

    pub(super) fn resume(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let id = self.introduced(one_string(request.payload)?)?;
        self.store.domains.update(id).shutdown = false;
        Ok(Outcome::Ok)
    }

    /// `domid|tdomid|`: from now on the first also has the rights of the second.
    pub(super) fn set_target(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut args = strings(request.payload);
        if args.remaining() < 2 {
            return Err(XsError::EINVAL);
        }
        let (domid, target) = (strict_domid(args.required()?)?, strict_domid(args.required()?)?);
        let find = |domid| {
            let id = self.store.domains.find(domid);
            id.filter(|id| self.links.has(*id)).ok_or(XsError::ENOENT)
        };
        let (id, target) = (find(domid)?, find(target)?);
        let Domain { domid, life, .. } = *self.store.domains.get(target);
        self.store.domains.update(id).target = Entry { domid, life, ..Entry::NOBODY };
        Ok(Outcome::Ok)
    }

    pub(super) fn is_domain_introduced(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let domid = strict_domid(one_string(request.payload)?)?;
        let known = self.store.domains.find(domid);
        let introduced = domid == DomId::SELF || known.is_some_and(|id| self.links.has(id));
        reply.push(if introduced { b"T\0" } else { b"F\0" })?;
        Ok(Outcome::Data)
    }

    pub(super) fn get_domain_path(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut digits = [0; 10];
        let [above, number] = home(strict_domid(one_string(request.payload)?)?, &mut digits);
        reply.push(above)?;
        reply.push_string(number)?;
        Ok(Outcome::Data)
    }
}
