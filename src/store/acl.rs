//! Permission lists: each distinct list is stored once, with a count of its holders.
//!
//! A node inherits its parent's list by counting it once more. Equal lists have equal handles.

use alloc::boxed::Box;

use crate::hash::Key;
use crate::perms::{Access, Caller, Entry};
use crate::room::filled;
use crate::slots::{Attempt, Blobs, Full, Id, Slot, Table, Text, chained};
use crate::wire::PAYLOAD_MAX;

/// Most entries of one list: as many as fit a SET_PERMS of the shortest path.
pub const ENTRIES_MAX: usize = (PAYLOAD_MAX - b"/\0".len()) / b"r0\0".len();

/// A list under construction, which is too long for the stack.
pub struct AclBuf {
    /// Entries as stored, and how many there are.
    entries: Box<[[u8; Entry::SIZE]]>,
    count: usize,
}

impl AclBuf {
    /// Bytes of memory that it takes.
    pub const BYTES: usize = ENTRIES_MAX * Entry::SIZE;

    pub fn empty() -> AclBuf {
        AclBuf { entries: filled(&[0; Entry::SIZE], ENTRIES_MAX), count: 0 }
    }

    pub fn clear(&mut self) {
        self.count = 0;
    }

    #[inline(never)] // In several places.
    pub fn push(&mut self, entry: Entry) -> Result<(), Full> {
        *self.entries.get_mut(self.count).ok_or(Full)? = entry.to_bytes();
        self.count += 1;
        Ok(())
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.entries.get(..self.count).unwrap_or_default().as_flattened()
    }
}

#[derive(Clone, Copy)]
#[repr(Rust, packed(4))] // As a node.
pub struct Acl {
    hash: u64,
    chain: Option<Id<Acl>>,
    /// Nodes and transactions that hold this list. At 0 the list is removed at the end of the attempt.
    refs: u32,
    /// Entry 0, which most requests need.
    pub(super) owner: Entry,
    entries: Text<{ 5 * Entry::SIZE }>,
}

pub type AclId = Id<Acl>;

impl Acl {
    /// Bytes of blob memory that the list takes beside its slot.
    pub fn spilled(&self) -> u32 {
        self.entries.spilled()
    }
}

impl Slot for Acl {
    const EMPTY: Acl = Acl { hash: 0, chain: None, refs: 0, owner: Entry::NOBODY, entries: Text::EMPTY };
}

chained!(Acl);

pub struct Acls {
    table: Table<Acl>,
    /// Lists that lost their last holder in the attempt at hand.
    unheld: heapless::Vec<AclId, 32>,
}

impl Acls {
    pub fn new(attempt: &Attempt, capacity: usize, journal: usize) -> Self {
        Acls { table: Table::new(attempt, capacity, journal), unheld: heapless::Vec::new() }
    }

    /// Bytes of memory for so many lists.
    pub const fn bytes(capacity: usize, journal: usize) -> usize {
        Table::<Acl>::bytes(capacity, journal)
    }

    pub fn table(&self) -> &Table<Acl> {
        &self.table
    }

    /// The one list with these entries, held once more, and whether it is a new one.
    pub fn intern(&mut self, key: &Key, blobs: &mut Blobs, entries: &[u8]) -> Result<(AclId, bool), Full> {
        let hash = key.hash(entries);
        match self.table.find(hash, |acl| acl.entries.equals(blobs, entries)) {
            Some(id) => Ok((self.retain(id)?, false)),
            None => {
                let owner = entries.first_chunk().map_or(Entry::NOBODY, |first| Entry::from_bytes(*first));
                let entries = Text::store(blobs, entries)?;
                Ok((self.table.insert(Acl { hash, chain: None, refs: 1, owner, entries })?, true))
            }
        }
    }

    /// The list with these entries and their hash, if there is one.
    #[inline(never)]
    pub fn find(&self, hash: u64, blobs: &Blobs, entries: &[u8]) -> Option<AclId> {
        self.table.find(hash, |acl| acl.entries.equals(blobs, entries))
    }

    /// Bytes of blob memory that a list of so many bytes takes.
    pub const fn memory(len: usize) -> u32 {
        Text::<{ 5 * Entry::SIZE }>::memory(len)
    }

    pub fn retain(&mut self, id: AclId) -> Result<AclId, Full> {
        self.retain_times(1, id)
    }

    /// Holds a list so many times more.
    pub fn retain_times(&mut self, times: u32, id: AclId) -> Result<AclId, Full> {
        self.table.modify(id)?.refs += times;
        Ok(id)
    }

    /// Gives up one hold on a list. A list without holders is removed at the end of the attempt.
    pub fn release(&mut self, id: AclId) -> Result<(), Full> {
        self.release_times(1, id)
    }

    /// Gives up so many holds on a list.
    pub fn release_times(&mut self, times: u32, id: AclId) -> Result<(), Full> {
        let acl = self.table.modify(id)?;
        acl.refs -= times;
        if acl.refs > 0 || self.unheld.contains(&id) {
            return Ok(());
        }
        self.unheld.push(id).map_err(|_| Full)
    }

    /// Whether there are lists whose last holder has let go in the present attempt.
    #[inline(always)]
    pub fn has_unheld(&self) -> bool {
        !self.unheld.is_empty()
    }

    /// Removes one of these, unless all are held again. The result is what it was.
    pub fn remove_unheld(&mut self, blobs: &mut Blobs) -> Result<Option<Acl>, Full> {
        while let Some(id) = self.unheld.pop() {
            let acl = *self.table.get(id);
            if acl.refs == 0 {
                acl.entries.free(blobs)?;
                self.table.remove(id)?;
                return Ok(Some(acl));
            }
        }
        Ok(None)
    }

    pub fn refs(&self, id: AclId) -> u32 {
        self.table.get(id).refs
    }

    /// See [`super::Damage`].
    pub(super) fn damage(&mut self) {
        let first = self.table.iter().map(|(id, _)| id).next();
        if let Some(id) = first {
            self.table.update(id).refs += 1;
        }
    }

    /// Entry 0.
    pub fn owner(&self, id: AclId) -> Entry {
        self.table.get(id).owner
    }

    /// What the list grants to `caller`.
    pub fn access(&self, blobs: &Blobs, id: AclId, caller: &Caller) -> Access {
        let acl = self.table.get(id);
        if caller.owns(acl.owner) {
            return Access::all();
        }
        match acl.entries.inline() {
            Some(bytes) => caller.access(bytes.as_chunks().0.iter().map(|entry| Entry::from_bytes(*entry))),
            None => caller.access(self.entries(blobs, id)),
        }
    }

    /// The entries in order.
    pub fn entries<'a>(&'a self, blobs: &'a Blobs, id: AclId) -> impl Iterator<Item = Entry> + 'a {
        // Pieces of a spilled list may cut an entry in two, so entries are assembled byte by byte.
        let mut bytes = self.table.get(id).entries.pieces(blobs).flatten();
        core::iter::from_fn(move || {
            let mut entry = [0; Entry::SIZE];
            for place in &mut entry {
                *place = *bytes.next()?;
            }
            Some(Entry::from_bytes(entry))
        })
    }

    pub fn count(&self, id: AclId) -> usize {
        self.table.get(id).entries.len() / Entry::SIZE
    }

    pub fn commit(&mut self) {
        self.table.commit();
    }

    pub fn rollback(&mut self) {
        self.unheld.clear();
        self.table.rollback();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Claim;

    /// Makes an attempt that is decided.
    fn attempt<T>(
        acls: &mut Acls,
        blobs: &mut Blobs,
        step: impl FnOnce(&mut Acls, &mut Blobs) -> Result<T, Full>,
    ) -> T {
        let attempt = blobs.arena().attempt().clone();
        attempt.begin(Claim::Answer);
        let done = step(acls, blobs).unwrap();
        while acls.remove_unheld(blobs).unwrap().is_some() {}
        attempt.decide();
        acls.commit();
        blobs.commit();
        attempt.end();
        done
    }

    #[test]
    fn a_list_goes_with_its_last_holder() {
        let shared = Attempt::new();
        let (mut acls, mut blobs) = (Acls::new(&shared, 4, 4), Blobs::new(&shared, 16, 16));
        let key = Key::new(1);
        let entries = [7; 9 * Entry::SIZE];
        let (id, new) = attempt(&mut acls, &mut blobs, |acls, blobs| acls.intern(&key, blobs, &entries));
        assert!(new);
        // Let go of and held again, more than once, in one attempt.
        attempt(&mut acls, &mut blobs, |acls, blobs| {
            acls.release(id)?;
            assert_eq!(acls.intern(&key, blobs, &entries)?, (id, false));
            acls.release(id)?;
            acls.retain(id)
        });
        assert_eq!((acls.refs(id), acls.table().arena().used(), acls.count(id)), (1, 1, 9));
        attempt(&mut acls, &mut blobs, |acls, _| {
            acls.release(id)?;
            acls.retain(id)?;
            acls.release(id)
        });
        assert_eq!((acls.table().arena().used(), blobs.arena().used()), (0, 0));
    }
}
