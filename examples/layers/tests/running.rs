//! The tool on a running store.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

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
    let mut store = Store::open(Some(&socket)).unwrap_or_else(|problem| panic!("{problem}"));
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
