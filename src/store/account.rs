//! What domains have held at most, for those who choose quotas, and the warning at the soft memory quota.

use super::Store;
use super::domain::{DomainId, Usage};
use crate::platform::Instant;
use crate::quota::Quotas;

/// Seconds between two warnings about one domain.
const WARNINGS_APART: u64 = 10;

impl Store {
    /// Notes what a domain holds now, and of what a request of it has used.
    pub fn account(&mut self, id: DomainId, request: Quotas, now: Instant) {
        let domain = self.domains.get(id);
        let (held, limit) = (domain.usage.memory, domain.quotas.soft_memory);
        let much = limit != 0 && held > limit && !domain.privileged;
        if much || !domain.usage.is_within(&domain.peak) || !request.is_within(&domain.peak) {
            self.account_more(id, request, much, now);
        }
    }

    #[inline(never)]
    fn account_more(&mut self, id: DomainId, request: Quotas, much: bool, now: Instant) {
        let domain = self.domains.update(id);
        let peak = domain.usage.as_quotas().max(request);
        domain.peak = domain.peak.max(peak);
        if much && domain.next_warning <= now {
            domain.next_warning = now.after_seconds(WARNINGS_APART);
            let Usage { memory, .. } = domain.usage;
            let limit = domain.quotas.soft_memory;
            log::warn!("domain {} holds {memory} bytes, its soft quota is {limit}", domain.domid);
        }
    }

    /// A guest goes: what it has held at most counts among those that are gone.
    pub fn account_end(&mut self, id: DomainId) {
        self.peak_of_gone = self.peak_of_gone.max(self.domains.get(id).most());
    }

    /// The most that any guest has held at once.
    pub fn peak(&self) -> Quotas {
        let guests = self.domains.iter().filter(|(_, domain)| !domain.privileged);
        guests.fold(self.peak_of_gone, |peak, (_, domain)| peak.max(domain.most()))
    }

    /// Forgets what was held once and is not any more.
    pub fn reset_peaks(&mut self) {
        self.peak_of_gone = Quotas::NOTHING;
        for slot in 0..self.domains.arena.capacity() as usize {
            let Some(id) = self.domains.at(slot) else { continue };
            let domain = self.domains.update(id);
            domain.peak = domain.usage.as_quotas();
        }
    }
}
