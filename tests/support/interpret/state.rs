//! Bytes as a state: whatever they are, a server takes them or says what is wrong. What it has taken is consistent, it
//! goes on with that, and its own state is taken again.

use crate::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};

/// Little of everything, so that "full" is reached often.
const CAPACITIES: Capacities = Capacities {
    domains: 6,
    nodes: 60,
    chunks: 400,
    acls: 24,
    watches: 24,
    transactions: 6,
    tx_nodes: 40,
    messages: 64,
    trace: 64,
    names: 16,
};

pub fn run(data: &[u8]) {
    let mut host = Host::not_started(Settings::DEFAULT, &CAPACITIES);
    (1..4).for_each(|domid| host.create(domid));
    match host.restore(data) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(()) => {
            host.check();
            host.update(1);
            host.update(2);
            host.poll();
            host.check();
            // What the state says of dom0's ring is not dom0's, so it may not even be served.
            host.xen.kill(DomId(1));
            host.poll();
            host.check();
        }
    }
}
