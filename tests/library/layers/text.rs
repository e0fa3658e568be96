//! The text: what is printed is read as what it was.

use proptest::collection::vec;
use proptest::prelude::*;
use xenstore::abi::DomId;
use xenstore::layers::{
    Item, LINE_MAX, Line, Node, Permission, PermissionBuf, ValueBuf, parse, permissions, quoted,
};
use xenstore::path::Path;
use xenstore::perms::Access;

use super::begun_with;

fn print(path: &str, value: &[u8], list: &[Permission]) -> String {
    let mut line = format!("{path} = ");
    quoted(value, &mut line).expect("a string has room");
    permissions(list.iter().copied(), &mut line).expect("a string has room");
    line
}

fn read(line: &str, check: impl FnOnce(Result<Line<'_>, (xenstore::layers::Fault, usize)>)) {
    check(parse(line.as_bytes(), &mut ValueBuf::new(), &mut PermissionBuf::new()));
}

fn entry() -> impl Strategy<Value = Permission> {
    (0_u8..4, any::<u16>()).prop_map(|(access, domid)| (Access::from_bits_truncate(access), DomId(domid)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read(value in vec(any::<u8>(), 0..300), list in vec(entry(), 1..20)) {
        let line = print("/a/b", &value, &list);
        prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", line);
        let mut values = ValueBuf::new();
        let mut lists = PermissionBuf::new();
        let node = Node {
            path: Path::from_static(b"/a/b"),
            value: Some(&value),
            permissions: Some(&list),
        };
        prop_assert_eq!(
            parse(line.as_bytes(), &mut values, &mut lists),
            Ok(Line::Item(Item::Node(node))),
            "{}", line
        );
    }

    /// What is kept of the line before makes no difference.
    #[test]
    fn lines_do_not_depend_on_each_other(
        lines in vec(("/a = \"[a\"\\\\]{0,3}", prop::sample::select(vec!["", "\"", "\"   (n0)", "\" (n0)", "\"   (n0,b0)", "\"   (n0"])), 1..6),
    ) {
        let (mut values, mut lists) = (ValueBuf::new(), PermissionBuf::new());
        for (before, behind) in lines {
            let line = format!("{before}{behind}");
            let alone = format!("{:?}", parse(line.as_bytes(), &mut ValueBuf::new(), &mut PermissionBuf::new()));
            let after = format!("{:?}", parse(line.as_bytes(), &mut values, &mut lists));
            prop_assert_eq!(after, alone, "{}", line);
        }
    }

    #[test]
    fn whatever_a_line_is_it_is_read_or_refused(line in vec(any::<u8>(), 0..80), node in "/[a-z]{1,3}[ =:\"\\\\x0-9(nr,)]{0,20}") {
        for line in [&line[..], node.as_bytes()] {
            if let Err((_, at)) = parse(line, &mut ValueBuf::new(), &mut PermissionBuf::new()) {
                prop_assert!(at <= line.len() + 1);
            }
        }
    }
}

/// Values that xenstore-ls of Xen 4.17 and 4.20 print in these ways.
#[test]
fn values_as_the_tool_prints_them() {
    for (printed, value) in [
        ("", &b""[..]),
        ("a b", b"a b"),
        ("say \"hi\"", b"say \"hi\""),
        ("\"   (n0)", b"\"   (n0)"),
        ("\"", b"\""),
        ("\\\\", b"\\"),
        ("a\\tb\\nc\\rd\\x1be", b"a\tb\nc\rd\x1be"),
        ("h\\xc3\\xa4", b"h\xc3\xa4"),
        ("\\000\\001\\002\\007\\x08\\x0b\\x7f\\xff", b"\x00\x01\x02\x07\x08\x0b\x7f\xff"),
        ("\\0011", b"\x011"),
    ] {
        let line = print("/v", value, &[(Access::empty(), DomId(0))]);
        assert_eq!(line, format!("/v = \"{printed}\"   (n0)"));
        for line in [line, format!("/v = \"{printed}\"")] {
            read(&line, |read| {
                let Ok(Line::Item(Item::Node(node))) = read else { panic!("{line}: {read:?}") };
                assert_eq!(node.value, Some(value), "{line}");
            });
        }
    }
    // Other spellings of the same.
    for (printed, value) in
        [("\\\"", &b"\""[..]), ("\\xFf", b"\xff"), ("\\377", b"\xff"), ("\u{e4}\t", b"\xc3\xa4\t")]
    {
        read(&format!("/v = \"{printed}\""), |read| {
            let Ok(Line::Item(Item::Node(node))) = read else { panic!("{printed}: {read:?}") };
            assert_eq!((node.value, node.permissions), (Some(value), None), "{printed}");
        });
    }
}

/// The longest of everything.
#[test]
fn limits() {
    let long = |count: usize| vec![b'\xff'; count];
    let most: Vec<Permission> = vec![(Access::READ, DomId(65535)); 512];
    let path = |len: usize| format!("/{}", "a".repeat(len - 1));
    let line = print(&path(4095), &long(4096), &most);
    assert!(line.len() <= LINE_MAX, "{}", line.len());
    read(&line, |read| assert!(matches!(read, Ok(Line::Item(_))), "{read:?}"));
    let more: Vec<Permission> = vec![(Access::READ, DomId(1)); 513];
    use xenstore::layers::Fault;
    for (line, fault) in [
        (print(&path(4096), b"", &most), Fault::LongPath),
        (print("/a", &long(4097), &most), Fault::LongValue),
        (print("/a", b"", &more), Fault::LongList),
    ] {
        read(&line, |read| assert_eq!(read.map_err(|(fault, _)| fault), Err(fault)));
    }
}

/// However a line comes, in one piece or in many, it may be as long.
#[test]
fn the_longest_line() {
    let long = ["unnamed: line 2, column 24577: the line is longer than any may be".to_owned()];
    for (len, expected) in [(LINE_MAX, &[][..]), (LINE_MAX + 1, &long)] {
        let comment = format!("#{}", "c".repeat(len - 1));
        let node = format!("/b = \"\"{}(n0)", " ".repeat(len - "/b = \"\"(n0)".len()));
        for (line, end) in [(&comment, "\n/c:\n"), (&node, "\n/c:\n"), (&comment, ""), (&node, "")] {
            for size in [7, 4096, 1 << 20] {
                let (_, left_out) = begun_with(format!("/a:\n{line}{end}").as_bytes(), size);
                assert_eq!(left_out, expected, "{len} bytes of {:.5}, pieces of {size}", line);
            }
        }
    }
}
