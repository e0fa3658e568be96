//! Slots counted for whom they are taken: counting them is what checks a guest's share, see [`share`](super::share).

use super::Store;
use super::domain::DomainId;
use super::holdings::Usage;
use super::share::{Promise, Share, spare};
use crate::slots::{Blob, Claim, Full, Room};

impl Store {
    fn room(&self, kind: Share) -> Room {
        match kind {
            Share::Nodes => self.nodes.arena().room(),
            Share::Chunks => self.blobs.arena().room(),
            Share::Acls => self.acls.table().arena().room(),
            Share::Watches => self.watches.arena.room(),
            Share::Transactions => self.transactions.open.arena().room(),
            Share::Copies => self.transactions.nodes.arena().room(),
            // Theirs is not the store's arena.
            Share::Messages => Room { capacity: 0, free: 0 },
        }
    }

    /// What is promised to all but the guest that holds this.
    fn promised_to_others(&self, usage: &Usage, kind: Share) -> Promise {
        let all = self.promises.get().get(kind as usize).copied().unwrap_or_default();
        all.shifted(Promise::to(usage, kind), Promise::default())
    }

    /// Whether a domain may take so many slots more of a kind.
    #[inline(always)] // Most transactions end without.
    pub fn may_take(&self, id: DomainId, kind: Share, count: u32) -> bool {
        count == 0 || self.may_take_of(self.room(kind), id, kind, count)
    }

    /// The same of a kind that lies in no arena of the store.
    pub fn may_take_of(&self, room: Room, id: DomainId, kind: Share, count: u32) -> bool {
        self.may_take_with_all(room, id, kind, count, 0)
    }

    /// The same though each of so many domains may have taken as many before.
    #[inline(never)]
    pub fn may_take_with_all(&self, room: Room, id: DomainId, kind: Share, count: u32, domains: u32) -> bool {
        let usage = &self.held.of(id).usage;
        let privileged = self.domains.is_privileged(id);
        let claim = Claim::to_keep(privileged);
        let Some(free) = room.free.checked_sub(count.saturating_mul(domains.max(1))) else { return false };
        if privileged {
            return free >= claim.kept(room.capacity);
        }
        let held = usage.held(kind).saturating_add(count);
        let others = self.promised_to_others(usage, kind);
        let others = Promise { beyond: others.beyond.max(domains), ..others };
        spare(claim, kind, held, others, Room { free, ..room }).is_some()
    }

    /// Counts slots that have been taken of a kind for a guest; the privileged count no chunks, lists, copies and messages.
    /// Refused as [`Store::taken`]. In an attempt.
    #[inline(always)] // The privileged are spared all but a look.
    pub fn take(&mut self, id: DomainId, kind: Share, count: u32) -> Result<(), Full> {
        if self.domains.is_privileged(id) { Ok(()) } else { self.count(id, kind, count) }
    }

    /// Counts slots that are given back of a kind that a guest had taken. In an attempt.
    #[inline(always)] // As for `take`.
    pub fn give(&mut self, id: DomainId, kind: Share, count: u32) -> Result<(), Full> {
        self.take(id, kind, count.wrapping_neg())
    }

    #[inline(never)]
    fn count(&mut self, id: DomainId, kind: Share, by: u32) -> Result<(), Full> {
        let place = self.held.modify(id)?.usage.place(kind);
        *place = place.wrapping_add(by);
        self.moved(id, kind, by)
    }

    /// Follows a guest's count that has been moved: moves what is promised with it. Refused if that was up, the guest has
    /// more than its share then, and the attempt is for what guests take.
    #[inline(never)]
    pub fn moved(&mut self, id: DomainId, kind: Share, by: u32) -> Result<(), Full> {
        let room = self.room(kind);
        self.moved_in(room, id, kind, by)
    }

    /// The same of a kind that lies in no arena of the store.
    pub fn moved_in(&mut self, room: Room, id: DomainId, kind: Share, by: u32) -> Result<(), Full> {
        let claim = self.attempt.claim();
        let usage = self.held.of(id).usage;
        let mut before = usage;
        let place = before.place(kind);
        *place = place.wrapping_sub(by);
        self.promise_anew(kind, Promise::to(&before, kind), Promise::to(&usage, kind));
        let held = usage.held(kind);
        let more = held > before.held(kind);
        if !more || !claim.is_shared() {
            return Ok(());
        }
        let others = self.promised_to_others(&usage, kind);
        let spare = spare(claim, kind, held, others, room);
        self.crowded |= spare.is_none_or(|spare| spare < room.free / 4) && self.may_be_crowded(kind);
        spare.map(|_| ()).ok_or(Full)
    }

    /// Whether more memory would be room for more of a kind. What waits is read soon, or bounded by its own; and what is lent
    /// will be there again.
    fn may_be_crowded(&self, kind: Share) -> bool {
        match kind {
            Share::Nodes => !self.nodes.arena().is_lent(),
            kind => kind != Share::Messages,
        }
    }

    /// Whether a guest has had to leave others nearly all that was free, or was refused so, since this was last asked.
    pub fn take_crowded(&mut self) -> bool {
        core::mem::take(&mut self.crowded)
    }

    #[inline(never)]
    fn promise_anew(&mut self, kind: Share, old: Promise, new: Promise) {
        if old != new
            && let Some(promise) = self.promises.modify().get_mut(kind as usize)
        {
            *promise = promise.shifted(old, new);
        }
    }

    /// Counts the chunks of as many bytes of blob memory, as [`Store::take`] or, for fewer than before, [`Store::give`].
    #[inline(always)] // As for `take`.
    pub fn move_chunks(&mut self, id: DomainId, old: u32, new: u32) -> Result<(), Full> {
        if old == new {
            return Ok(());
        }
        // The difference is a multiple of a chunk's, also around zero.
        let more = new.wrapping_sub(old) as i32 / Blob::CHUNK_MEMORY as i32;
        self.take(id, Share::Chunks, more as u32)
    }

    /// From now on what a domain lacks is kept for it, or is not any more. In an attempt.
    pub fn promise(&mut self, id: DomainId, promised: bool) -> Result<(), Full> {
        let usage = &mut self.held.modify(id)?.usage;
        if core::mem::replace(&mut usage.promised, promised) != promised {
            let parts = usage.lacks();
            for (promise, part) in self.promises.modify().iter_mut().zip(parts) {
                *promise = match promised {
                    true => promise.shifted(Promise::default(), part),
                    false => promise.shifted(part, Promise::default()),
                };
            }
        }
        Ok(())
    }
}
