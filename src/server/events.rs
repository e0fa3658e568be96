//! Watch events: the one place that decides who hears of a change, and in which order.

use alloc::collections::BinaryHeap;

use super::{Match, SHARES, Server};
use crate::domain::DomainId;
use crate::outbox::{Kind, Message};
use crate::path::{Path, PathBuf};
use crate::perms::Access;
use crate::platform::Platform;
use crate::store::{AclId, Claim, NameBuf, Store};
use crate::trace::{self, Record};
use crate::watch::{Change, Watch};
use crate::wire::{Header, MessageType, PAYLOAD_MAX, TxId, strings};

/// Messages that a guest's requests may leave waiting in any case.
const CAUSED_MIN: u32 = 32;

impl<P: Platform> Server<P> {
    /// Fires the event of the node at `path` as it is now; `old` is the list it had before, if that matters.
    pub(super) fn fire_for_node(&mut self, path: Path<'_>, change: Change, old: Option<AclId>) {
        let node = self.store.lookup(path);
        let own = node.and_then(|id| self.store.acl(id));
        let above = node.and_then(|id| match self.store.node(id).parent {
            Some(parent) => self.store.acl(parent),
            None => self.store.lookup(Path::ROOT).and_then(|root| self.store.acl(root)),
        });
        self.fire(path, change, &[old, own, above]);
    }

    /// Sends the event of a change at `path` to each watch that it concerns, for connections that may read
    /// by one of `lists`: the node's before and after, and that of the node above.
    pub(super) fn fire(&mut self, path: Path<'_>, change: Change, lists: &[Option<AclId>]) {
        let mut matches = core::mem::take(&mut self.matches);
        matches.clear();
        let server = &*self;
        let mut last = None;
        server.store.matching_watches(path, change, |id, watch| {
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
        // In place, as the slices' own sorts are, in an eighth of their code.
        let matches = BinaryHeap::from(matches).into_sorted_vec();
        for n in 0..matches.len() {
            self.send_event_of(&matches, n, path);
        }
        self.matches = matches;
    }

    /// Whether one of the permission lists lets the domain read.
    fn may_hear(&self, domain: DomainId, lists: &[Option<AclId>]) -> bool {
        let caller = self.caller(domain);
        let Store { acls, blobs, .. } = &self.store;
        lists.iter().flatten().any(|acl| acls.access(blobs, *acl, &caller).contains(Access::READ))
    }

    fn send_event_of(&mut self, matches: &[Match], n: usize, path: Path<'_>) {
        let Some(Match { id, .. }) = matches.get(n).copied() else { return };
        let watch = *self.store.watches.arena.get(id);
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
        if !path.is_special() && own.any(told) {
            return;
        }
        let shown = if watch.relative { path.relative_to_home() } else { path.as_bytes() };
        self.send_event(watch.domain, shown, token);
    }

    /// Sends one event. One that does not fit a message, finds no room, or waits already is dropped.
    fn send_event(&mut self, to: DomainId, path: &[u8], token: &[u8]) {
        let len = path.len() + token.len() + 2;
        if len > PAYLOAD_MAX {
            return;
        }
        let header = Header {
            msg_type: MessageType::WatchEvent as u32,
            req_id: 0,
            tx_id: TxId::NONE,
            len: len as u32,
        }
        .emit();
        let parts: [&[u8]; 5] = [&header, path, b"\0", token, b"\0"];
        let privileged = self.is_privileged(to);
        let domain = self.store.domains.get(to);
        let (domid, quota, held) = (domain.domid, domain.quotas.memory, domain.usage.memory);
        let queue_empty = self.connection(to).is_none_or(|connection| connection.queue.first.is_none());
        let key = self.store.key;
        let hash = key.child(key.child(key.root() ^ to.index() as u64, path), token) | 1;
        if !queue_empty && path.first() != Some(&b'@') && self.outbox.has(&self.store, hash, &parts) {
            return;
        }
        let timeout = u64::from(self.settings.watch_event_timeout);
        let deadline = (timeout != 0 && !privileged).then(|| self.now.after_seconds(timeout));
        let memory = Message::memory(Header::SIZE + len);
        let affordable = privileged || quota == 0 || held.saturating_add(memory) <= quota;
        let by = self.serving;
        let claim = if by.is_some_and(|by| self.floods(by)) {
            Claim::GreedyGuest
        } else if privileged && path.first() == Some(&b'@') {
            // That a domain has died is told once, whatever guests leave waiting.
            Claim::Answer
        } else {
            Claim::to_keep(privileged, self.is_greedy(to))
        };
        let sent = affordable && self.send(to, by, claim, Kind::Event { deadline }, hash, &parts);
        self.counters.events += u64::from(sent);
        let kind = if sent { trace::Kind::Event } else { trace::Kind::Dropped };
        self.record(Record::new(kind, self.now, domid, len as u32));
    }

    /// Whether more waits because of this guest than ordinary guests cause. Its further events leave room for
    /// what others cause, also when they are for the privileged.
    fn floods(&self, guest: DomainId) -> bool {
        let share = self.outbox.messages.arena().capacity() / SHARES as u32;
        self.store.domains.get(guest).caused > share.max(CAUSED_MIN)
    }

    /// The event that follows the answer to WATCH: it repeats what the client sent.
    pub(super) fn send_first_event(&mut self, to: DomainId, payload: &[u8]) {
        let mut args = strings(payload);
        if let (Some(path), Some(token)) = (args.next(), args.next()) {
            self.send_event(to, path, token);
        }
    }

    /// Fires a special event, `@introduceDomain` or `@releaseDomain`, and then its case for one domain.
    pub(super) fn fire_special(&mut self, general: Path<'_>, domid: Option<crate::abi::DomId>) {
        use core::fmt::Write;
        let node = self.store.lookup(general).and_then(|id| self.store.acl(id));
        let root = self.store.lookup(Path::ROOT).and_then(|id| self.store.acl(id));
        match domid {
            None => self.fire(general, Change::Exact, &[node, root]),
            Some(domid) => {
                let mut buf = PathBuf::new();
                let fits =
                    buf.extend_from_slice(general.as_bytes()).is_ok() && write!(buf, "/{domid}").is_ok();
                if fits {
                    self.fire(Path::from_canonical(&buf), Change::Exact, &[node, root]);
                }
            }
        }
    }
}
