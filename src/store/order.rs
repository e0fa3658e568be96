//! Puts a domain's nodes back into the order in which it got them, which is that in which they go when it dies.
//!
//! Nodes are named by the generations of their values. The list of a domain's nodes is searched for many of them at once: each by
//! itself would cost the square of their number, and a guest would make everybody wait that has made its nodes in no order.

use heapless::Vec;

use super::Store;
use super::domain::DomainId;
use super::node::{Node, NodeId, Owned};
use crate::slots::{Claim, List};
use crate::wire::XsError;

/// Nodes that are searched for at once.
const RUN: usize = 256;

/// How far a domain's nodes have been put in order.
pub struct Order {
    of: DomainId,
    /// The last of those that were where they belong.
    kept: Option<NodeId>,
    /// The first of those that are not, behind which the others go.
    moved: Option<NodeId>,
    /// Generations to search for, ascending, and each one's place among them.
    run: Vec<(u64, u16), RUN>,
}

impl Order {
    pub fn new(of: DomainId) -> Order {
        Order { of, kept: None, moved: None, run: Vec::new() }
    }
}

impl Store {
    /// Has the domain's node whose value has this generation follow those before it in this order. If there is none,
    /// nothing happens. It is done for certain after [`Store::own_rest`].
    pub fn own_next(&mut self, order: &mut Order, generation: u64) -> Result<(), XsError> {
        if order.moved.is_none()
            && order.run.is_empty()
            && let Some(next) = self.first_out_of_order(order)
            && self.node(next).value_generation() == generation
        {
            order.kept = Some(next);
            return Ok(());
        }
        let place = order.run.len() as u16;
        if let Err(at) = order.run.binary_search_by_key(&generation, |(generation, _)| *generation) {
            // It is searched as soon as it is full.
            let _fits = order.run.insert(at, (generation, place));
        }
        if order.run.is_full() { self.own_rest(order) } else { Ok(()) }
    }

    /// The same of those that have not been searched for yet.
    pub fn own_rest(&mut self, order: &mut Order) -> Result<(), XsError> {
        let mut found = [None; RUN];
        let rest = List::<Node, Owned>::iter_from(&self.nodes, self.first_out_of_order(order));
        for (id, node) in rest.take_while(|(id, _)| Some(*id) != order.moved) {
            let generation = node.value_generation();
            if let Ok(at) = order.run.binary_search_by_key(&generation, |(generation, _)| *generation)
                && let Some((_, place)) = order.run.get(at)
                && let Some(found) = found.get_mut(usize::from(*place))
            {
                *found = Some(id);
            }
        }
        order.run.clear();
        for node in found.into_iter().flatten() {
            order.moved = order.moved.or(Some(node));
            self.attempt(Claim::Answer, |store| {
                let owned = &mut store.held.modify(order.of)?.nodes;
                owned.remove(&mut store.nodes, node)?;
                Ok(owned.append(&mut store.nodes, node)?)
            })?;
        }
        Ok(())
    }

    /// The first of those whose place is not known yet.
    fn first_out_of_order(&self, order: &Order) -> Option<NodeId> {
        match order.kept {
            Some(kept) => self.node(kept).owned.next,
            None => self.held.of(order.of).nodes.first(),
        }
    }
}
