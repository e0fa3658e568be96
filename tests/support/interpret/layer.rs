//! Bytes as a file of layers: whatever they are, each layer is in the store or left out for a reason. The store is consistent
//! then, and the same whatever pieces the bytes come in.

use crate::Host;
use crate::layers::Pieces;
use xenstore::config::{Capacities, Settings};

/// Little of everything, so that "full" is reached often.
const CAPACITIES: Capacities = Capacities {
    domains: 4,
    nodes: 60,
    chunks: 400,
    acls: 16,
    watches: 16,
    transactions: 4,
    tx_nodes: 16,
    messages: 64,
    trace: 64,
    names: 16,
};

fn host(data: &[u8], size: usize) -> (Host, Vec<String>) {
    let mut host = Host::started(Settings::DEFAULT, &CAPACITIES);
    let left_out = host.fuse(Pieces { bytes: data, at: 0, size });
    host.check();
    (host, left_out)
}

pub fn run(data: &[u8]) {
    let (mut whole, left_out) = host(data, data.len().max(1));
    let (pieces, again) = host(data, 7);
    assert_eq!(left_out, again);
    assert!(left_out.iter().all(|line| line.contains(": ")), "{left_out:?}");
    assert!(whole.save(1) == pieces.save(1), "it depends on the pieces");
    whole.update(2);
    whole.poll();
    whole.check();
}
