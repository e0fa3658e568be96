//! A layer is in the store completely or not at all, whatever room there is.

use std::collections::BTreeSet;

use proptest::collection::btree_set;
use proptest::prelude::*;
use support::Host;
use xenstore::config::{Capacities, Settings};
use xenstore::server::sizing;

use super::properties::path;
use super::{lines, seen};

const FEW: Capacities = Capacities {
    domains: 4,
    nodes: 64,
    chunks: 1024,
    acls: 16,
    watches: 16,
    transactions: 4,
    tx_nodes: 16,
    messages: 64,
    trace: 64,
    names: 16,
};

/// Nodes with names and values that need chunks, lists of their own, whiteouts, and nodes that come back.
fn module() -> String {
    let long = "v".repeat(200);
    let entries = ",r0".repeat(9);
    let low: String = (0..10)
        .map(|n| format!("/dir/a-name-that-is-longer-than-the-slot-has-room-for-{n}/b = \"{long}\"   (n0{entries},b{n})\n"))
        .collect();
    let low = low.replace(",b", ",r0,b").replace("b1)", "b0,r0)").replace("b2)", "b0)");
    let low = (3..10).fold(low, |low, n| low.replace(&format!("b{n})"), &format!("b0{})", ",w0".repeat(n))));
    format!(
        "layer low\n{low}/small = \"1\"\nlayer up\nwhiteout /dir\n/dir/new/b = \"{long}{long}\"   (n0,b0)\n/small = \"{long}\"\n{low}end\n"
    )
}

/// As a vendor's defaults have them: in folders of fifty, each with a name of its own and a value that takes a chunk.
#[test]
fn twenty_thousand_nodes_fit_eight_mebibytes() {
    let node = |layer: usize, n: usize| match n % 50 {
        0 => format!("/layer{layer}/class{} = \"\"   (n0,r32757)\n", n / 50),
        _ => format!("/layer{layer}/class{}/setting{n} = \"value {n}\"   (n0,r32757)\n", n / 50),
    };
    let layer = |layer| format!("layer l{layer}\n") + &(0..6667).map(|n| node(layer, n)).collect::<String>();
    let module = (0..3).map(layer).collect::<String>() + "end\n";
    let capacities = sizing::of_image(8 << 20).expect("it is enough");
    // The image holds the module beside the store while it reads it.
    let room = Host::with(Settings::DEFAULT, &capacities).server.room_beside_nodes();
    assert!(module.len() < room, "{} bytes, and {room} for them", module.len());
    let (host, left_out) = Host::with_layers(&capacities, module.as_bytes());
    assert_eq!(left_out, Vec::<String>::new());
    assert!(host.server.in_use().nodes > 20_000);
    host.check();
}

#[test]
fn completely_or_not_at_all() {
    let module = module();
    let whole = |capacities: &Capacities| {
        let (mut host, left_out) = Host::with_layers(capacities, module.as_bytes());
        host.check();
        // Its own reserves may be too small for answers.
        host.update_to(&FEW);
        host.poll();
        (lines(&seen(&mut host)), left_out)
    };
    let (both, none) = whole(&FEW);
    assert_eq!(none, Vec::<String>::new());
    let low_only = {
        let low = module.split("layer up").next().unwrap().to_string() + "end\n";
        let (mut host, left_out) = Host::with_layers(&FEW, low.as_bytes());
        assert_eq!(left_out, Vec::<String>::new());
        lines(&seen(&mut host))
    };
    let up_only = {
        let up = "layer up".to_string() + module.split("layer up").nth(1).unwrap();
        let (mut host, left_out) = Host::with_layers(&FEW, up.as_bytes());
        assert_eq!(left_out, Vec::<String>::new());
        lines(&seen(&mut host))
    };
    let mut seen_of_each = [0; 4];
    let mut check = |capacities: &Capacities| {
        let (tree, left_out) = whole(capacities);
        let (lacks_low, lacks_up) =
            (left_out.iter().any(|l| l.starts_with("low: ")), left_out.iter().any(|l| l.starts_with("up: ")));
        assert!(
            left_out.iter().all(|line| line.ends_with("there is no room for it in the store")),
            "{left_out:?}"
        );
        let (expected, which) = match (lacks_low, lacks_up) {
            (false, false) => (both.as_str(), 0),
            (false, true) => (low_only.as_str(), 1),
            (true, false) => (up_only.as_str(), 2),
            (true, true) => ("", 3),
        };
        seen_of_each[which] += 1;
        assert_eq!(tree, expected, "{capacities:?}");
    };
    (6..64).for_each(|nodes| check(&Capacities { nodes, ..FEW }));
    (100..400).step_by(3).for_each(|chunks| check(&Capacities { chunks, ..FEW }));
    (3..16).for_each(|acls| check(&Capacities { acls, ..FEW }));
    assert!(seen_of_each[0] > 9 && seen_of_each[1] > 1 && seen_of_each[3] > 9, "{seen_of_each:?}");
}

/// What a layer gives to a guest is within the guest's quotas.
#[test]
fn quotas_hold_for_what_guests_are_given() {
    let mut host = Host::new();
    host.create(7);
    host.expect(&[(0, 0, "WRITE /local/domain/7|", "OK|"), (0, 0, "SET_PERMS /local/domain/7|n7|", "OK|")]);
    let given = |count: usize| -> String { (0..count).map(|n| format!("/g/{n} = \"\"   (n7)\n")).collect() };
    let why = "a domain would hold more than its quotas allow";
    assert_eq!(host.fuse(given(1000).as_bytes()), [format!("unnamed: line 1000, column 1: {why}")]);
    assert_eq!(
        host.fuse(format!("/big = \"{}\"   (n7)\n", "x".repeat(3000)).as_bytes()),
        [format!("unnamed: line 1, column 1: {why}")]
    );
    host.check();
    host.expect(&[(0, 0, "READ /g|", "ENOENT"), (0, 0, "READ /big|", "ENOENT")]);
    // Each has its own, whoever comes between.
    host.create(8);
    host.expect(&[(0, 0, "WRITE /local/domain/8|", "OK|"), (0, 0, "SET_PERMS /local/domain/8|n8|", "OK|")]);
    let by_turns = |count: usize| given(count).replace('\n', "\n/h = \"\"   (n8)\n");
    assert_eq!(host.fuse(by_turns(1000).as_bytes()), [format!("unnamed: line 1999, column 1: {why}")]);
    host.check();
    assert_eq!(host.fuse(given(999).as_bytes()), Vec::<String>::new());
    host.expect(&[(0, 0, "READ /g/998|", "")]);
}

/// How many nodes a store has room for that just takes these layers, the paths of each in order.
fn least(low: &BTreeSet<String>, up: &BTreeSet<String>) -> usize {
    let text = |paths: &BTreeSet<String>| paths.iter().map(|path| format!("{path}:\n")).collect::<String>();
    let module = format!("layer low\n{}layer up\n{}end\n", text(low), text(up));
    let takes = |nodes: &usize| {
        Host::with_layers(&Capacities { nodes: *nodes, ..FEW }, module.as_bytes()).1.is_empty()
    };
    (6..64).find(takes).expect("there is room for all paths")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_there_takes_no_room(low in btree_set(path(), 1..9), up in btree_set(path(), 0..9)) {
        let prefixes = |path: &String| {
            let ends: Vec<usize> = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]).collect();
            ends.into_iter().map(|end| path[..end].to_string()).collect::<Vec<_>>()
        };
        let all: BTreeSet<String> = low.iter().chain(&up).flat_map(prefixes).collect();
        let one = BTreeSet::from(["/a".to_string()]);
        prop_assert_eq!(least(&low, &up), least(&one, &one) - 1 + all.len());
    }
}
