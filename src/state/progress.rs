//! The part of a state that nothing but a change of the store changes: watches, nodes, what domains may and own. It is written in
//! goes, between which others who only look may be served.

use super::nodes::{self, Place};
use super::writer::Writer;
use super::{connections, domains, origins};
use crate::connection::Links;
use crate::slots::Full;
use crate::store::{Store, WatchId};

/// Bytes as which a watch counts beside its own.
const WATCH: usize = 32;

/// What is next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// The watches of the domain in this slot, from this one on, and of those behind it.
    Watches(usize, Option<WatchId>),
    /// All nodes, unless the sink has them from before.
    Nodes,
    /// The nodes from a place on.
    Node(Place),
    /// Their numbers, with so many bytes of the record to come.
    Generations(Place, usize),
    /// The domain in this slot, and those behind it.
    Domains(usize),
    Origins,
    /// Nodes that are gone, from this slot on.
    Gone(usize),
    End,
}

/// How far it has been written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    at: At,
    /// Nodes until there.
    nodes: usize,
}

impl Progress {
    pub const START: Progress = Progress { at: At::Watches(0, None), nodes: 0 };

    pub fn is_at_end(&self) -> bool {
        self.at == At::End
    }

    /// Bytes that are still to come of the record at hand.
    pub fn left(&self) -> usize {
        if let At::Generations(_, left) = self.at { left } else { 0 }
    }

    /// Writes some more: of one kind of records, as much as the writer takes in one go. The store must not change before the
    /// end.
    pub fn go_on<R>(
        &mut self,
        writer: &mut Writer<'_>,
        store: &Store,
        links: &Links<R>,
        version: u32,
    ) -> Result<(), Full> {
        self.at = match self.at {
            At::Watches(slot, from) => write_watches(writer, store, links, version, slot, from)?,
            At::Nodes => match writer.insert_nodes()? {
                Some(count) => {
                    self.nodes = count;
                    At::Domains(0)
                }
                None => At::Node(Place::default()),
            },
            At::Node(from) => {
                let (next, count) = nodes::save(writer, store, from)?;
                self.nodes += count;
                next.map_or(At::Generations(Place::default(), 0), At::Node)
            }
            At::Generations(from, _) => {
                let next = nodes::save_generations(writer, store, from, self.nodes)?;
                next.map_or(At::Domains(0), |next| At::Generations(next, writer.left()))
            }
            At::Domains(slot) => write_domains(writer, store, links, version, slot)?,
            At::Origins => {
                origins::save(writer, store)?;
                // All slots in use are nodes of the tree, or some are gone.
                if store.in_use().nodes == self.nodes { At::End } else { At::Gone(0) }
            }
            At::Gone(slot) => origins::save_gone(writer, store, slot)?.map_or(At::End, At::Gone),
            At::End => At::End,
        };
        Ok(())
    }
}

fn write_watches<R>(
    writer: &mut Writer<'_>,
    store: &Store,
    links: &Links<R>,
    version: u32,
    slot: usize,
    mut from: Option<WatchId>,
) -> Result<At, Full> {
    for (id, domain) in store.domains.known_from(slot).filter(|(id, _)| links.has(*id)) {
        let mut next = from.take().or_else(|| store.watches_of(id).next().map(|(first, _)| first));
        while let Some(watch) = next {
            if writer.is_much() {
                return Ok(At::Watches(id.index(), next));
            }
            connections::save_watch(writer, store, domain.domid, watch, version)?;
            writer.count(WATCH);
            next = store.watch_after(watch);
        }
    }
    Ok(At::Nodes)
}

/// Of each domain what it may hold, the order of its watches, and that of its nodes.
fn write_domains<R>(
    writer: &mut Writer<'_>,
    store: &Store,
    links: &Links<R>,
    version: u32,
    slot: usize,
) -> Result<At, Full> {
    for (id, domain) in store.domains.known_from(slot) {
        if writer.is_much() {
            return Ok(At::Domains(id.index()));
        }
        let introduced = links.has(id);
        domains::save_limits(writer, store, version, id, introduced)?;
        if introduced {
            connections::save_order(writer, store, id, domain.domid)?;
        }
        nodes::save_owned(writer, store, id, domain)?;
    }
    Ok(At::Origins)
}
