//! The checks of quotas.

use super::refusal::Refusal;
use super::{Store, View};
use crate::quota::{Quota, Quotas};
use crate::wire::XsError;

impl Store {
    /// Refuses an `amount` above the client's quota, with the error of the table of quotas. A quota of 0 limits nobody.
    #[inline(always)] // Nothing of the table is looked up then.
    pub fn check_quota(&self, view: &View, quota: Quota, amount: usize) -> Result<(), XsError> {
        self.check_against(view, &self.domains.get(view.domain).quotas, quota, amount)
    }

    /// The same where a domain with these quotas pays for the client's request.
    #[inline(always)]
    pub(super) fn check_against(
        &self,
        view: &View,
        quotas: &Quotas,
        quota: Quota,
        amount: usize,
    ) -> Result<(), XsError> {
        let limit = (quota.get)(quotas);
        if view.caller.is_privileged() || limit == 0 || amount <= limit as usize {
            return Ok(());
        }
        let error = quota.excess.error(view.changes_nodes);
        error.map_or(Ok(()), |error| Err(self.refused.note(quota.place, limit, error)))
    }

    /// The quota that has refused the request at hand, once; none if it was for lack of room.
    pub fn take_refusal(&mut self) -> Option<Refusal> {
        self.refused.take()
    }
}
