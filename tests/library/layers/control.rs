//! What operators are told: CONTROL `layers`.

use support::Host;
use xenstore::config::Capacities;

const MODULE: &str = "layer vendor\n/a/b = \"1\"\n/a/c = \"2\"   (r0)\nlayer site\nwhiteout /a/b\n/a/c = \"3\"\nlayer bad\n/x.y = \"\"\nend\n";
const LIST: &str = "vendor: 2 nodes, 0 removals\\nsite: 1 nodes, 1 removals\\n\
                    bad: left out: line 8, column 1: the path is none that a node may have\\n|";

#[test]
fn layers_are_told_of() {
    let (mut host, left_out) = Host::with_layers(&Capacities::for_nodes(2048), MODULE.as_bytes());
    assert_eq!(left_out.len(), 1);
    for version in [0, 1, 2] {
        if version > 0 {
            host.update(version);
            host.poll();
        }
        host.expect(&[
            (0, 0, "CONTROL layers|", LIST),
            (0, 0, "CONTROL layers|/a|", "vendor\\n|"),
            (0, 0, "CONTROL layers|/a/c|", "site\\n|"),
            (0, 0, "CONTROL layers|/tool|", "every store\\n|"),
            (0, 0, "CONTROL layers|/a/b|", "ENOENT"),
            (0, 0, "CONTROL layers|a|", "EINVAL"),
            (0, 0, "CONTROL layers|/a|b|", "EINVAL"),
        ]);
    }
    host.expect(&[
        (0, 0, "WRITE /a/c|4", "OK|"),
        (0, 0, "CONTROL layers|/a/c|", "site, value changed\\n|"),
        (0, 0, "SET_PERMS /a/c|n0|", "OK|"),
        (0, 0, "CONTROL layers|/a/c|", "site, value changed, permissions changed\\n|"),
        (0, 0, "SET_PERMS /a|r0|", "OK|"),
        (0, 0, "CONTROL layers|/a|", "vendor, permissions changed\\n|"),
        (0, 0, "RM /a/c|", "OK|"),
        (0, 0, "WRITE /a/c|4", "OK|"),
        (0, 0, "CONTROL layers|/a/c|", "a client\\n|"),
    ]);
}

#[test]
fn a_store_without_layers_says_so() {
    let mut host = Host::new();
    host.expect(&[
        (0, 0, "CONTROL layers|", "The store began empty.\\n|"),
        (0, 0, "WRITE /a|", "OK|"),
        (0, 0, "CONTROL layers|/a|", "a client\\n|"),
        (0, 0, "WRITE /tool|x", "OK|"),
        (0, 0, "CONTROL layers|/tool|", "every store, value changed\\n|"),
    ]);
}
