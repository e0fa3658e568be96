//! The most that domains have held, as a guide for choosing quotas, and the warning at the soft memory quota.

use super::Store;
use super::domain::{DomainId, Usage};
use crate::platform::Instant;
use crate::quota::Quotas;

/// Seconds between two warnings about one domain.
const WARNINGS_APART: u64 = 10;

impl Store {
    /// Notes what a domain holds now.
    pub fn account(&mut self, id: DomainId, now: Instant) {
        self.account_for(id, &Quotas::NOTHING, now);
    }

    /// Notes what a domain holds now, and what its request, the one at hand, has used.
    #[inline(always)] // The end of every request.
    pub fn account_with_request(&mut self, id: DomainId, now: Instant) {
        let domain = self.domains.get(id);
        let request = &self.current.peaks;
        if domain.is_above_soft() || !domain.usage.is_within(&domain.peak) || !request.is_within(&domain.peak)
        {
            let request = *request;
            self.account_for(id, &request, now);
        }
    }

    #[inline(never)]
    fn account_for(&mut self, id: DomainId, request: &Quotas, now: Instant) {
        let domain = self.domains.update(id);
        let peak = domain.usage.as_quotas().max(*request);
        domain.peak = domain.peak.max(peak);
        if domain.is_above_soft() && domain.next_warning <= now {
            domain.next_warning = now.after_seconds(WARNINGS_APART);
            let Usage { memory, .. } = domain.usage;
            let limit = domain.quotas.soft_memory;
            log::warn!("domain {} holds {memory} bytes, its soft quota is {limit}", domain.domid);
        }
    }

    /// A guest ends: its peak joins that of former guests.
    pub fn account_end(&mut self, id: DomainId) {
        self.peak_of_gone = self.peak_of_gone.max(self.domains.get(id).most());
    }

    /// The most that any guest has held at once.
    pub fn peak(&self) -> Quotas {
        let guests = self.domains.iter().filter(|(_, domain)| !domain.is_privileged());
        guests.fold(self.peak_of_gone, |peak, (_, domain)| peak.max(domain.most()))
    }

    /// Resets all peaks to what is held now.
    pub fn reset_peaks(&mut self) {
        self.peak_of_gone = Quotas::NOTHING;
        for slot in self.domains.slots() {
            let Some(id) = self.domains.at(slot) else { continue };
            let domain = self.domains.update(id);
            domain.peak = domain.usage.as_quotas();
        }
    }
}
