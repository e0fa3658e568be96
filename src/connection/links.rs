//! All connections, by whose they are and by their ports, and what all of them share.

use alloc::boxed::Box;
use alloc::vec;

use super::outbox::Outbox;
use super::{Connection, Schedule};
use crate::abi::Port;
use crate::config::Capacities;
use crate::platform::Refused;
use crate::store::DomainId;

/// Bytes that a platform's handle of a mapped ring may take: so many are counted for each connection.
const RING_HANDLE: usize = 16;

/// Invariant: a port that a connection has is known as its domain's, and no other is.
pub struct Links<R> {
    /// By the domain record's slot.
    pub(super) connections: Box<[Option<Connection<R>>]>,
    /// By local port.
    ports: Box<[Option<DomainId>]>,
    pub outbox: Outbox,
    pub schedule: Schedule,
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
    pub fn new(capacities: &Capacities, ports: usize) -> Links<R> {
        const { assert!(size_of::<R>() <= RING_HANDLE && align_of::<R>() <= 8) };
        Links {
            connections: core::iter::repeat_with(|| None).take(capacities.domains).collect(),
            ports: vec![None; ports].into_boxed_slice(),
            outbox: Outbox::new(capacities),
            schedule: Schedule::new(capacities.domains),
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

    /// A domain's connection from now on. Its port must be known as the domain's.
    pub fn insert(&mut self, id: DomainId, connection: Connection<R>) {
        if let Some(place) = self.connections.get_mut(id.index()) {
            *place = Some(connection);
        }
    }

    /// Forgets a domain's connection. Its port must be closed.
    pub fn remove(&mut self, id: DomainId) {
        if let Some(place) = self.connections.get_mut(id.index()) {
            *place = None;
        }
    }

    /// All connections, in order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &Connection<R>> {
        self.connections.iter().flatten()
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
