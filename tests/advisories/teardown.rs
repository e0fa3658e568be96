//! Watches and connections end: XSA-330, 425.

use xenstore::abi::DomId;
use xenstore::wire::MessageType;

use crate::scene::{bytes, enter, over, scene, stuff, usage};

#[test]
fn xsa_330_reset_leaves_no_watch_anywhere() {
    let mut host = scene();
    host.ok(0, 0, "WRITE /local/domain/5/data/1|1");
    let before = (host.server.in_use(), usage(&host, 5));
    for _ in 0..60 {
        for n in 0..128 {
            host.ask(5, 0, &format!("WATCH data/{}|{n}-{}|", n % 9, "t".repeat(n)));
        }
        assert_eq!(usage(&host, 5).watches, 128);
        host.expect(&[(5, 0, "WATCH data|more|", "ENOSPC"), (5, 0, "RESET_WATCHES |", "OK|")]);
        assert_eq!((host.server.in_use(), usage(&host, 5)), before);
    }
    host.ok(0, 0, "WRITE /local/domain/5/data/1|1");
    host.hears(5, "");
    over(&mut host);
}

#[test]
fn xsa_425_a_request_ends_connections_that_were_next() {
    for released in [&[5_u16][..], &[6], &[7], &[5, 6, 7], &[7, 6, 5]] {
        for first in [0_u16, 7] {
            let mut host = scene();
            enter(&mut host, 7);
            for domid in [5, 6, 7] {
                host.ask(domid, 0, "WATCH data|t|");
                host.start(domid);
                host.ask(domid, 0, &format!("WRITE data|{}", "x".repeat(1500)));
                let reads: Vec<u8> = (0..3).flat_map(|n| bytes(MessageType::Read, n, 0, "data|")).collect();
                stuff(&mut host, domid, &reads);
                assert!(usage(&host, domid).outstanding > 0);
            }
            let mut order = vec![0, 5, 6, 7];
            order.rotate_left(if first == 0 { 0 } else { 3 });
            for domid in order {
                if domid == 0 {
                    for gone in released {
                        host.send(0, 0, &format!("RELEASE {gone}|"));
                    }
                } else {
                    host.send(domid, 0, "GET_DOMAIN_PATH 1|");
                }
            }
            host.poll();
            for domid in [5, 6, 7] {
                let gone = released.contains(&domid);
                let prod = host.client(domid).indexes()[3];
                let got = host.received(domid);
                assert_eq!(got.ends_with("/local/domain/1|"), !gone, "{domid}: {got}");
                assert_eq!(host.server.usage(DomId(domid)).is_none(), gone);
                if gone {
                    host.xen.kick(DomId(domid));
                    host.poll();
                    assert_eq!(host.client(domid).indexes()[3], prod);
                    host.client(domid).forget();
                    host.received(0);
                    host.expect(&[
                        (0, 0, &format!("INTRODUCE {domid}|1|5|"), "OK|"),
                        (domid, 0, "GET_DOMAIN_PATH 2|", "/local/domain/2|"),
                    ]);
                }
            }
            host.clients.remove(&6);
            host.ok(0, 0, "RELEASE 6|");
            over(&mut host);
        }
    }
}
