//! GET_FEATURE, SET_FEATURE, GET_QUOTA, SET_QUOTA: what each domain is offered and may hold.

use core::fmt::Write;

use super::Server;
use super::operations::{Outcome, Request};
use super::scratch::Reply;
use crate::abi::{DomId, ServerFeatures};
use crate::platform::Platform;
use crate::quota::{QUOTAS, Quota};
use crate::store::DomainId;
use crate::wire::{XsError, plain_number, strict_domid, strings};

impl<P: Platform> Server<P> {
    pub(super) fn get_feature(
        &mut self,
        platform: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut args = strings(request.payload);
        let count = args.remaining();
        if count > 0 && !request.view.caller.privileged {
            return Err(XsError::EACCES);
        }
        let id = match count {
            0 => request.from,
            1 => self.known(platform, args.required()?)?,
            _ => return Err(XsError::EINVAL),
        };
        write!(reply, "{}\0", self.store.domains.get(id).features.bits()).map_err(|_| XsError::E2BIG)?;
        Ok(Outcome::Data)
    }

    pub(super) fn set_feature(
        &mut self,
        platform: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut args = strings(request.payload);
        if args.remaining() != 2 {
            return Err(XsError::EINVAL);
        }
        let id = self.known(platform, args.required()?)?;
        let value = plain_number(args.required()?);
        if self.links.has(id) {
            return Err(XsError::EBUSY);
        }
        let features = value.filter(|value| value & !self.supported_features() == 0);
        let features = features.and_then(ServerFeatures::from_bits).ok_or(XsError::EINVAL)?;
        self.store.domains.update(id).features = features;
        Ok(Outcome::Ok)
    }

    /// Without argument the names, with a name the default, with a domid and a name that domain's.
    pub(super) fn get_quota(
        &mut self,
        platform: &mut P,
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
                return Ok(Outcome::Data);
            }
            1 => self.settings.quotas,
            2 => {
                let id = self.known(platform, args.required()?)?;
                self.store.domains.get(id).quotas
            }
            _ => return Err(XsError::EINVAL),
        };
        let quota = Quota::named(args.required()?).ok_or(XsError::EINVAL)?;
        write!(reply, "{}\0", (quota.get)(&quotas)).map_err(|_| XsError::E2BIG)?;
        Ok(Outcome::Data)
    }

    /// With a name and a value the default for domains to come, with a domid before them that domain's. The highest
    /// number stands upstream for a quota that there is not.
    pub(super) fn set_quota(
        &mut self,
        platform: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut args = strings(request.payload);
        let id = match args.remaining() {
            2 => None,
            3 => Some(self.known(platform, args.required()?)?),
            _ => return Err(XsError::EINVAL),
        };
        let quota = Quota::named(args.required()?).ok_or(XsError::EINVAL)?;
        let value =
            plain_number(args.required()?).filter(|value| *value < u32::MAX).ok_or(XsError::EINVAL)?;
        match id {
            Some(id) => (quota.set)(&mut self.store.domains.update(id).quotas, value),
            None => (quota.set)(&mut self.settings.quotas, value),
        }
        Ok(Outcome::Ok)
    }

    /// The record of the living domain that a domid names, which may be made before its introduction; ENOENT if
    /// there is no such domain.
    fn known(&mut self, platform: &mut P, string: &[u8]) -> Result<DomainId, XsError> {
        self.know(platform, strict_domid(string)?).ok_or(XsError::ENOENT)
    }

    /// The record that a domid names; ENOENT if there is none.
    pub(super) fn record_of(&self, string: &[u8]) -> Result<DomainId, XsError> {
        let domid: DomId = strict_domid(string)?;
        self.store.domains.find(domid).ok_or(XsError::ENOENT)
    }
}
