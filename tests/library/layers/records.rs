//! The form of records says the same as the text.

use support::layers::{records, text};

use super::{fused, seen};

const LOW: &str = "layer low\n/a = \"1\"   (r0)\n/a/x = \"\\xff\\000\"\n/b/c = \"2\"   (n0,b0)\n";
const UP: &str = "layer up\nwhiteout /b\nopaque /a\n/a:   (w0)\n/b = \"3\"\n";

#[test]
fn both_forms_are_the_same() {
    for layer in [LOW, UP, "/a = \"\"\n", ""] {
        let records = records(format!("{layer}end\n").as_bytes()).unwrap();
        assert_eq!(
            text(&records).map(|text| text.escape_ascii().to_string()),
            Ok(layer.as_bytes().escape_ascii().to_string())
        );
    }
}

/// A server's whole state is a layer, whoever wrote it.
#[test]
fn a_state_is_a_layer() {
    let mut host = fused(&format!("{LOW}{UP}end\n"));
    let expected = seen(&mut host);
    for version in [1, 2] {
        let text = text(&host.save(version)).unwrap();
        assert_eq!(seen(&mut fused(core::str::from_utf8(&text).unwrap())), expected);
    }
}

#[test]
fn records_that_are_wrong_are_refused() {
    let whole = records(LOW.as_bytes()).unwrap();
    for len in 0..whole.len() {
        let wrong = text(&whole[..len]).unwrap_err();
        assert!(wrong.ends_with("the records end too early, or are none"), "{len}: {wrong}");
    }
    let mut newer = whole.clone();
    newer[11] = 9;
    assert_eq!(text(&newer), Err("record 1: the records end too early, or are none".into()));
    let at = whole.windows(2).position(|pair| pair == b"/a").unwrap();
    for (byte, why) in [
        (b'.', "record 2: the path is none that a node may have"),
        (b'@', "record 2: the path is none that a node may have"),
    ] {
        let mut wrong = whole.clone();
        wrong[at] = byte;
        assert_eq!(text(&wrong), Err(why.into()));
    }
    let (_, left_out) = support::Host::with_layers(&xenstore::config::Capacities::for_nodes(2048), &whole);
    assert_eq!(left_out, [": it is records, not text"]);
}
