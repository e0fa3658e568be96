//! What domains have held at most, for those who choose quotas, and the warning at the soft memory quota.

use super::Server;
use crate::platform::Platform;
use crate::quota::Quotas;
use crate::store::{DomainId, Usage};

/// Seconds between two warnings about one domain.
const WARNINGS_APART: u64 = 10;

impl<P: Platform> Server<P> {
    /// Takes note of what a domain holds now, and of what a request of it has used.
    pub(super) fn account(&mut self, id: DomainId, request: Quotas) {
        let domain = self.store.domains.get(id);
        let (held, limit) = (domain.usage.memory, domain.quotas.soft_memory);
        let much = limit != 0 && held > limit && !domain.privileged;
        if much || !domain.usage.is_within(&domain.peak) || !request.is_within(&domain.peak) {
            self.account_more(id, request, much);
        }
    }

    #[inline(never)]
    fn account_more(&mut self, id: DomainId, request: Quotas, much: bool) {
        let now = self.now;
        let domain = self.store.domains.update(id);
        let peak = domain.usage.as_quotas().max(request);
        domain.peak = domain.peak.max(peak);
        if much && domain.next_warning <= now {
            domain.next_warning = now.after_seconds(WARNINGS_APART);
            let Usage { memory, .. } = domain.usage;
            let limit = domain.quotas.soft_memory;
            log::warn!("domain {} holds {memory} bytes, its soft quota is {limit}", domain.domid);
        }
    }

    /// The most that any guest has held at once.
    pub(super) fn peak(&self) -> Quotas {
        let guests = self.store.domains.iter().filter(|(_, domain)| !domain.privileged);
        guests.fold(self.peak_of_gone, |peak, (_, domain)| peak.max(domain.most()))
    }

    /// Forgets what was held once and is not any more.
    pub(super) fn reset_peaks(&mut self) {
        self.peak_of_gone = Quotas::NOTHING;
        for slot in 0..self.store.domains.arena.capacity() as usize {
            let Some(id) = self.store.domains.at(slot) else { continue };
            let domain = self.store.domains.update(id);
            domain.peak = domain.usage.as_quotas();
        }
    }
}
