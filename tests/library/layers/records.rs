//! The form of records says the same as the text.

use support::layers::{records, text};

use super::{begun_with, fused, seen};

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
    assert_eq!(text(&newer), Err("record 1: the records are of a version that is not read".into()));
    let at = whole.windows(2).position(|pair| pair == b"/a").unwrap();
    for (byte, why) in [
        (b'.', "record 2: the path is none that a node may have"),
        (b'@', "record 2: the path is none that a node may have"),
    ] {
        let mut wrong = whole.clone();
        wrong[at] = byte;
        assert_eq!(text(&wrong), Err(why.into()));
    }
}

/// The store reads both forms, and makes the same of them.
#[test]
fn a_store_begins_with_records() {
    for module in [
        format!("{LOW}{UP}end\n"),
        format!("{LOW}layer empty\n{UP}end\n"),
        "/a/b = \"1\"\n/c:   (r0)\n".to_string(),
        "/a:\n".to_string(),
        "layer none\nend\n".to_string(),
        String::new(),
    ] {
        let mut expected = fused(&module);
        let told = expected.ask(0, 0, "CONTROL layers|");
        let records = [records(module.as_bytes()).unwrap(), vec![0; 40]].concat();
        for size in [7, 64, records.len()] {
            let (mut host, left_out) = begun_with(&records, size);
            assert_eq!(left_out, [""; 0], "{module}");
            assert_eq!(seen(&mut host), seen(&mut expected), "{module}");
            assert_eq!(host.ask(0, 0, "CONTROL layers|"), told, "{module}");
        }
    }
}

/// The state of a running store, with all that it has beside nodes, in either version.
#[test]
fn a_store_begins_with_a_state() {
    let mut host = fused(&format!("{LOW}{UP}end\n"));
    host.expect(&[(0, 0, "WRITE /new|1", "OK|"), (0, 0, "WATCH /new|t|", "OK|; ev /new,t")]);
    for version in [1, 2] {
        let (mut again, left_out) = begun_with(&host.save(version), 100);
        assert_eq!(left_out, [""; 0]);
        assert_eq!(seen(&mut again), seen(&mut host));
        again.expect(&[(0, 0, "CONTROL layers|/new|", "unnamed\\n|")]);
    }
}

/// A layer in which anything is wrong is left out, with the number of the record, and those around it are there.
#[test]
fn a_wrong_layer_of_records_is_left_out() {
    let three = "layer low\n/a = \"1\"\nlayer bad\n/b = \"2\"\n/bad = \"3\"\nlayer up\n/c = \"4\"\nend\n";
    let (names, path) = ("/a = \"1\"   (n0)\n/c = \"4\"   (n0)\n", "the path is none that a node may have");
    let whole = records(three.as_bytes()).unwrap();
    let at = whole.windows(4).position(|part| part == b"/bad").unwrap();
    let mut wrong = whole.clone();
    wrong[at + 1] = b'.';
    let (mut host, left_out) = begun_with(&wrong, 9);
    assert_eq!(left_out, [format!("bad: record 5: {path}")]);
    assert_eq!(super::lines(&seen(&mut host)), names);
    // A name that is none: what follows is a layer, too.
    let at = whole.windows(3).position(|part| part == b"bad").unwrap();
    let mut wrong = whole.clone();
    wrong[at] = b'?';
    let (_, left_out) = begun_with(&wrong, 9);
    assert_eq!(left_out, ["low: record 3: a layer's name is 1 to 31 of letters, digits and -_.+"]);
    // One that ends early: the layers before are there.
    let (mut host, left_out) = begun_with(&whole[..at], 9);
    let cut = "the records end too early, or are none";
    assert_eq!(left_out, [format!("low: record 3: {cut}")]);
    assert_eq!(super::lines(&seen(&mut host)), "");
    for (len, name) in [(12, ""), (17, "unnamed")] {
        let (_, left_out) = begun_with(&whole[..len], 5);
        let record = if len > 16 { "record 1: " } else { "" };
        assert_eq!(left_out, [format!("{name}: {record}{cut}")], "{len} bytes");
    }
    let mut newer = whole;
    newer[11] = 9;
    assert_eq!(begun_with(&newer, 9).1, [": the records are of a version that is not read"]);
}
