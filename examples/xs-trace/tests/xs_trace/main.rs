//! The program `xs-trace`: dumps of servers on unix sockets, and its output for them.

mod compared;
mod consoles;
mod crafted;
mod dumps;
mod mistakes;
mod monitoring;
mod perfetto;
mod played;
mod replayed;
mod reports;
mod top;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use xenstore::wire::{Header, MessageType, TxId};

const XS_TRACE: &str = env!("CARGO_BIN_EXE_xs-trace");

/// The server to look at. It is another package's program: `cargo test` of all has it there, and of this one not.
static SERVER: LazyLock<PathBuf> = LazyLock::new(|| {
    let build = ["build", "--quiet", "--workspace", "--bin", "unix_server"];
    let built = Command::new(env!("CARGO")).args(build).status();
    assert!(built.is_ok_and(|status| status.success()), "the server does not build");
    Path::new(XS_TRACE).with_file_name("unix_server")
});

/// `unix_server` on a socket in a folder of its own, stopped when dropped.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// With a trace ring of so many KiB.
    fn start(trace: u32) -> Server {
        Server::of(16, trace)
    }

    /// With so many MiB of memory, too.
    fn of(memory: u32, trace: u32) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(&*SERVER)
            .args(["--memory", &memory.to_string(), "--trace-size", &trace.to_string()])
            .arg(folder.path().join("socket"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = [0; 7];
        child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("it says that it serves");
        Server { child, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.socket()).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        Client { stream }
    }

    /// A dump of it, in a file.
    fn dump(&self) -> PathBuf {
        self.dump_with(&[])
    }

    fn dump_with(&self, options: &[&str]) -> PathBuf {
        let file = self.folder.path().join("dump");
        let socket = self.socket();
        run(&[&["dump", "--store", text(&socket), text(&file)], options].concat()).expect("a dump");
        file
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.child.kill().and_then(|()| self.child.wait());
        assert!(stopped.is_ok_and(|status| status.code().is_none()), "the server ended by itself");
    }
}

struct Client {
    stream: UnixStream,
}

impl Client {
    /// The answer, without its NUL, past events that come before it; an error is one as well.
    fn ask(&mut self, msg_type: MessageType, tx: u32, payload: &str) -> String {
        let len = payload.len() as u32;
        let header = Header { msg_type: msg_type as u32, req_id: 0, tx_id: TxId(tx), len };
        self.stream.write_all(&[&header.emit(), payload.as_bytes()].concat()).expect("send");
        loop {
            let mut header = [0; Header::SIZE];
            self.stream.read_exact(&mut header).expect("an answer");
            let header = Header::parse(&header);
            let mut payload = vec![0; header.len as usize];
            self.stream.read_exact(&mut payload).expect("its payload");
            if header.msg_type != MessageType::WatchEvent as u32 {
                return String::from_utf8(payload).expect("text").trim_end_matches('\0').to_string();
            }
        }
    }

    fn write(&mut self, tx: u32, path: &str) {
        assert_eq!(self.ask(MessageType::Write, tx, &format!("{path}\0value")), "OK");
    }

    fn begin(&mut self) -> u32 {
        self.ask(MessageType::TransactionStart, 0, "\0").parse().expect("its number")
    }

    fn commit(&mut self, tx: u32) -> String {
        self.ask(MessageType::TransactionEnd, tx, "T\0")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The lines with each run of blanks as one.
fn words(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Runs `xs-trace`. Returns what it prints, or the only line of its error.
fn run(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(XS_TRACE).args(arguments).output().expect("it runs");
    let [printed, told] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    if output.status.success() {
        return Ok(printed);
    }
    assert_eq!((printed.as_str(), told.lines().count()), ("", 1), "{told}");
    // Whatever others have written is nothing to a terminal.
    assert!(
        told.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')),
        "{}",
        told.as_bytes().escape_ascii()
    );
    Err(told)
}
