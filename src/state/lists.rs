//! Permission lists as they are written.

use heapless::Vec;

use super::format::{ENDED, Fixed, NOBODY, Permission, STALE};
use crate::perms::{Life, letter};
use crate::store::{self, AclId, Store};

/// Permission lists as the stream has them. Neighbours in the tree often have the same.
pub struct Lists {
    of: Option<AclId>,
    bytes: Vec<u8, { store::ENTRIES_MAX * Permission::SIZE }>,
    /// Up to this life, entries of the dead are kept.
    ended: Life,
}

impl Lists {
    pub fn new() -> Lists {
        Lists { of: None, bytes: Vec::new(), ended: Life::NONE }
    }

    /// Keeps the entries of the dead, by whose rights somebody still hears: up to this life.
    pub fn keep_ended(&mut self, latest: Life) {
        (self.of, self.ended) = (None, latest);
    }

    /// The entries of a list, without those of the dead, which nobody sees.
    #[inline(always)] // Mostly it is the one of before.
    pub fn entries(&mut self, store: &Store, acl: Option<AclId>) -> &[u8] {
        if self.of != acl || acl.is_none() {
            self.change(store, acl);
        }
        &self.bytes
    }

    #[inline(never)]
    fn change(&mut self, store: &Store, acl: Option<AclId>) {
        self.of = acl;
        self.bytes.clear();
        let entries = acl.into_iter().flat_map(|acl| store.acls.entries(&store.blobs, acl));
        for (n, entry) in entries.enumerate() {
            let known = store.domains.find(entry.domid).is_some();
            let names = entry.life != Life::NONE;
            let (flags, number) = match entry.life {
                Life::ANY => (0, entry.domid.0),
                _ if names && store.domains.owner(entry).is_some() => (0, entry.domid.0),
                life if names && let Some(before) = life.before(self.ended) => (NOBODY | ENDED, before),
                // The first says what all may do whom no other names. A node's owner lives.
                _ if names && n > 0 => continue,
                _ if known => (STALE | NOBODY, entry.domid.0),
                _ => (NOBODY, entry.domid.0),
            };
            let [low, high] = number.to_le_bytes();
            // A list has no more entries than there is room for.
            let _fits = self.bytes.extend_from_slice(&[letter(entry.access), flags, low, high]);
        }
    }
}
