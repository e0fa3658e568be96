//! The steps of work that has been decided. Each is an attempt of its own, and the next follows from the intent and the
//! store alone.

use super::Store;
use super::acl::ENTRIES_MAX;
use super::current::Answer;
use super::domain::{Domain, DomainId};
use super::holdings::Holdings;
use super::intent::{Announcement, Burial, Ended, Intent, Removal, Restart};
use super::node::NodeId;
use super::transaction::TransactionId;
use crate::abi::DomId;
use crate::config::Capacities;
use crate::path::Path;
use crate::perms::Entry;
use crate::slots::{CHUNK, Claim, Slot};
use crate::trace::Kind;
use crate::wire::{PAYLOAD_MAX, XsError};

/// Slots of one kind that one step may free: the journals have room for so many.
pub const BATCH: usize = 8;

/// Chunks that freeing one slot may free: of two byte strings of full length and two permission lists.
pub const CHUNKS: usize = 2 * (PAYLOAD_MAX.div_ceil(CHUNK) + (ENTRIES_MAX * Entry::SIZE).div_ceil(CHUNK));

const _: () = assert!(CHUNKS <= Capacities::CHUNKS_FREED);

/// What comes after a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Another step.
    Step,
    /// What the step has collected is to be sent, then another step.
    Send,
    /// A ring is to be reset.
    Restart(Restart),
    /// This domain's connection is to be removed, then its burial goes on.
    Disconnect(DomainId),
    /// This domain is buried.
    Buried(DomainId, DomId),
    /// A part of the consistency check, or of a layer.
    Check,
    /// Nothing.
    Nothing,
}

impl Store {
    /// Begins work, in a step of its own. With an answer, that step decides the request at hand.
    pub fn begin(
        &mut self,
        answer: Option<Result<Answer, XsError>>,
        change: impl FnOnce(&mut Intent),
    ) -> Result<(), XsError> {
        self.attempt_for(answer, Claim::Answer, |store| {
            change(store.intents.modify()?);
            Ok(())
        })
    }

    /// Drops all work that is left.
    pub fn give_up(&mut self) {
        let forgotten = self.begin(None, |intent| {
            let Intent { told, gathered, over, .. } = *intent;
            *intent = Intent { told, gathered, over, ..Intent::EMPTY };
        });
        debug_assert!(forgotten.is_ok(), "there is room for the record of what is to be done");
    }

    /// Whether the attempt at hand may free one more slot, after `done` of them.
    pub(super) fn has_room_for_more(&self, done: usize) -> bool {
        done == 0 || (done < BATCH && self.blobs.arena().room_to_free() >= CHUNKS)
    }

    /// Takes the next step. `connected` says whether a domain has a connection.
    pub fn step(&mut self, connected: impl Fn(DomainId) -> bool) -> Result<Next, XsError> {
        if self.intents.is_empty() {
            return Ok(Next::Nothing);
        }
        let intent = *self.intents.get();
        if intent.is_for_connections()
            && let Some(restart) = intent.restart
        {
            return Ok(Next::Restart(restart));
        }
        if intent.is_for_connections()
            && let Some(burial) = intent.bury
            && connected(burial.id)
        {
            return Ok(Next::Disconnect(burial.id));
        }
        if intent.check {
            return Ok(Next::Check);
        }
        // What has been decided is not refused for lack of reserves.
        self.attempt(Claim::Answer, |store| store.take_step(&intent))
    }

    fn take_step(&mut self, intent: &Intent) -> Result<Next, XsError> {
        if let Some(announcement) = intent.announce {
            self.announce(announcement)
        } else if let Some(removal) = intent.remove {
            self.remove_more(removal, 0)
        } else if let Some((top, at)) = intent.unmake {
            self.unmake_more(top, at)
        } else if let Some(apply) = intent.apply {
            self.apply_more(apply)
        } else if let Some(id) = intent.reset {
            if self.reset_more(id)? {
                self.intents.modify()?.reset = None;
            }
            Ok(Next::Step)
        } else if let Some(burial) = intent.bury {
            self.bury_more(burial)
        } else {
            Ok(Next::Nothing)
        }
    }

    fn announce(&mut self, announcement: Announcement) -> Result<Next, XsError> {
        match announcement {
            Announcement::Introduced(domid) => self.collect_special(Path::INTRODUCE_DOMAIN, Some(domid)),
            Announcement::Released(domid) => self.collect_special(Path::RELEASE_DOMAIN, Some(domid)),
        }
        self.intents.modify()?.announce = None;
        Ok(Next::Send)
    }

    /// Notes that a domain has shut down, and collects the event for that domain.
    pub fn note_shutdown(&mut self, id: DomainId) -> Result<(), XsError> {
        self.attempt(Claim::Answer, |store| {
            let record = store.domains.modify(id)?;
            record.shutdown = true;
            let domid = record.domid;
            store.intents.modify()?.shut_down = true;
            store.collect_special(Path::RELEASE_DOMAIN, Some(domid));
            Ok(())
        })
    }

    /// Collects the general event for shutdowns, if there were any.
    pub fn announce_shutdowns(&mut self) -> Result<(), XsError> {
        if self.intents.get().shut_down {
            self.attempt(Claim::Answer, |store| {
                store.intents.modify()?.shut_down = false;
                store.collect_special(Path::RELEASE_DOMAIN, None);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Forgets some of what nobody is to hear of any more. False if there is nothing of it.
    pub fn forget_some(&mut self) -> bool {
        let Some(tx) = self.intents.get().over.first() else { return false };
        let forgotten = self.attempt(Claim::Answer, |store| store.forget_more(tx, 0));
        debug_assert!(forgotten.is_ok(), "the journal has room for a step");
        forgotten.is_ok()
    }

    /// Begins to forget a transaction. In an attempt.
    pub fn end_transaction(&mut self, tx: TransactionId, kind: Option<Kind>) -> Result<(), XsError> {
        self.note_end(tx, kind);
        self.forget_more(tx, 0).map(|_| ())
    }

    pub(super) fn note_end(&mut self, tx: TransactionId, kind: Option<Kind>) {
        let open = self.transactions.open.get(tx);
        self.ended = Some(Ended { kind, domain: open.domain, id: open.id, nodes: open.node_count });
    }

    /// Whether a transaction has ended of which that is still to be recorded.
    #[inline(always)] // After every step.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// How a transaction has ended, once.
    pub fn take_ended(&mut self) -> Option<Ended> {
        self.ended.take()
    }

    /// Frees some of what a domain's session holds: watches, then transactions. True if it holds nothing.
    fn reset_more(&mut self, id: DomainId) -> Result<bool, XsError> {
        let mut done = 0;
        while let Some(watch) = self.held.of(id).watches.first()
            && self.has_room_for_more(done)
        {
            self.remove_watch(watch)?;
            done += 1;
        }
        if done > 0 {
            return Ok(false);
        }
        match self.held.of(id).transactions.first() {
            Some(tx) => self.end_transaction(tx, Some(Kind::TransactionAborted)).map(|()| false),
            None => Ok(true),
        }
    }

    fn bury_more(&mut self, burial: Burial) -> Result<Next, XsError> {
        let Burial { id, introduced, keep_nodes, .. } = burial;
        if self.held.of(id).usage.promised {
            self.promise(id, false)?;
        }
        if !self.reset_more(id)? {
            return Ok(Next::Step);
        }
        if let Some(node) = self.held.of(id).nodes.first() {
            if keep_nodes || self.node(node).parent.is_none() {
                self.hand_to_privileged(node)?;
            } else {
                let top = self.highest_of(id, node);
                self.intents.modify()?.remove = Some(Removal { top, at: top, told: true, noted: true });
            }
            return Ok(Next::Step);
        }
        let domid = self.domains.get(id).domid;
        self.domains.dismiss(id)?;
        *self.held.modify(id)? = Holdings::EMPTY;
        let intent = self.intents.modify()?;
        intent.bury = None;
        if introduced {
            intent.shut_down = false;
            intent.announce = Some(Announcement::Released(domid));
            self.collect_special(Path::RELEASE_DOMAIN, None);
        }
        Ok(Next::Buried(id, domid))
    }

    /// The highest node of `owner` at or above `node`, below the root.
    fn highest_of(&self, owner: DomainId, node: NodeId) -> NodeId {
        let (mut top, mut at) = (node, node);
        while let Some(parent) = self.node(at).parent {
            at = parent;
            if self.owner_of(at) == Some(owner) && self.node(at).parent.is_some() {
                top = at;
            }
        }
        top
    }

    fn hand_to_privileged(&mut self, node: NodeId) -> Result<(), XsError> {
        let new = self.domains.privileged().ok_or(XsError::EIO)?;
        let Domain { domid, life, .. } = *self.domains.get(new);
        let old = self.acl(node).ok_or(XsError::EIO)?;
        let acl = self.intern_for(old, domid, life)?;
        Ok(self.set_acl(node, acl)?)
    }
}
