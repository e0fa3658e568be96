//! The tool on files and on a store.

use std::process::{Command, Output, Stdio};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        for (name, text) in files {
            std::fs::write(folder.0.path().join(name), text).expect("it can be written");
        }
        folder
    }

    /// What the tool prints and says, and its status.
    fn run(&self, call: &str) -> (String, String, i32) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xs-layers"));
        let Output { stdout, stderr, status } =
            command.args(call.split(' ')).current_dir(self.0.path()).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(stdout), text(stderr), status.code().expect("it ends by itself"))
    }

    #[track_caller]
    fn prints(&self, call: &str, expected: &str) {
        assert_eq!(self.run(call), (expected.to_string(), String::new(), 0), "{call}");
    }

    #[track_caller]
    fn says(&self, call: &str, status: i32, expected: &str) {
        assert_eq!(self.run(call), (String::new(), expected.to_string(), status), "{call}");
    }
}

const VENDOR: &str =
    "# the vendor's\n/class/small = \"64\"   (n0,r32757)\n/class/large = \"1000\"\n/old = \"\\\\\"\n";
const SITE: &str = "layer site\nwhiteout /old\n/class/small = \"32\"\n/here = \"a\"   (r0)\nend\n";
const TOOL: &str = "/tool = \"\"   (n0)\n/tool/xenstored = \"\"   (n0)\n";
const FUSED: &str = "/class = \"\"   (n0)\n/class/small = \"32\"   (n0,r32757)\n/class/large = \"1000\"   (n0)\n/here = \"a\"   (r0)\n";

#[test]
fn files_become_one() {
    let folder = Folder::new(&[("vendor.layer", VENDOR), ("site", SITE)]);
    let module = format!("layer vendor\n{VENDOR}{SITE}");
    let (text, said, status) = folder.run("pack vendor.layer site");
    assert_eq!((text.as_str(), status), (module.as_str(), 0), "{said}");
    assert_eq!(said, format!("2 layers, {} bytes; 4 nodes fused\n", module.len()));
    assert_eq!(folder.run("pack -o module vendor.layer site").2, 0);
    folder.prints("fuse module", &format!("{TOOL}{FUSED}"));
    folder.prints("fuse vendor.layer site", &format!("{TOOL}{FUSED}"));
    folder.prints("check module vendor.layer", "module: 2 layers, 4 nodes\nvendor.layer: 1 layer, 4 nodes\n");
    std::fs::create_dir(folder.0.path().join("parts")).expect("a folder");
    folder.prints("split -d parts module", "parts/vendor.layer\nparts/site.layer\n");
    folder.prints("fuse parts/vendor.layer parts/site.layer", &format!("{TOOL}{FUSED}"));
}

#[test]
fn a_layer_is_split_into_no_other_folder() {
    let folder = Folder::new(&[
        ("up", "layer ../up\n/a = \"\"\nend\n"),
        ("twice", "layer a\n/a = \"\"\nlayer a\n/b = \"\"\nend\n"),
        ("none", "# nothing\n"),
        ("text", "root:x:0\n"),
        ("there", "layer new\n/a = \"\"\nlayer there\n/b = \"\"\nend\n"),
        ("there.layer", ""),
        ("alone", "layer a\n/a = \"\"\nend\n"),
    ]);
    folder.says("split -d . up", 1, "up:1:7: a layer's name is 1 to 31 of letters, digits and -_.+\n");
    folder.says("split -d . twice", 2, "xs-layers: twice: two layers are called a\n");
    assert!(!folder.0.path().join("a.layer").exists());
    // Nor are files replaced, or made of what is no layer.
    folder.says("split none", 2, "xs-layers: none: no layer is in it\n");
    folder.says(
        "split text",
        1,
        "text:1:1: unnamed: no node and no directive: layer, whiteout, opaque, end, #\n",
    );
    folder.says("split there", 2, "xs-layers: there.layer: it exists; -d names another directory\n");
    assert!(!folder.0.path().join("new.layer").exists());
    // Nor is what a link leads to made.
    std::os::unix::fs::symlink("nowhere", folder.0.path().join("a.layer")).expect("a link");
    folder.says("split alone", 2, "xs-layers: a.layer: it exists; -d names another directory\n");
}

/// What files that were put together by hand say of the second one, nobody would read.
#[test]
fn nothing_is_behind_the_end() {
    let both = format!("layer a\n{VENDOR}end\n\nlayer b\n/b = \"\"\nend\n");
    let folder = Folder::new(&[
        ("both", both.as_str()),
        ("filled", &format!("layer a\n{VENDOR}end\n \n\0\0\0")),
        ("strange\u{1b}[31m", "x\n"),
    ]);
    let line = both.lines().position(|line| line == "layer b").expect("a line") + 1;
    for call in ["check both", "pack both", "fuse both", "diff both filled", "split both"] {
        let why = "nobody reads what is behind the line 'end': pack puts files together";
        folder.says(call, 2, &format!("xs-layers: both:{line}: {why}\n"));
    }
    folder.prints("check filled", "filled: 1 layer, 4 nodes\n");
    let records = support::layers::records(VENDOR.as_bytes()).expect("a layer");
    let filled = [&records[..], &[0; 40]].concat();
    for (name, bytes, why) in [
        ("zero", &b"/a:\n\0\0/b:\n"[..], ":2: nobody reads what is behind a byte 0"),
        ("within", b"/a = \"1\0\"\n", ":1: nobody reads what is behind a byte 0"),
        ("wide", b"/\0a\0:\0\n\0", ":1: nobody reads what is behind a byte 0"),
        ("states", &[&records[..], &records].concat(), ": nobody reads what is behind the last record"),
        ("late", &[&filled[..], b"x"].concat(), ": nobody reads what is behind the last record"),
    ] {
        std::fs::write(folder.0.path().join(name), bytes).expect("it can be written");
        let expected = format!("xs-layers: {name}{why}: pack puts files together\n");
        folder.says(&format!("check {name}"), 2, &expected);
    }
    std::fs::write(folder.0.path().join("records"), filled).expect("it can be written");
    folder.prints("check records", "records: 1 layer, 4 nodes\n");
    let (_, said, status) = folder.run("check strange\u{1b}[31m");
    assert!(said.starts_with("strange\\u{1b}[31m:1:1: ") && status == 1, "{said}");
    let (_, said, _) = folder.run("pack -o none/strange\u{1b}[31m filled");
    assert!(said.contains("none/strange\\u{1b}[31m: ") && !said.contains('\u{1b}'), "{said}");
}

/// What an editor of another system adds is told as that: on a screen the line is as it should be.
#[test]
fn files_of_other_systems_are_told() {
    let folder = Folder::new(&[
        ("returns", "# a comment\r\nlayer a\r\n/a = \"\"\r\nend\r\n"),
        ("one", "layer a\n# a comment\r\n/a = \"\"\nend\n"),
        ("mark", "\u{feff}layer a\n/a = \"\"\nend\n"),
    ]);
    let why = "the line ends with a carriage return, as Windows writes: tr -d '\\r' takes them away";
    folder.says("check returns", 2, &format!("xs-layers: returns:2: {why}\n"));
    folder.prints("check one", "one: 1 layer, 1 node\n");
    let why = "it begins with a byte order mark, as some editors write: have plain ASCII";
    folder.says("pack mark", 2, &format!("xs-layers: mark:1: {why}\n"));
}

/// Whoever reads may end early, and where nobody can write, that is said.
#[test]
fn what_is_told_may_not_be_taken() {
    let folder = Folder::new(&[("good", VENDOR)]);
    for call in ["check good", "split good", "--help", "--version"] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("it is there");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        for (out, expected) in [
            (Stdio::from(full), "xs-layers: standard output: No space left on device (os error 28)\n"),
            (writer.into(), ""),
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_xs-layers"));
            let command = command.args(call.split(' ')).current_dir(folder.0.path()).stdout(out);
            let said = command.stderr(Stdio::piped()).output().expect("it runs");
            assert_eq!(String::from_utf8_lossy(&said.stderr), expected, "{call}");
            let _split = std::fs::remove_file(folder.0.path().join("unnamed.layer"));
        }
    }
}

/// Where a disk has no room for all of a file, what was there stays, and nothing else is there.
#[test]
fn files_that_find_no_room_are_not_begun() {
    let large: String = (0..100).map(|n| format!("/n{n} = \"\"\n")).collect();
    let both = format!("layer small\n/a:\nlayer large\n{large}end\n");
    let folder = Folder::new(&[("large", large.as_str()), ("both", &both), ("module", "old")]);
    for (call, file) in [("pack -o module large", "module"), ("split both", "large.layer")] {
        // Blocks of 512 bytes; without the signal, what is written behind them is refused as where a disk is full.
        let limited = format!("trap '' XFSZ; ulimit -f 1; exec \"$0\" {call}");
        let program = env!("CARGO_BIN_EXE_xs-layers");
        let said = Command::new("sh").args(["-c", &limited, program]).current_dir(folder.0.path()).output();
        let said = said.expect("it runs");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        let expected = format!("xs-layers: {file}: File too large (os error 27)\n");
        assert_eq!((text.ends_with(&expected), said.status.code()), (true, Some(2)), "{text}");
    }
    assert_eq!(std::fs::read_to_string(folder.0.path().join("module")).expect("it is there"), "old");
    assert_eq!(std::fs::read_dir(folder.0.path()).expect("a folder").count(), 3);
}

#[test]
fn differences_are_a_layer() {
    let folder = Folder::new(&[("vendor", VENDOR), ("site", SITE), ("now", FUSED)]);
    let changes = "layer changes\nwhiteout /old\n/class/small = \"32\"\n/here = \"a\"   (r0)\nend\n";
    folder.prints("diff now vendor", changes);
    folder.prints("diff now vendor site", "layer changes\nend\n");
    std::fs::write(folder.0.path().join("changes"), changes).expect("it can be written");
    folder.prints("fuse vendor changes", &format!("{TOOL}{FUSED}"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = Folder::new(&[
        ("good", VENDOR),
        ("bad", "/a = \"1\"\n/b.c = \"2\"\n"),
        ("cut", "layer x\n/a = \"\"\n"),
        ("guest", "/a = \"\"   (n5)\n"),
    ]);
    let path = "the path is none that a node may have\n";
    folder.says("check bad", 1, &format!("bad:2:1: unnamed: {path}"));
    folder.says("pack good bad", 1, &format!("bad:2:1: bad: {path}"));
    folder.says("check cut", 1, "cut:3:1: x: the layers are cut off: there is no line 'end'\n");
    folder.says("check guest", 1, "guest:1:1: unnamed: the permissions name a domain that is not there\n");
    for call in
        ["check --domains 5 guest", "--domains 4,5 check guest", "check guest --domains 4 --domains 5"]
    {
        folder.prints(call, "guest: 1 layer, 1 node\n");
    }
    folder.says("diff good", 2, "xs-layers: good: that is no store: files are wanted to compare it with\n");
    folder.says("fuse nothing", 2, "xs-layers: nothing: No such file or directory (os error 2)\n");
    std::fs::write(folder.0.path().join("zip"), b"\x1f\x8b\x08").expect("it can be written");
    folder.says("pack zip", 2, "xs-layers: zip: gzip is not unpacked\n");
}

#[test]
fn mistakes_in_the_call_are_said_with_what_is_allowed() {
    let folder = Folder::new(&[("good", VENDOR), ("bad", "x")]);
    let tasks = "pack, check, fuse, diff, split";
    let domains = "for '--domains <N,...>': wanted are numbers from 1 to 32751 with ',' between";
    let memory = "for '--memory <MIB>': wanted are MiB from 8 to 2048";
    for (call, expected) in [
        ("what good", format!("unrecognized subcommand 'what'; allowed: {tasks}")),
        ("pack", "the following required arguments were not provided: <FILE>...".to_owned()),
        ("fuse", "the following required arguments were not provided: <FILE>...".to_owned()),
        (
            "split good bad",
            "unexpected argument 'bad' found; allowed: xs-layers split [OPTIONS] <FILE>".to_owned(),
        ),
        ("check --domains x good", format!("invalid value 'x' {domains}")),
        ("check --domains 0 good", format!("invalid value '0' {domains}")),
        ("check --domains 5,32752 good", format!("invalid value '32752' {domains}")),
        ("check --memory 7 good", format!("invalid value '7' {memory}")),
        ("check --memory 2049 good", format!("invalid value '2049' {memory}")),
        ("check --memory x good", format!("invalid value 'x' {memory}")),
        (
            "fuse --memory 8 good",
            "unexpected argument '--memory' found; allowed: --domains, --help".to_owned(),
        ),
        (
            "--memory=8 check good",
            "unexpected argument '--memory' found; allowed: --domains, --help, --version".to_owned(),
        ),
        (
            "check -o out good",
            "unexpected argument '-o' found; allowed: --memory, --domains, --help".to_owned(),
        ),
        ("pack -d . good", "unexpected argument '-d' found; allowed: -o, --domains, --help".to_owned()),
    ] {
        folder.says(call, 2, &format!("xs-layers: {expected}; see --help\n"));
    }
}

/// Too many nodes for little memory, and a file too large for it.
#[test]
fn memory_may_be_too_little() {
    let many: String = (0..60_000).map(|n| format!("/n{n} = \"\"\n")).collect();
    let folder =
        Folder::new(&[("many", many.as_str()), ("large", &format!("{many}{}", "#\n".repeat(400_000)))]);
    folder.prints("check --memory 16 many", "many: 1 layer, 60000 nodes\n");
    let (_, said, status) = folder.run("check --memory 8 many");
    assert_eq!((said.contains("there is no room for it in the store"), status), (true, 1), "{said}");
    let large = "large: the module is too large beside the store in this much memory\n";
    folder.says("check --memory 8 large", 1, large);
}

/// Whatever fits a store can be packed, also what fits large ones only.
#[test]
fn many_nodes_are_packed() {
    let (deep, value) = ("/d".repeat(800), "v".repeat(4096));
    let many: String = (0..3200).map(|n| format!("/n/{n} = \"{value}\"   (n0,r{})\n", n % 2500)).collect();
    let domains = (1..2500).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let folder = Folder::new(&[("deep", &format!("{deep}:\n")), ("many", &many)]);
    folder.says("pack -o out deep", 0, "1 layer, 1617 bytes; 800 nodes fused\n");
    let (_, said, status) = folder.run(&format!("pack --domains 7,{domains} -o out many"));
    assert_eq!((said.contains("3201 nodes fused"), status), (true, 0), "{said}");
    let (_, said, status) = folder.run(&format!("check --memory 8 --domains {domains} deep"));
    let expected = "xs-layers: --domains: this store has room for ";
    assert_eq!((said.starts_with(expected), said.lines().count(), status), (true, 1, 2), "{said}");
}

/// Records are read as text is.
#[test]
fn a_state_is_a_layer() {
    let folder = Folder::new(&[]);
    let records = support::layers::records(format!("layer vendor\n{VENDOR}").as_bytes()).expect("a layer");
    std::fs::write(folder.0.path().join("records"), records).expect("it can be written");
    let (text, _, status) = folder.run("pack records");
    assert_eq!(status, 0);
    assert!(text.starts_with("layer vendor\n/class/small = \"64\"   (n0,r32757)\n"), "{text}");
}
