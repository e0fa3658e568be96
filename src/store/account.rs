//! The most that domains have held, as a guide for choosing quotas, and the warning at the soft memory quota.

use super::Store;
use super::domain::DomainId;
use super::holdings::Most;
use crate::platform::Instant;
use crate::quota::{Largest, Quotas};

/// Seconds between two warnings about one domain.
const WARNINGS_APART: u64 = 10;

impl Store {
    /// Warns of a domain that holds more than its soft memory quota.
    #[inline(always)] // The end of every request.
    pub fn watch_memory(&mut self, id: DomainId, now: Instant) {
        let (limit, memory) = (self.domains.get(id).quotas.soft_memory, self.held.of(id).usage.memory);
        if limit != 0 && memory > limit && !self.domains.is_privileged(id) {
            self.warn(id, now);
        }
    }

    #[cold]
    #[inline(never)]
    fn warn(&mut self, id: DomainId, now: Instant) {
        let memory = self.held.of(id).usage.memory;
        let domain = self.domains.update(id);
        if { domain.next_warning } <= now {
            domain.next_warning = now.after_seconds(WARNINGS_APART);
            let limit = domain.quotas.soft_memory;
            log::warn!("domain {} holds {memory} bytes, its soft quota is {limit}", domain.domid);
        }
    }

    /// Notes how much the request at hand has used of a quota on requests.
    #[inline(always)] // Almost every request does.
    pub fn note_peak(&mut self, amount: usize, of: impl Fn(&mut Largest) -> &mut u32) {
        let Some(id) = self.current.from else { return };
        let mut peak = self.domains.get(id).peak;
        let most = of(&mut peak);
        if amount as u32 > *most {
            *most = amount as u32;
            self.set_peak(id, peak);
        }
    }

    #[cold]
    #[inline(never)]
    fn set_peak(&mut self, id: DomainId, peak: Largest) {
        self.domains.update(id).peak = peak;
    }

    /// A guest ends: its peak joins that of former guests.
    pub fn account_end(&mut self, id: DomainId) {
        self.peak_of_gone = self.peak_of_gone.max(self.most(id));
    }

    /// The most that any guest has held at once.
    pub fn peak(&self) -> Quotas {
        let guests = self.domains.iter().filter(|(_, domain)| !domain.is_privileged());
        guests.fold(self.peak_of_gone, |peak, (id, _)| peak.max(self.most(id)))
    }

    /// The most that a domain has held at once, and the largest that one request of it has used.
    pub fn most(&self, id: DomainId) -> Quotas {
        { self.domains.get(id).peak }.beside(self.held.of(id).most())
    }

    /// Sets the most that a domain has held and used before the present server.
    pub fn set_most(&mut self, id: DomainId, most: Quotas) {
        self.held.update(id).note_before(&most);
        self.domains.update(id).peak = Largest::of(most);
    }

    /// Resets all peaks to what is held now.
    pub fn reset_peaks(&mut self) {
        self.peak_of_gone = Quotas::NOTHING;
        for slot in self.domains.slots() {
            let Some(id) = self.domains.at(slot) else { continue };
            let held = self.held.update(id);
            held.most = Most::NOTHING;
            held.note_most();
            self.domains.update(id).peak = Largest::NOTHING;
        }
    }
}
