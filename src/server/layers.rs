//! Layers that the server begins with, see [`layers`](crate::layers).

use super::Server;
use crate::layers::{self, Buffers, Fault, Trouble};
use crate::platform::Platform;
use crate::state::Source;
use crate::store::Layer;

impl<P: Platform> Server<P> {
    /// Lays the layers of a module over the store, after `start` and before the first `poll`. `tell` is told the names of
    /// those that are left out, and why.
    pub fn fuse<S: Source + Clone>(
        &mut self,
        module: S,
        buffers: &mut Buffers,
        tell: &mut dyn FnMut(&[u8], Trouble),
    ) {
        layers::fuse(&mut self.core.store, module, buffers, tell);
    }

    /// Notes that a module is not laid over the store, and why.
    pub fn leave_out(&mut self, fault: Fault, tell: &mut dyn FnMut(&[u8], Trouble)) {
        layers::leave_out(&mut self.core.store, fault, tell);
    }

    /// The layers that the store has been given, the lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.core.store.origins.layers
    }

    /// Bytes of memory that has been reserved for watches, transactions, messages and the trace and never used. Of the trace it is
    /// half: that is written to all the time.
    pub fn room_beside_nodes(&self) -> usize {
        let store = &self.core.store;
        store.room_beside_nodes() + self.links.outbox.untouched().len() + store.trace.unused() / 2
    }
}
