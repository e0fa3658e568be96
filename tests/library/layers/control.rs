//! What operators are told: CONTROL `layers`.

use support::Host;
use xenstore::config::Capacities;

use super::unescaped;

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

/// Of `stats` and `stats json`.
fn stats(host: &mut Host) -> (serde_json::Value, String) {
    let json = unescaped(&host.ask(0, 0, "CONTROL stats|json|"));
    let text = unescaped(&host.ask(0, 0, "CONTROL stats|"));
    (serde_json::from_str(json.strip_suffix('|').expect("a text")).expect("JSON"), text)
}

#[test]
fn layers_are_in_the_statistics() {
    let module = MODULE.replace("/x.y = \"\"", "/x = \"\\q\"");
    let (mut host, left_out) = Host::with_layers(&Capacities::for_nodes(2048), module.as_bytes());
    assert_eq!(left_out.len(), 1);
    let layers = serde_json::json!({
        "columns": ["nodes", "removals"],
        "vendor": [2, 0],
        "site": [1, 1],
        "bad": "left out: line 8, column 7: no escape: \\\\ \\\" \\t \\n \\r \\ooo \\xhh",
    });
    let (json, text) = stats(&mut host);
    assert_eq!(json["layers"], layers);
    let shown =
        "\nlayers\n                          nodes   removals\nvendor                        2          0\n";
    assert!(text.contains(shown), "{text}");
    assert!(text.contains("\nbad                  left out: line 8, column 7: no escape"), "{text}");
    assert!(stats(&mut Host::new()).0["layers"].is_null());
}

/// As many as there is room for.
#[test]
fn more_layers_than_fit_are_counted() {
    let wrong: String = (0..32).map(|n| format!("layer {n:031}\n/x = \"\\q\"\n")).collect();
    let (mut host, _) = Host::with_layers(&Capacities::for_nodes(2048), (wrong + "end\n").as_bytes());
    let (json, text) = stats(&mut host);
    let layers = &json["layers"];
    let shown = layers.as_object().expect("a table").len() - 2;
    assert!(shown > 5, "{layers}");
    assert_eq!(layers["and more"], serde_json::json!([32 - shown]));
    assert!(text.contains("\nand more  "), "{text}");
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
