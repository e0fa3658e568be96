//! The machine of a daemon that runs on the LD_PRELOAD stand-in: files, and a socket for what happens.
//!
//! The other half is tests/standin/standin.h, which describes both.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use crate::page::{FilePage, Page};
use crate::peer::{Gone, HANGS, Peer};
use crate::step::Life;

const DOMIDS: u64 = 0x7ff0;
/// Where the parts of the file "hypervisor" begin, and its length.
const NOTICES: u64 = DOMIDS;
const UNIQUE_IDS: u64 = NOTICES + 4 * DOMIDS;
const CHANGED: u64 = UNIQUE_IDS + 8 * DOMIDS;
const HYPERVISOR: u64 = CHANGED + DOMIDS;
const KICK: u32 = 1;
const DOMAINS: u32 = 2;
const TIME: u32 = 3;
const NOTHING: u32 = 4;

/// Where the file "kept" has the port of each domain's ring.
const PORT_OF: u64 = 16 + 8 * 4096;

/// A record of a connection begins so.
const CONNECTION: [u8; 4] = [2, 0, 0, 0];

/// dom0's unique id; tests/standin/manage.c has the same number.
const DOM0_UNIQUE_ID: u64 = 1;

const EXISTS: u8 = 1;
const SHUT_DOWN: u8 = 2;
const DYING: u8 = 4;
const DEAD: u8 = 8;

/// No request takes a daemon this long; one that is not quiet by then never will be.
const PATIENCE: Duration = Duration::from_secs(5);

/// What goes on in a daemon's place: the daemon, after a look at its state. File descriptors are the process's own, so a
/// state from elsewhere gets those of this daemon's: bytes 24 to 31.
const UPDATE: &str = "\
#!/bin/sh
preload=$LD_PRELOAD
unset LD_PRELOAD
cd '{dir}' || exit 1
cp state_dump state-before
if [ -e state-given ]; then
    { head -c 24 state-given; head -c 32 state_dump | tail -c 8; tail -c +33 state-given; } >state-new
    mv state-new state_dump
fi
export LD_PRELOAD=\"$preload\"
exec {command} \"$@\"
";

/// A daemon, its stand-in machine and its directory, all of which end with this value.
pub struct Standin {
    child: Child,
    socket: UnixStream,
    hypervisor: File,
    pages: BTreeMap<u16, Rc<dyn Page>>,
    sent: u32,
    taken: u32,
    clock: u32,
    last_unique_id: u64,
    directory: TempDir,
    /// What goes on after a live update, if there is such a thing.
    command: Option<Vec<PathBuf>>,
}

/// How to start a daemon.
pub struct Program {
    pub command: Vec<PathBuf>,
    pub preload: PathBuf,
    /// `{dir}` in them stands for the daemon's directory.
    pub arguments: Vec<String>,
    /// Where it looks for its libraries first.
    pub libraries: Option<PathBuf>,
    /// Settings, if the daemon reads a file named "settings" in its directory.
    pub settings: Option<&'static str>,
    /// It goes on from a state of the format that ours has.
    pub updates: bool,
    /// The command is another program that runs the daemon, which may slow it down a hundredfold.
    pub is_wrapped: bool,
}

impl Standin {
    pub fn start(program: &Program) -> io::Result<Standin> {
        let directory = tempfile::Builder::new().prefix("xenstore-standin-").tempdir_in(scratch())?;
        let hypervisor = new_file(&directory.path().join("hypervisor"), HYPERVISOR)?;
        let dom0 = new_file(&ring_file(&directory, 0), 4096)?;
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(if program.is_wrapped { 12 * PATIENCE } else { PATIENCE }))?;
        let log = File::create(directory.path().join("stderr"))?;
        let (first, rest) = program.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let here = directory.path().to_string_lossy().into_owned();
        if let Some(settings) = program.settings {
            fs::write(directory.path().join("settings"), settings.replace("{dir}", &here))?;
        }
        let child = Command::new(first)
            .args(rest)
            .args(program.arguments.iter().map(|argument| argument.replace("{dir}", &here)))
            .env("LD_PRELOAD", &program.preload)
            .env("STANDIN_DIR", directory.path())
            .env("STANDIN_DRIVER", "0")
            .env("XENSTORED_RUNDIR", directory.path())
            .env("XENSTORED_ROOTDIR", directory.path())
            .envs(program.libraries.iter().map(|folder| ("LD_LIBRARY_PATH", folder)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let pages = BTreeMap::from([(0, Rc::new(FilePage(dom0)) as Rc<dyn Page>)]);
        let mut standin = Standin {
            child,
            socket,
            hypervisor,
            pages,
            sent: 0,
            taken: 0,
            clock: 0,
            last_unique_id: DOM0_UNIQUE_ID,
            directory,
            command: program.updates.then(|| program.command.clone()),
        };
        standin.tell(NOTHING, 0);
        standin.settle().map_err(|gone| io::Error::other(gone.0))?;
        Ok(standin)
    }

    fn tell(&mut self, message: u32, argument: u32) {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&message.to_le_bytes());
        bytes[4..].copy_from_slice(&argument.to_le_bytes());
        // A daemon that ended is noticed by settle.
        if self.socket.write_all(&bytes).is_ok() {
            self.sent += 1;
        }
    }

    /// A state of another server, with the local ports that this machine has bound for each connection.
    fn with_own_ports(&self, state: &[u8]) -> Option<Vec<u8>> {
        let kept = File::open(self.directory.path().join("kept")).ok()?;
        let mut state = state.to_vec();
        let mut at = 16;
        while let Some((head, body)) = state.get_mut(at..)?.split_first_chunk_mut::<8>() {
            let [a, b, c, d, len @ ..] = *head;
            if [a, b, c, d] == CONNECTION && body.get(4..6)? == [0, 0] {
                let domid = u16::from_le_bytes(*body.get(8..)?.first_chunk()?);
                let mut port = [0; 2];
                kept.read_exact_at(&mut port, PORT_OF + 2 * u64::from(domid)).ok()?;
                let port = u32::from(u16::from_le_bytes(port)).to_le_bytes();
                body.get_mut(12..16)?.copy_from_slice(&port);
            }
            at += 8 + u32::from_le_bytes(len) as usize;
        }
        Some(state)
    }

    fn state(&self, domid: u16) -> u8 {
        let mut byte = [0];
        self.hypervisor.read_exact_at(&mut byte, u64::from(domid)).map_or(0, |()| byte[0])
    }

    /// Writes into the file "hypervisor".
    fn note(&self, bytes: &[u8], at: u64) {
        self.hypervisor.write_all_at(bytes, at).expect("the daemon's directory can be written");
    }

    /// Why the daemon ended, from its exit status and last words.
    fn obituary(&mut self) -> Gone {
        // Its socket closes a little before its exit status can be had.
        let mut ended = None;
        for _ in 0..100 {
            ended = self.child.try_wait().ok().flatten();
            if ended.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let ended = ended.map_or(HANGS.to_string(), |status| status.to_string());
        let words = fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default();
        Gone(format!("{ended}: {}", words.lines().last().unwrap_or("")))
    }
}

impl Peer for Standin {
    fn page(&self, domid: u16) -> Option<Rc<dyn Page>> {
        self.pages.get(&domid).cloned()
    }

    fn set_life(&mut self, domid: u16, life: Life) {
        let state = match life {
            _ if life != Life::Built && self.state(domid) == 0 => 0,
            Life::Built => {
                let path = ring_file(&self.directory, domid);
                // A new file: the daemon may still have the earlier domain's page mapped.
                fs::remove_file(&path).ok();
                let file = new_file(&path, 4096).expect("the daemon's directory can be written");
                self.pages.insert(domid, Rc::new(FilePage(file)));
                self.last_unique_id += 1;
                self.note(&self.last_unique_id.to_le_bytes(), UNIQUE_IDS + 8 * u64::from(domid));
                EXISTS
            }
            Life::ShutDown => self.state(domid) | SHUT_DOWN,
            Life::Resumed => EXISTS,
            Life::Dying => self.state(domid) | DYING,
            Life::Dead => self.state(domid) | DYING | DEAD,
            Life::Gone => {
                fs::remove_file(ring_file(&self.directory, domid)).ok();
                0
            }
        };
        self.note(&[state], u64::from(domid));
        // That a domain runs again is not reported.
        if life != Life::Resumed {
            self.note(&[1], CHANGED + u64::from(domid));
        }
    }

    fn kick(&mut self, domid: u16) {
        self.tell(KICK, u32::from(domid));
    }

    fn virq(&mut self) {
        self.tell(DOMAINS, 0);
    }

    fn wait(&mut self, milliseconds: u32) {
        self.tell(TIME, milliseconds);
    }

    fn settle(&mut self) -> Result<(), Gone> {
        while self.taken != self.sent {
            let mut bytes = [0; 8];
            if self.socket.read_exact(&mut bytes).is_err() {
                return Err(self.obituary());
            }
            let word =
                |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            self.taken = word(0);
            self.clock = word(4);
        }
        // A message that could not be sent is not waited for, but must not go unnoticed.
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(self.obituary()),
        }
    }

    fn notices(&self, domid: u16) -> u32 {
        let mut bytes = [0; 4];
        self.hypervisor
            .read_exact_at(&mut bytes, NOTICES + 4 * u64::from(domid))
            .map_or(0, |()| u32::from_le_bytes(bytes))
    }

    fn clock(&self) -> u32 {
        self.clock
    }

    fn state(&self) -> Result<Vec<u8>, Gone> {
        fs::read(self.directory.path().join("state-before"))
            .map_err(|error| Gone(format!("has no state: {error}")))
    }

    /// The program is a script that keeps a copy of the state, puts another one in its place, and goes on as the daemon.
    fn update_with(&mut self, state: Option<&[u8]>) -> Option<PathBuf> {
        let command = self.command.as_ref()?;
        // Programs are started meanwhile.
        self.socket.set_read_timeout(Some(12 * PATIENCE)).ok()?;
        let given = self.directory.path().join("state-given");
        match state {
            Some(state) => fs::write(given, self.with_own_ports(state)?).ok()?,
            None => drop(fs::remove_file(given)),
        }
        let program = self.directory.path().join("update");
        let quoted = |word: &PathBuf| format!("'{}'", word.display());
        let words = command.iter().map(quoted).collect::<Vec<_>>().join(" ");
        let script =
            UPDATE.replace("{dir}", &self.directory.path().to_string_lossy()).replace("{command}", &words);
        fs::write(&program, script).ok()?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).ok()?;
        Some(program)
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Memory rather than disk, where there is such a place: a session starts a daemon of its own.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() }
}

fn ring_file(directory: &TempDir, domid: u16) -> PathBuf {
    directory.path().join(format!("ring-{domid}"))
}

fn new_file(path: &Path, length: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(length)?;
    Ok(file)
}
