//! Nodes of a state that were written before the rest of it.

use support::Host;
use xenstore::slots::Full;
use xenstore::state::{Sink, filler};

/// A sink that has nodes from before, as long as the server's moment is the same, and fills up what is before them.
struct Prepared {
    nodes: Vec<u8>,
    count: usize,
    bytes: Vec<u8>,
}

impl Sink for Prepared {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn room(&self) -> u64 {
        u64::MAX
    }

    fn insert_nodes(&mut self) -> Result<Option<usize>, Full> {
        self.bytes.extend_from_slice(&filler(24));
        self.bytes.extend_from_slice(&[7; 24]);
        self.bytes.append(&mut self.nodes);
        Ok(Some(self.count))
    }
}

/// What has been written of a state before is as good as what is written now, until something changes.
#[test]
fn nodes_may_be_written_before() {
    let mut host = Host::new();
    (1..=3).for_each(|domid| host.boot(domid));
    let (long, list) = ("v".repeat(3000), "b0|r1|n2|r9|w77|r32757|");
    host.expect(&[
        (0, 0, "WRITE /shared|x", "OK|"),
        (0, 0, &format!("SET_PERMS /shared|{list}"), "OK|"),
        (0, 0, &format!("WRITE /shared/long|{long}"), "OK|"),
        (0, 0, "WRITE /shared/with-a-name-that-is-long/7/bytes|of them", "OK|"),
        (1, 0, "WRITE data/a|1", "OK|"),
        (1, 0, "WRITE data/long|a value that needs a chunk of its own", "OK|"),
        (1, 0, "READ data/a|", "1"),
        (1, 0, "DIRECTORY data|", "a|long|"),
        (1, 0, "WATCH data/b|t|", "OK|; ev data/b,t"),
    ]);
    let mut prepared = Prepared { nodes: Vec::new(), count: 0, bytes: Vec::new() };
    let moment = host.server.moment();
    prepared.count = host.server.save_nodes(&mut prepared).expect("memory has room");
    prepared.nodes = core::mem::take(&mut prepared.bytes);
    for row in [
        (1, 0, "READ data/a|", "1"),
        (1, 0, "READ /shared|", "x"),
        (2, 0, "WRITE /shared|y", "EACCES"),
        (0, 0, "GET_PERMS /shared|", list),
    ] {
        host.expect(&[row]);
        assert_eq!(host.server.moment(), moment, "{row:?}");
    }
    host.server.save(2, &mut prepared).expect("memory has room");
    let whole = host.save(2);
    assert_eq!(prepared.bytes.len(), whole.len() + 32);
    host.restore(&prepared.bytes).expect("it is a state");
    assert!(host.save(2) == whole);
    host.check();
    host.server.resume(&mut host.xen);
    host.poll();
    for request in [
        "WRITE /shared|a value that needs a chunk of its own",
        "WRITE /shared|y",
        "WRITE /shared/new|",
        "MKDIR /shared/newer|",
        "RM /shared/new|",
        "SET_PERMS /shared|n0|",
    ] {
        let before = host.server.moment();
        host.ok(0, 0, request);
        assert_ne!(host.server.moment(), before, "{request}");
    }
    let before = host.server.moment();
    host.kill(3);
    assert_ne!(host.server.moment(), before);
    let before = host.server.moment();
    host.create(10);
    host.ok(0, 0, "SET_QUOTA 10|nodes|7|");
    assert_ne!(host.server.moment(), before);
}
