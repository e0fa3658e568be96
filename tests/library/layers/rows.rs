//! Fusions, three layers deep, each beside what must come of it.

use super::{fused, lines, seen};

/// What the layers say, `; ` between lines and `||` between layers, and the tree that comes of it.
const FUSIONS: [(&str, &str, &str); 21] = [
    ("nothing", "||||", ""),
    ("one value", "/a = \"1\"||||", "/a = \"1\" (n0)"),
    ("a value covers", "/a = \"1\"||/a = \"2\"||/a = \"3\"", "/a = \"3\" (n0)"),
    ("a value shines through", "/a = \"1\"||/b = \"2\"||", "/a = \"1\" (n0); /b = \"2\" (n0)"),
    ("an empty value covers", "/a = \"1\"||/a = \"\"||", "/a = \"\" (n0)"),
    (
        "children merge",
        "/a/x = \"1\"||/a/y = \"2\"||/a/z = \"3\"",
        "/a = \"\" (n0); /a/x = \"1\" (n0); /a/y = \"2\" (n0); /a/z = \"3\" (n0)",
    ),
    (
        "a value covers and children merge",
        "/a = \"1\"; /a/x = \"1\"||/a = \"2\"||/a/x = \"3\"",
        "/a = \"2\" (n0); /a/x = \"3\" (n0)",
    ),
    ("permissions stay", "/a = \"1\" (n0,r32757)||/a = \"2\"||", "/a = \"2\" (n0,r32757)"),
    ("permissions cover", "/a = \"1\" (n0,r32757)||/a = \"2\" (b0)||", "/a = \"2\" (b0)"),
    ("permissions alone", "/a = \"1\"||/a: (r0)||", "/a = \"1\" (r0)"),
    ("permissions alone, twice", "/a = \"1\"||/a: (r0)||/a: (w0,b32757)", "/a = \"1\" (w0,b32757)"),
    ("permissions are inherited", "/a: (r0)||/a/x = \"1\"||", "/a = \"\" (r0); /a/x = \"1\" (r0)"),
    ("a node without a value", "||/a:||", "/a = \"\" (n0)"),
    (
        "a whiteout takes all below",
        "/a = \"1\"; /a/x = \"1\"; /ab = \"1\"||whiteout /a||",
        "/ab = \"1\" (n0)",
    ),
    ("a whiteout of nothing", "/a = \"1\"||whiteout /b; whiteout /a/x||", "/a = \"1\" (n0)"),
    ("opaque hides children only", "/a = \"1\" (r0); /a/x = \"1\"||opaque /a||", "/a = \"1\" (r0)"),
    (
        "what is removed reappears",
        "/a = \"1\" (r0); /a/x = \"1\"||whiteout /a||/a/y = \"3\"",
        "/a = \"\" (n0); /a/y = \"3\" (n0)",
    ),
    (
        "and in the layer that removes it, wherever that says so",
        "/a = \"1\" (r0); /a/x = \"1\"||/a = \"2\"; whiteout /a||/a/x = \"3\"",
        "/a = \"2\" (n0); /a/x = \"3\" (n0)",
    ),
    (
        "opaque with children of its own",
        "/a = \"1\"; /a/x = \"1\"||/a/y = \"2\"; opaque /a||/a/x/z = \"3\"",
        "/a = \"1\" (n0); /a/y = \"2\" (n0); /a/x = \"\" (n0); /a/x/z = \"3\" (n0)",
    ),
    ("the later line counts", "/a = \"1\"; /a = \"2\"||||/b: ; /b: (r0)", "/a = \"2\" (n0); /b = \"\" (r0)"),
    ("a special node", "@releaseDomain = \"\" (n0)||||/a = \"1\"", "/a = \"1\" (n0)"),
];

/// The file of layers.
fn module(layers: &str) -> String {
    let layers = layers.split("||").enumerate();
    let texts = layers
        .map(|(n, layer)| format!("layer l{n}\n{}\n", layer.replace("; ", "\n").replace(": \n", ":\n")));
    texts.collect::<String>() + "end\n"
}

#[test]
fn each_fusion_comes_to_what_it_must() {
    for (what, layers, expected) in FUSIONS {
        let mut expected: Vec<String> =
            expected.split_terminator("; ").map(|line| line.replace(" (", "   (") + "\n").collect();
        expected.sort();
        let mut host = fused(&module(layers));
        let mut tree: Vec<String> = lines(&seen(&mut host)).split_inclusive('\n').map(String::from).collect();
        tree.sort();
        assert_eq!(tree, expected, "{what}: {layers}");
    }
}

/// What the special nodes are read by, and whom a watch tells of what is fused: nobody, as there is none yet.
#[test]
fn special_nodes_and_the_root() {
    let mut host = fused("/ = \"r\"   (r0)\n@introduceDomain = \"\"   (n0,r32757)\n/a/b = \"1\"\n");
    host.expect(&[
        (0, 0, "READ /|", "r"),
        (0, 0, "GET_PERMS /|", "r0|"),
        (0, 0, "GET_PERMS @introduceDomain|", "n0|r32757|"),
        (0, 0, "GET_PERMS /a/b|", "r0|"),
        (0, 0, "GET_PERMS /tool|", "n0|"),
        (0, 0, "WRITE /a/b/c|2", "OK|"),
        (0, 0, "RM /a|", "OK|"),
        (0, 0, "READ /a/b|", "ENOENT"),
    ]);
}

/// A layer of which anything is wrong changes nothing, and those around it are there.
#[test]
fn a_layer_that_is_wrong_is_left_out() {
    let rows = [
        ("/x/ = \"1\"", "line 5, column 1: the path is none that a node may have"),
        ("/x.y = \"1\"", "line 5, column 1: the path is none that a node may have"),
        ("@other = \"1\"", "line 5, column 1: the path is none that a node may have"),
        ("whiteout x", "line 5, column 10: the path is none that a node may have"),
        ("whiteout /", "line 5, column 10: the root and special nodes are always there"),
        ("opaque @releaseDomain", "line 5, column 8: the root and special nodes are always there"),
        ("white /", "line 5, column 1: no node and no directive: layer, whiteout, opaque, end, #"),
        ("/x", "line 5, column 3: behind a path comes = and a value, or a colon"),
        ("/x = 1", "line 5, column 3: behind a path comes = and a value, or a colon"),
        ("/x = \"1", "line 5, column 8: the value has no '\"' at its end"),
        ("/x = \"a\\qb\"", "line 5, column 8: no escape: \\\\ \\\" \\t \\n \\r \\ooo \\xhh"),
        ("/x = \"\\08\"", "line 5, column 7: no escape: \\\\ \\\" \\t \\n \\r \\ooo \\xhh"),
        ("/x = \"1\" n0", "line 5, column 10: no permissions, like (n0,r5), or something behind them"),
        ("/x = \"1\"   (n0,q1)", "line 5, column 16: no permissions, like (n0,r5), or something behind them"),
        ("/x = \"1\"   (n0) ", "line 5, column 12: no permissions, like (n0,r5), or something behind them"),
        ("/x = \"1\"   (n5)", "line 5, column 1: the permissions name a domain that is not there"),
        ("/x = \"1\"   (n0,r5)", "line 5, column 1: the permissions name a domain that is not there"),
        ("/x = \"1\"   (n32757)", "line 5, column 1: the permissions name a domain that is not there"),
    ];
    for (line, reason) in rows {
        let module = format!(
            "layer low\n/a = \"1\"\nlayer bad\n/a = \"2\"\n{line}\n/b = \"2\"\nlayer up\n/c = \"3\"\nend\n"
        );
        let (mut host, left_out) =
            support::Host::with_layers(&xenstore::config::Capacities::for_nodes(2048), module.as_bytes());
        assert_eq!(left_out, [format!("bad: {reason}")], "{line}");
        host.check();
        assert_eq!(lines(&seen(&mut host)), "/a = \"1\"   (n0)\n/c = \"3\"   (n0)\n", "{line}");
    }
}

/// What is behind the end of the text is not read, and a text that has been cut off is not taken for whole.
#[test]
fn the_text_ends_by_itself() {
    let whole = "layer a\n/a = \"1\"\nend\n";
    for behind in ["", "\0\0\0", "layer b\n/b = \"1\"\n", "\u{1}garbage\n"] {
        assert_eq!(lines(&seen(&mut fused(&format!("{whole}{behind}")))), "/a = \"1\"   (n0)\n");
    }
    // What xenstore-ls prints has no end.
    for end in ["", "\n", "\n\0\0", "\0\0"] {
        assert_eq!(lines(&seen(&mut fused(&format!("/a = \"1\"{end}")))), "/a = \"1\"   (n0)\n");
    }
    for cut in [whole.len() - 1, whole.len() - 4, whole.len() - 5, whole.len() - 8] {
        let (host, left_out) = support::Host::with_layers(
            &xenstore::config::Capacities::for_nodes(2048),
            &whole.as_bytes()[..cut],
        );
        let whole = cut == whole.len() - 1;
        assert_eq!(left_out.is_empty(), whole, "{cut}: {left_out:?}");
        host.check();
    }
    let (_, left_out) =
        support::Host::with_layers(&xenstore::config::Capacities::for_nodes(2048), b"\x1f\x8b\x08\0\0\0\0\0");
    assert_eq!(left_out, [": gzip is not unpacked"]);
}

/// More layers than are counted: those above are left out, and said to be.
#[test]
fn layers_are_counted() {
    let layers: String = (0..34).map(|n| format!("layer l{n}\n/n{n} = \"\"\n")).collect();
    let (mut host, left_out) = support::Host::with_layers(
        &xenstore::config::Capacities::for_nodes(2048),
        format!("{layers}end\n").as_bytes(),
    );
    let why = "column 1: there are more layers than the store counts";
    assert_eq!(left_out, [format!("l32: line 65, {why}"), format!("l33: line 67, {why}")]);
    assert_eq!(seen(&mut host).len(), 32);
}
