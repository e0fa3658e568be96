//! All connections, by whose they are and by their ports, and what all of them share.

use alloc::boxed::Box;

use super::outbox::Outbox;
use super::{Connection, Schedule, Taking};
use crate::abi::Port;
use crate::config::Capacities;
use crate::platform::Refused;
use crate::ring::Patience;
use crate::room::filled;
use crate::slots::Attempt;
use crate::store::{DomainId, Store};

/// Bytes that a platform's handle of a mapped ring may take: so many are counted for each connection.
const RING_HANDLE: usize = 16;

/// Invariant: a port that a connection has is known as its domain's, and no other is. The open fields are parts that keep
/// their own invariants.
pub struct Links<R> {
    /// By the domain record's slot.
    pub(super) connections: Box<[Option<Connection<R>>]>,
    /// By local port.
    ports: Box<[Option<DomainId>]>,
    pub outbox: Outbox,
    pub schedule: Schedule,
    /// What the attempt at hand makes of a connection's half request, once it is decided.
    pub(super) taking: Option<Taking>,
    /// A connection that is there once the attempt at hand is decided.
    joining: Option<(DomainId, Connection<R>)>,
    /// For the rest of half requests.
    pub(super) patience: Patience,
}

/// What may be known of connections where none may be written to.
pub struct Roster<'a, R>(&'a Links<R>);

impl<R> Roster<'_, R> {
    /// Whether the domain is introduced: it has a connection.
    pub fn has(&self, id: DomainId) -> bool {
        self.0.has(id)
    }

    /// What waits for rings.
    pub fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }
}

impl<R> Links<R> {
    /// Room for as many connections as `capacities` say, whose ports are below `ports`.
    /// `attempt` is that of the store that is charged for what waits.
    pub fn new(attempt: &Attempt, capacities: &Capacities, ports: usize) -> Links<R> {
        const { assert!(size_of::<R>() <= RING_HANDLE && align_of::<R>() <= 8) };
        Links {
            connections: core::iter::repeat_with(|| None).take(capacities.domains).collect(),
            ports: filled(&None, ports),
            outbox: Outbox::new(attempt, capacities),
            schedule: Schedule::new(capacities.domains),
            taking: None,
            joining: None,
            patience: Patience::default(),
        }
    }

    /// Bytes of memory that `new` takes.
    pub const fn bytes(capacities: &Capacities, ports: usize) -> usize {
        capacities.domains * size_of::<Option<Connection<[u64; RING_HANDLE / 8]>>>()
            + ports * size_of::<DomainId>()
            + Outbox::bytes(capacities)
            + Schedule::bytes(capacities.domains)
    }

    pub fn get(&self, id: DomainId) -> Option<&Connection<R>> {
        self.connections.get(id.index())?.as_ref()
    }

    pub fn roster(&self) -> Roster<'_, R> {
        Roster(self)
    }

    /// Whether the domain is introduced: it has a connection.
    pub fn has(&self, id: DomainId) -> bool {
        self.get(id).is_some()
    }

    pub fn get_mut(&mut self, id: DomainId) -> Option<&mut Connection<R>> {
        self.connections.get_mut(id.index())?.as_mut()
    }

    /// Keeps what will be a domain's connection. Refused if there is no room for so high a port.
    pub fn prepare(&mut self, id: DomainId, connection: Connection<R>) -> Result<(), Refused> {
        let port = connection.port.ok_or(Refused)?;
        self.ports.get(port.0 as usize).ok_or(Refused)?;
        self.joining = Some((id, connection));
        Ok(())
    }

    /// What has been prepared is the domain's connection from now on.
    pub fn join(&mut self) {
        let Some((id, connection)) = self.joining.take() else { return };
        let port = connection.port.and_then(|port| self.ports.get_mut(port.0 as usize));
        if let (Some(port), Some(place)) = (port, self.connections.get_mut(id.index())) {
            *port = Some(id);
            *place = Some(connection);
        }
    }

    /// Forgets what has been prepared. The result is its port, which is to be closed.
    pub fn give_up_joining(&mut self) -> Option<Port> {
        self.joining.take().and_then(|(_, connection)| connection.port)
    }

    /// Forgets a domain's connection. Its port must be closed.
    pub fn remove(&mut self, id: DomainId) {
        if let Some(place) = self.connections.get_mut(id.index()) {
            *place = None;
        }
        self.schedule.renew(id);
    }

    /// Whose connections there are.
    pub fn domains<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = DomainId> + 'a {
        store.domains.iter().map(|(id, _)| id).filter(|id| self.has(*id))
    }

    /// All connections, in order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &Connection<R>> {
        self.connections.iter().flatten()
    }

    /// Bytes of memory that what waits for a domain takes, and what it has sent of a request.
    pub fn memory(&self, id: DomainId) -> u32 {
        self.outbox.memory(id) + self.get(id).map_or(0, Connection::memory)
    }

    /// Whose port this is.
    pub fn port_owner(&self, port: Port) -> Option<DomainId> {
        self.ports.get(port.0 as usize).copied().flatten()
    }

    /// Whether this port can be somebody's, and is nobody's.
    pub fn is_free(&self, port: Port) -> bool {
        self.ports.get(port.0 as usize).is_some_and(Option::is_none)
    }

    /// Says whose port this is from now on. Refused if there is no room for so high a port.
    pub fn set_port_owner(&mut self, port: Port, owner: Option<DomainId>) -> Result<(), Refused> {
        let place = self.ports.get_mut(port.0 as usize).ok_or(Refused)?;
        *place = owner;
        Ok(())
    }

    /// How many ports are somebody's.
    pub fn ports(&self) -> usize {
        self.ports.iter().flatten().count()
    }
}
