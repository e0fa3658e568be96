//! What the server knows of each domain: its life, its rights, what it may hold.
//!
//! A record exists for every introduced domain, and for every living domain that owns a node, is named in a
//! permission list, or whose quotas or features were asked for. Its I/O is in its connection, and what it holds is in its
//! [`Holdings`](super::holdings::Holdings).

use core::ops::Range;

use crate::abi::{DomId, ServerFeatures};
use crate::perms::{Caller, Entry, Life};
use crate::platform::Instant;
use crate::quota::{Largest, Quotas};
use crate::slots::{Attempt, Chained, Full, Id, Queue, Queued, Slot, Table};

pub type DomainId = Id<Domain>;

/// What a commit would add to what one domain holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delta {
    pub nodes: i32,
    pub memory: i32,
}

/// How often a guest has made the server ask the hypervisor in one second; see `server::fairness`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Questions {
    /// The second, by [`Instant::second`].
    pub second: u32,
    pub count: u16,
}

#[derive(Clone, Copy)]
#[repr(Rust, packed(4))] // As a node.
pub struct Domain {
    pub domid: DomId,
    pub life: Life,
    /// Low half of the store's generation when the record began. Earlier changes by this number were another domain's.
    pub since: u32,
    /// From the hypervisor. It differs between two domains of the same number.
    pub unique_id: u64,
    /// Its shutdown has been announced, and no RESUME has come since.
    pub shutdown: bool,
    /// The domain whose rights it has too, by SET_TARGET, as long as that domain lives.
    pub target: Entry,
    pub features: ServerFeatures,
    pub quotas: Quotas,
    /// The most that one request of it has used.
    pub peak: Largest,
    /// Time of the next warning, at the earliest, that it holds more than its soft memory quota.
    pub next_warning: Instant,
    /// Until then it is a suspect: its changes make the privileged domain's commits fail; see `server::fairness`.
    pub suspect_until: Instant,
    pub questions: Questions,
    /// The number of the latest change of which it hears the rest later, see `Collected::number`.
    pub behind: u64,
    /// It is among the receivers that have been gathered, see [`gathering`](super::gathering).
    pub gathered: bool,
    /// What the commit being decided would add to what it holds; nothing at all other times.
    pub delta: Delta,
    /// Of a local client, the next one.
    next_client: Option<DomainId>,
    chain: Option<DomainId>,
}

impl Domain {
    /// Whether this is the toolstack's domain, or one of its local clients.
    pub fn is_privileged(&self) -> bool {
        self.life.is_privileged()
    }

    /// Its life if it is a guest, which has a share of what there is.
    pub fn payer(&self) -> Life {
        if self.is_privileged() { Life::NONE } else { self.life }
    }
}

impl Slot for Domain {
    const EMPTY: Domain = Domain {
        domid: DomId::INVALID,
        life: Life::NONE,
        since: 0,
        unique_id: 0,
        shutdown: false,
        target: Entry::NOBODY,
        features: ServerFeatures::all(),
        quotas: Quotas::DEFAULT,
        peak: Largest::NOTHING,
        next_warning: Instant(0),
        suspect_until: Instant(0),
        questions: Questions { second: 0, count: 0 },
        behind: 0,
        gathered: false,
        delta: Delta { nodes: 0, memory: 0 },
        next_client: None,
        chain: None,
    };
}

/// Domids come one after the other, so they need no mixing: neighbours have chains of their own.
fn hash_of(domid: DomId) -> u64 {
    u64::from(domid.0)
}

impl Chained for Domain {
    const IN_ORDER: bool = true;

    fn hash(&self) -> u64 {
        hash_of(self.domid)
    }
    fn chain(&self) -> Option<DomainId> {
        self.chain
    }
    fn set_chain(&mut self, next: Option<DomainId>) {
        self.chain = next;
    }
}

/// The queue of local clients.
enum Clients {}

impl Queued<Clients> for Domain {
    fn next(&self) -> Option<DomainId> {
        self.next_client
    }
    fn set_next(&mut self, next: Option<DomainId>) {
        self.next_client = next;
    }
}

/// The latest lives that have ended.
struct Deaths {
    count: u32,
    latest: [Life; Deaths::KEPT],
}

impl Deaths {
    const KEPT: usize = 64;
}

pub struct Domains {
    /// By domid. Local clients have none of their own, and are in no chain.
    table: Table<Domain>,
    last_life: u32,
    deaths: Deaths,
    /// The toolstack's domain.
    privileged: Option<DomainId>,
    /// Further clients that act as the privileged domain, each with a session of its own.
    clients: Queue<Domain, Clients>,
}

impl Domains {
    pub fn new(attempt: &Attempt, capacity: usize, journal: usize) -> Self {
        Domains {
            table: Table::new(attempt, capacity, journal),
            last_life: 0,
            deaths: Deaths { count: 0, latest: [Life::NONE; Deaths::KEPT] },
            privileged: None,
            clients: Queue::EMPTY,
        }
    }

    pub const fn bytes(capacity: usize, journal: usize) -> usize {
        Table::<Domain>::bytes(capacity, journal)
    }

    pub fn table(&self) -> &Table<Domain> {
        &self.table
    }

    pub fn commit(&mut self) {
        self.table.commit();
    }

    pub fn rollback(&mut self) {
        self.table.rollback();
    }

    pub fn privileged(&self) -> Option<DomainId> {
        self.privileged
    }

    #[inline(never)] // In many places.
    pub fn find(&self, domid: DomId) -> Option<DomainId> {
        self.table.find(hash_of(domid), |_| true)
    }

    /// The record of the domain that a first entry names as the owner.
    #[inline(never)] // In many places.
    pub fn owner(&self, owner: Entry) -> Option<DomainId> {
        self.find(owner.domid).filter(|id| self.get(*id).life == owner.life)
    }

    /// Whom a life is of, if it has not ended.
    #[inline(never)] // It is rare.
    pub fn living(&self, life: Life) -> Option<DomId> {
        let of = |domain: &&Domain| life != Life::NONE && domain.life == life;
        self.table.arena().slots().find(of).map(|domain| domain.domid)
    }

    /// Leaves the lives up to [`Life::ENDED`] to the dead of another store. The privileged domain alone may be here.
    pub fn begin_later(&mut self) {
        self.last_life = Life::ENDED.0;
    }

    /// How many lives have ended.
    pub fn deaths(&self) -> u32 {
        self.deaths.count
    }

    /// Whether the domain that `entry` names has died since there were so many `deaths`. Of more than [`Deaths::KEPT`]
    /// deaths it is not known which, and any dead domain counts.
    pub fn has_died_since(&self, entry: Entry, deaths: u32) -> bool {
        let since = self.deaths.count.wrapping_sub(deaths) as usize;
        if since == 0 || entry.life == Life::NONE || entry.life == Life::ANY || self.owner(entry).is_some() {
            return false;
        }
        let newest_first =
            (1..=since as u32).map(|n| self.deaths.count.wrapping_sub(n) as usize % Deaths::KEPT);
        since > Deaths::KEPT
            || newest_first.into_iter().any(|at| self.deaths.latest.get(at) == Some(&entry.life))
    }

    pub fn get(&self, id: DomainId) -> &Domain {
        self.table.get(id)
    }

    /// The record for a change outside attempts, which must be the only one.
    pub fn update(&mut self, id: DomainId) -> &mut Domain {
        self.table.update(id)
    }

    /// The record for a mark that no attempt undoes.
    pub fn mark(&mut self, id: DomainId) -> &mut Domain {
        self.table.mark(id)
    }

    /// The record for changing in an attempt.
    pub fn modify(&mut self, id: DomainId) -> Result<&mut Domain, Full> {
        self.table.modify(id)
    }

    /// The slots in which records may be, for [`Domains::at`].
    pub fn slots(&self) -> Range<usize> {
        0..self.table.arena().capacity() as usize
    }

    /// Whose rights a domain's requests and watches have.
    #[inline(always)] // The beginning of every request.
    pub fn caller(&self, id: DomainId) -> Caller {
        let Domain { domid, life, target, .. } = *self.get(id);
        // Rights granted to a dead target are void for its device model, too.
        let lives = target.life != Life::NONE && self.owner(target).is_some();
        Caller { domid, life, target: if lives { target.life } else { Life::NONE } }
    }

    /// Begins a life of `domid`, which must have no record. The first is that of the privileged domain. Outside
    /// attempts. No number of a life is used twice, or what names the dead would name the living: after 2^32 - 2 none is
    /// left.
    pub fn admit(
        &mut self,
        domid: DomId,
        unique_id: u64,
        quotas: Quotas,
        since: u32,
    ) -> Result<DomainId, Full> {
        let life = Life(self.last_life + 1);
        if life == Life::ANY || domid >= DomId::FIRST_RESERVED {
            return Err(Full);
        }
        let id = self.table.insert(Domain { domid, life, since, unique_id, quotas, ..Domain::EMPTY })?;
        self.last_life = life.0;
        if life.is_privileged() {
            self.privileged = Some(id);
        }
        Ok(id)
    }

    /// How many have begun.
    pub fn lives(&self) -> u32 {
        self.last_life
    }

    /// A record for one more client of the privileged domain: of the same life, so with the same rights.
    /// What it creates belongs to that domain; its watches and transactions are its own. In an attempt.
    pub fn admit_client(&mut self) -> Result<DomainId, Full> {
        let Domain { domid, life, quotas, .. } = *self.get(self.privileged.ok_or(Full)?);
        let id = self.table.insert_apart(Domain { domid, life, quotas, ..Domain::EMPTY })?;
        self.clients.append(&mut self.table, id)?;
        Ok(id)
    }

    /// Ends what `admit_client` began. Whatever it held must be gone. In an attempt.
    pub fn dismiss_client(&mut self, id: DomainId) -> Result<(), Full> {
        let before =
            self.clients.iter(&self.table).map(|(before, _)| before).take_while(|at| *at != id).last();
        self.clients.remove_after(&mut self.table, before)?;
        self.table.remove(id)
    }

    /// Whether this is the privileged domain or one of its clients.
    pub fn is_privileged(&self, id: DomainId) -> bool {
        self.get(id).is_privileged()
    }

    /// Ends a life. Whatever it held must be gone. In an attempt, which is made again if it is stopped.
    pub fn dismiss(&mut self, id: DomainId) -> Result<(), Full> {
        let life = self.get(id).life;
        // A handle that still leads here must not find it alive.
        self.table.modify(id)?.life = Life::NONE;
        self.table.remove(id)?;
        if let Some(place) = self.deaths.latest.get_mut(self.deaths.count as usize % Deaths::KEPT) {
            *place = life;
        }
        self.deaths.count = self.deaths.count.wrapping_add(1);
        Ok(())
    }

    /// All records: of domains, in order of their slots, then of local clients.
    pub fn iter(&self) -> impl Iterator<Item = (DomainId, &Domain)> {
        core::iter::successors(self.following(None), |id| self.following(Some(*id)))
            .map(|id| (id, self.get(id)))
    }

    /// The record behind another, or the first. Not inlined: it is rare, and many loops use it.
    #[inline(never)]
    pub fn following(&self, before: Option<DomainId>) -> Option<DomainId> {
        let slot = match before {
            None => 0,
            Some(id) if self.at(id.index()) == Some(id) => id.index() + 1,
            Some(client) => return self.get(client).next_client,
        };
        self.at_or_behind(slot).or(self.clients.first())
    }

    /// The domain record in this slot, or in the next one that has one.
    #[inline(never)] // As `following`.
    fn at_or_behind(&self, slot: usize) -> Option<DomainId> {
        (slot..self.table.arena().slots().len()).find_map(|slot| self.at(slot))
    }

    /// The records of domains alone, in order of their slots.
    pub fn known(&self) -> impl Iterator<Item = (DomainId, &Domain)> {
        self.known_from(0)
    }

    /// Of these the ones from a slot on.
    pub fn known_from(&self, slot: usize) -> impl Iterator<Item = (DomainId, &Domain)> {
        core::iter::successors(self.at_or_behind(slot), |id| self.at_or_behind(id.index() + 1))
            .map(|id| (id, self.get(id)))
    }

    /// How many records there are, of domains and of local clients.
    pub fn count(&self) -> u32 {
        self.table.arena().used()
    }

    /// The records of local clients.
    pub fn clients(&self) -> impl Iterator<Item = DomainId> {
        self.clients.iter(&self.table).map(|(id, _)| id)
    }

    /// The domain record in this slot, if there is one.
    pub fn at(&self, slot: usize) -> Option<DomainId> {
        let domid = self.table.arena().slots().nth(slot)?.domid;
        self.find(domid).filter(|id| id.index() == slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_life_has_the_number_of_another() {
        let mut domains = Domains::new(&Attempt::new(), 4, 4);
        domains.last_life = u32::MAX - 2;
        let last = domains.admit(DomId(1), 0, Quotas::DEFAULT, 0).unwrap();
        assert_eq!(domains.get(last).life, Life(u32::MAX - 1));
        for _ in 0..2 {
            assert_eq!(domains.admit(DomId(2), 0, Quotas::DEFAULT, 0), Err(Full));
            assert_eq!(domains.find(DomId(2)), None);
        }
    }
}
