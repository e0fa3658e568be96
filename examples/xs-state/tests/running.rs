//! The tool on a running store: what it saves is shown, compared, and served again.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use store_client::Store;
use xenstore::wire::MessageType;

const XS_STATE: &str = env!("CARGO_BIN_EXE_xs-state");

/// The server to save. It is another package's program: `cargo test` of all has it there, and of this one not.
static SERVER: LazyLock<PathBuf> = LazyLock::new(|| {
    let build = ["build", "--quiet", "--workspace", "--bin", "unix_server"];
    let built = Command::new(env!("CARGO")).args(build).status();
    assert!(built.is_ok_and(|status| status.success()), "the server does not build");
    Path::new(XS_STATE).with_file_name("unix_server")
});

/// Stopped when dropped.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(folder: &Path, name: &str, options: &[&str]) -> Server {
        let socket = folder.join(name);
        let mut command = Command::new(&*SERVER);
        let command = command.args(options).arg(&socket).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut line = [0; 7];
        child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("it says that it serves");
        Server { child, socket }
    }

    fn connect(&self) -> Store {
        Store::open(Some(&self.socket), None).unwrap_or_else(|problem| panic!("{problem}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.child.kill().and_then(|()| self.child.wait());
        assert!(stopped.is_ok_and(|status| status.code().is_none()), "the server ended by itself");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII")
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output { stdout, stderr, status } = Command::new(XS_STATE).args(args).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

fn save(server: &Server, file: &Path) {
    let saved = run(&["save", "--store", text(&server.socket), text(file)]);
    assert_eq!(saved, (0, String::new(), String::new()));
    let mode = file.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner can read it");
}

fn write(store: &mut Store, path: &str, value: &str) {
    let answer = store.request(MessageType::Write, format!("{path}\0{value}").as_bytes());
    assert_eq!(answer.unwrap_or_else(|problem| panic!("{problem}")), b"OK\0");
}

#[test]
fn what_is_saved_is_shown_and_served_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Server::start(folder.path(), "first", &["--memory", "16"]);
    let mut store = first.connect();
    for n in 0..2000 {
        write(&mut store, &format!("/nodes/{n}"), &format!("value of {n}"));
    }
    let [old, new, again] = ["old", "new", "again"].map(|name| folder.path().join(name));
    save(&first, &old);
    write(&mut store, "/nodes/7", "another");
    save(&first, &new);
    let (status, nodes, _) = run(&["show", text(&old)]);
    assert_eq!(status, 0);
    assert!(nodes.contains("/nodes/1999 = \"value of 1999\"   (n0)\n"), "{nodes}");
    let expected = "+ /nodes/7 = \"another\"   (n0)\n- /nodes/7 = \"value of 7\"   (n0)\n";
    assert_eq!(run(&["diff", text(&old), text(&new)]), (1, expected.to_string(), String::new()));
    let second = Server::start(folder.path(), "second", &["--memory", "16", "--state", text(&new)]);
    save(&second, &again);
    assert_eq!(run(&["diff", text(&new), text(&again)]), (0, String::new(), String::new()));
    // Through a pipe, as from dom0.
    let piped = Command::new(XS_STATE).args(["save", "--store", text(&second.socket), "-"]).output();
    std::fs::write(&again, piped.expect("it runs").stdout).expect("the folder can be written");
    assert_eq!(run(&["diff", text(&new), text(&again)]).0, 0);
    assert_eq!(second.connect().control(&["check"]).unwrap_or_else(|problem| panic!("{problem}")), "OK");
}

/// A byte as `xenstore-ls` prints it (sanitise_value in tools/xenstore/utils.c).
fn printed(byte: u8) -> String {
    match byte {
        b'\t' => "\\t".into(),
        b'\n' => "\\n".into(),
        b'\r' => "\\r".into(),
        b'\\' => "\\\\".into(),
        0..=7 => format!("\\{byte:03o}"),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    }
}

#[test]
fn any_byte_is_shown_as_xenstore_ls_shows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), "socket", &["--memory", "8"]);
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let payload = [&b"/odd\0"[..], &all].concat();
    let answer = server.connect().request(MessageType::Write, &payload);
    assert_eq!(answer.unwrap_or_else(|problem| panic!("{problem}")), b"OK\0");
    let file = folder.path().join("state");
    save(&server, &file);
    let expected: String = all.iter().map(|byte| printed(*byte)).collect();
    let (_, nodes, _) = run(&["show", text(&file)]);
    let line = nodes.lines().find(|line| line.starts_with("/odd"));
    assert_eq!(line, Some(format!("/odd = \"{expected}\"   (n0)").as_str()));
    let (_, json, _) = run(&["show", "--json", text(&file)]);
    let state: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let node = state["nodes"].as_array().and_then(|nodes| nodes.iter().find(|node| node["path"] == "/odd"));
    assert_eq!(node.map(|node| &node["value"]), Some(&expected.into()));
}

/// Until there is no room for more nodes.
fn fill(store: &mut Store) {
    let mut made = 0;
    while store.request(MessageType::Write, format!("/n{made}\0").as_bytes()).is_ok() {
        made += 1;
    }
}

#[test]
fn mistakes_are_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), "socket", &["--memory", "3"]);
    let mut store = server.connect();
    let (nowhere, file) = (folder.path().join("nowhere"), folder.path().join("file"));
    let (socket, unwritable) = (text(&server.socket), folder.path().join("no/folder"));
    for (args, told) in [
        (&["save", "--store", text(&nowhere), text(&file)][..], "it does not exist"),
        (&["save"], "not provided: <FILE>; see --help"),
        (
            &["save", "--all", text(&file)],
            "unexpected argument '--all' found; allowed: --store, --timeout, --help; see",
        ),
        (&["show", "--store", socket, text(&file)], "'--store' found; allowed: --all, --json, --help; see"),
        (&["save", "--store", socket, text(&unwritable)], "no/folder: "),
        (&["save", "--store", socket, text(&file)], "not enough memory for the state: "),
    ] {
        if told.starts_with("not enough") {
            fill(&mut store);
        }
        let (status, out, said) = run(args);
        assert_eq!((status, out.as_str(), said.lines().count()), (2, "", 1), "{args:?}: {said}");
        assert!(said.contains(told), "{args:?}: {said}");
    }
}

#[test]
fn a_store_that_hangs_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (socket, file) = (folder.path().join("socket"), folder.path().join("state"));
    // It takes connections, and no more.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bind");
    let (status, _, told) = run(&["save", "--timeout", "0.1", "--store", text(&socket), text(&file)]);
    let expected = format!(
        "xs-state: the store at {} has not answered for 0.1 s; --timeout lets it take longer\n",
        socket.display()
    );
    assert_eq!((status, told), (2, expected));
    assert!(!file.exists());
}
