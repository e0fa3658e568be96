//! The tool on a running store.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

use store_client::Store;
use xenstore::wire::MessageType;

const XS_LAYERS: &str = env!("CARGO_BIN_EXE_xs-layers");

/// Stopped when dropped.
struct Server(Child);

impl Server {
    /// It is another package's program: `cargo test` of all has it there, and of this one not.
    fn start(socket: &Path) -> Server {
        let build = ["build", "--quiet", "--workspace", "--bin", "unix_server"];
        let built = Command::new(env!("CARGO")).args(build).status();
        assert!(built.is_ok_and(|status| status.success()), "the server does not build");
        let mut command = Command::new(Path::new(XS_LAYERS).with_file_name("unix_server"));
        let mut child = command.arg(socket).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = [0; 7];
        child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("it says that it serves");
        Server(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.0.kill().and_then(|()| self.0.wait());
        assert!(stopped.is_ok_and(|status| status.code().is_none()), "the server ended by itself");
    }
}

fn run(folder: &Path, call: &str) -> (String, i32) {
    let mut command = Command::new(XS_LAYERS);
    let Output { stdout, stderr, status } =
        command.args(call.split(' ')).current_dir(folder).output().expect("it runs");
    assert_eq!(String::from_utf8(stderr).expect("text"), "", "{call}");
    (String::from_utf8(stdout).expect("text"), status.code().expect("it ends by itself"))
}

/// What has changed comes whole in however many pages, and with files only what these do not say.
#[test]
fn what_has_changed_of_a_running_store_is_a_layer() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let socket: PathBuf = folder.join("socket");
    let _server = Server::start(&socket);
    let mut store = Store::open(Some(&socket), None).unwrap_or_else(|problem| panic!("{problem}"));
    let mut write = |path: &str, value: &str| {
        let written = store.request(MessageType::Write, format!("{path}\0{value}").as_bytes());
        assert!(written.is_ok(), "{path}");
    };
    write("/vm/uuid", "1");
    write("/libxl/5/type", "pvh");
    write("/vendor/b", "3");
    let mut many = String::from("/many = \"\"   (n0)\n");
    for n in 0..300 {
        write(&format!("/many/node-with-a-name-{n}"), "a\tb");
        many += &format!("/many/node-with-a-name-{n} = \"a\\tb\"   (n0)\n");
    }
    let vendor = "/vendor = \"\"   (n0)\n/vendor/b = \"3\"   (n0)\n";
    assert_eq!(run(folder, "diff socket"), (format!("layer changes\n{vendor}{many}end\n"), 0));
    std::fs::write(folder.join("vendor"), "/vendor/a = \"1\"\n/vendor/b = \"2\"\n").expect("written");
    let on_top = format!("layer changes\n/vendor/b = \"3\"\n{many}end\n");
    assert_eq!(run(folder, "diff socket vendor"), (on_top, 0));
}

/// One message: its header and its payload (io/xs_wire.h).
fn message(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; 16];
    stream.read_exact(&mut message)?;
    let len = u32::from_le_bytes(message[12..].try_into().expect("four bytes"));
    message.resize(16 + len as usize, 0);
    stream.read_exact(&mut message[16..]).map(|()| message)
}

/// An answer of another server, by what it says of CONTROL and of guests' permissions.
fn answer(request: &[u8]) -> Option<Vec<u8>> {
    let is = |kind: MessageType| request[0] == kind as u8;
    let (kind, said): (u8, &[u8]) = match &request[16..] {
        _ if is(MessageType::Control) => (16, b"EINVAL\0"),
        b"/given\0" if is(MessageType::GetPerms) => (request[0], b"n5\0"),
        b"/given-not\0" if is(MessageType::GetPerms) => (request[0], b"n0\0r5\0r32757\0"),
        _ => return None,
    };
    Some([&[kind, 0, 0, 0], &request[4..12], &[said.len() as u8, 0, 0, 0], said].concat())
}

/// Another server in front of one of ours, for two clients one after the other.
fn another(socket: &Path, behind: &Path) -> JoinHandle<std::io::Result<()>> {
    let listener = UnixListener::bind(socket).expect("a socket");
    let mut store = UnixStream::connect(behind).expect("the server is there");
    std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut client, _) = listener.accept()?;
            while let Ok(request) = message(&mut client) {
                let answer = match answer(&request) {
                    Some(answer) => answer,
                    None => {
                        store.write_all(&request)?;
                        message(&mut store)?
                    }
                };
                client.write_all(&answer)?;
            }
        }
        Ok(())
    })
}

/// Of a server that does not know what it began with, all that the files do not say. What a guest owns is left out with all
/// below it.
#[test]
fn another_server_is_compared_with_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (socket, other) = (folder.join("socket"), folder.join("other"));
    let _server = Server::start(&socket);
    let mut store = Store::open(Some(&socket), None).unwrap_or_else(|problem| panic!("{problem}"));
    for (path, value) in [("/vendor/b", 3), ("/vm/uuid", 1), ("/given/mine/deep", 1), ("/given-not", 1)] {
        let payload = format!("{path}\0{value}");
        assert!(store.request(MessageType::Write, payload.as_bytes()).is_ok(), "{path}");
    }
    std::fs::write(folder.join("vendor"), "/vendor/a = \"1\"\n/vendor/b = \"2\"\n").expect("written");
    let served = another(&other, &socket);
    let changes =
        "layer changes\nwhiteout /vendor/a\n/vendor/b = \"3\"\n/given-not = \"1\"   (n0,r32757)\nend\n";
    assert_eq!(run(folder, "diff other vendor"), (changes.to_string(), 0));
    assert!(served.join().is_ok_and(|served| served.is_ok()), "it has served the client");
}

#[test]
fn a_store_that_hangs_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // It takes connections, and no more.
    let _listener = UnixListener::bind(folder.path().join("socket")).expect("bind");
    let mut command = Command::new(XS_LAYERS);
    let command = command.args(["diff", "--timeout", "0.1", "socket"]).current_dir(folder.path());
    let Output { stderr, status, .. } = command.output().expect("it runs");
    let expected =
        "xs-layers: the store at socket has not answered for 0.1 s; --timeout lets it take longer\n";
    assert_eq!((String::from_utf8(stderr).expect("text").as_str(), status.code()), (expected, Some(2)));
}
