//! Watch events: the one place that decides who hears of a change, and in which order.

use alloc::collections::BinaryHeap;

use super::scratch::Match;
use super::{SHARES, Server};
use crate::connection::GivenUp;
use crate::connection::outbox::{Kind, Message};
use crate::path::{Path, PathBuf};
use crate::perms::Access;
use crate::platform::Platform;
use crate::slots::Claim;
use crate::store::{AclId, Change, Domain, DomainId, NameBuf, NodeId, Store, Watch};
use crate::trace::{Kind as Traced, Record};
use crate::wire::{Header, MessageBuf, MessageType, TxId, XsError, strings};

/// Messages that a guest's requests may leave waiting in any case.
const CAUSED_MIN: u32 = 32;

/// Puts an event together. E2BIG if it is longer than a message.
fn event<'a>(message: &'a mut MessageBuf, path: &[u8], token: &[u8]) -> Result<&'a [u8], XsError> {
    message.clear();
    message.push_string(path)?;
    message.push_string(token)?;
    let msg_type = MessageType::WatchEvent as u32;
    Ok(message.finish(Header { msg_type, req_id: 0, tx_id: TxId::NONE, len: 0 }))
}

impl<P: Platform> Server<P> {
    /// Fires the event of the node at `path` as it is now; `old` is the list it had before, if that matters.
    pub(super) fn fire_for_node(&mut self, id: NodeId, path: Path<'_>, change: Change, old: Option<AclId>) {
        let above = match self.store.node(id).parent {
            Some(parent) => self.store.acl(parent),
            None => self.store.lookup(Path::ROOT).and_then(|root| self.store.acl(root)),
        };
        self.fire(path, Some(id), change, &[old, self.store.acl(id), above]);
    }

    /// Sends the event of a change at `path` to each watch that it concerns, for connections that may read
    /// by one of `lists`: the node's before and after, and that of the node above. `node` is the node there,
    /// if it is still there.
    pub(super) fn fire(
        &mut self,
        path: Path<'_>,
        node: Option<NodeId>,
        change: Change,
        lists: &[Option<AclId>],
    ) {
        let mut matches = core::mem::take(&mut self.scratch.matches);
        matches.clear();
        let server = &*self;
        let mut last = None;
        server.store.matching_watches(path, node, change, |id, watch| {
            // One client's watches often follow one another.
            let may_hear = match last {
                Some((domain, may_hear)) if domain == watch.domain => may_hear,
                _ => server.may_hear(watch.domain, lists),
            };
            last = Some((watch.domain, may_hear));
            if may_hear && matches.len() < matches.capacity() {
                matches.push(Match { domain: watch.domain, sequence: watch.sequence, id });
            }
        });
        if matches.len() > 1 {
            // In place, as the slices' own sorts are, in an eighth of their code.
            matches = BinaryHeap::from(matches).into_sorted_vec();
        }
        let hash = match node {
            _ if matches.is_empty() => 0,
            Some(id) => self.store.node(id).hash,
            None => self.store.note_name(path),
        };
        for n in 0..matches.len() {
            self.send_event_of(&matches, n, path, hash);
        }
        self.scratch.matches = matches;
    }

    /// Whether one of the permission lists lets the domain read.
    fn may_hear(&self, domain: DomainId, lists: &[Option<AclId>]) -> bool {
        let caller = self.caller(domain);
        let Store { acls, blobs, .. } = &self.store;
        lists.iter().flatten().any(|acl| acls.access(blobs, *acl, &caller).contains(Access::READ))
    }

    /// Sends the event of the nth match; `hash` is that of `path`.
    fn send_event_of(&mut self, matches: &[Match], n: usize, path: Path<'_>, hash: u64) {
        let (Some(Match { id, .. }), Some(mut message)) =
            (matches.get(n).copied(), self.scratch.event.take())
        else {
            return;
        };
        let watch = self.store.watches.arena.get(id);
        let to = watch.domain;
        let mut long = NameBuf::new();
        let token = watch.token.contiguous(&self.store.blobs, &mut long);
        // Two watches of one client on different paths with one token would tell it the same thing twice.
        let earlier = matches.get(..n).unwrap_or_default().iter().rev();
        let mut own = earlier
            .map(|earlier| self.store.watches.arena.get(earlier.id))
            .take_while(|earlier| earlier.domain == watch.domain);
        let told = |earlier: &Watch| {
            earlier.token_hash == watch.token_hash
                && earlier.relative == watch.relative
                && earlier.token.equals(&self.store.blobs, token)
        };
        let special = path.is_special();
        if special || !own.any(told) {
            let shown = if watch.relative { path.relative_to_home() } else { path.as_bytes() };
            if let Ok(message) = event(&mut message, shown, token) {
                self.send_event(to, special, hash, message);
            }
        }
        self.scratch.event = Some(message);
    }

    /// Sends one event. One that finds no room, or waits already, is dropped.
    fn send_event(&mut self, to: DomainId, special: bool, hash: u64, message: &[u8]) {
        let privileged = self.is_privileged(to);
        let Domain { domid, quotas, usage, .. } = self.store.domains.get(to);
        let (domid, quota, held) = (*domid, quotas.memory, usage.memory);
        let connection = self.links.get(to);
        let waits = connection.is_some_and(|connection| !connection.queue.is_empty());
        if !special && waits && self.links.outbox.has(&self.store, to, message) {
            return;
        }
        let timeout = u64::from(self.settings.watch_event_timeout);
        let deadline = (timeout != 0 && !privileged).then(|| self.clock.now.after_seconds(timeout));
        let memory = Message::memory(message.len());
        let affordable = privileged || quota == 0 || held.saturating_add(memory) <= quota;
        let by = self.store.current.from;
        let claim = if by.is_some_and(|by| self.floods(by)) {
            Claim::GreedyGuest
        } else if privileged && special {
            // That a domain has died is told once, whatever guests leave waiting.
            Claim::Answer
        } else {
            Claim::to_keep(privileged, self.is_greedy(to))
        };
        self.recorder.counters.events += 1;
        let size = (message.len() - Header::SIZE) as u16;
        self.record(Record { hash, size, ..Record::new(Traced::Event, domid) });
        let msg_type = self.store.current.type_index;
        self.tallies(to).for_each(|tally| tally.events = tally.events.wrapping_add(1));
        if !(affordable
            && self.links.send(&mut self.store, self.clock.now, to, claim, Kind::Event { deadline }, message))
        {
            self.note_dropped(to, msg_type, hash, size);
        }
    }

    /// Records that a domain never gets an event that a request of this type has caused.
    #[cold]
    #[inline(never)]
    fn note_dropped(&mut self, to: DomainId, msg_type: usize, hash: u64, size: u16) {
        let domid = self.store.domains.get(to).domid;
        self.note(Record { hash, size, ..Record::new(Traced::Dropped, domid) });
        self.recorder
            .tallies(msg_type, to.index())
            .for_each(|tally| tally.dropped = tally.dropped.wrapping_add(1));
    }

    /// The same, if a message that was queued is an event.
    #[cold]
    #[inline(never)]
    pub(super) fn note_given_up(&mut self, to: DomainId, message: &GivenUp) {
        if message.kind != Kind::Reply {
            self.note_dropped(to, message.type_index, 0, (message.len - Header::SIZE) as u16);
        }
    }

    /// Whether more waits because of this guest than ordinary guests cause. Its further events leave room for
    /// what others cause, also when they are for the privileged.
    fn floods(&self, guest: DomainId) -> bool {
        let share = self.links.outbox.messages.arena().capacity() / SHARES as u32;
        self.store.domains.get(guest).caused > share.max(CAUSED_MIN)
    }

    /// The event that follows the answer to WATCH: it repeats what the client sent.
    pub(super) fn send_first_event(&mut self, to: DomainId, payload: &[u8]) {
        let mut args = strings(payload);
        let (Some(path), Some(token)) = (args.next(), args.next()) else { return };
        let Some(mut message) = self.scratch.event.take() else { return };
        if let Ok(message) = event(&mut message, path, token) {
            self.send_event(to, path.first() == Some(&b'@'), self.store.current.named, message);
        }
        self.scratch.event = Some(message);
    }

    /// Fires a special event, `@introduceDomain` or `@releaseDomain`, and then its case for one domain.
    pub(super) fn fire_special(&mut self, general: Path<'_>, domid: Option<crate::abi::DomId>) {
        use core::fmt::Write;
        let node = self.store.lookup(general).and_then(|id| self.store.acl(id));
        let root = self.store.lookup(Path::ROOT).and_then(|id| self.store.acl(id));
        match domid {
            None => self.fire(general, None, Change::Exact, &[node, root]),
            Some(domid) => {
                let mut buf = PathBuf::new();
                let fits =
                    buf.extend_from_slice(general.as_bytes()).is_ok() && write!(buf, "/{domid}").is_ok();
                if fits {
                    self.fire(Path::from_canonical(&buf), None, Change::Exact, &[node, root]);
                }
            }
        }
    }
}
