//! A client of the store that waits for each answer: over a unix socket, or over the kernel's device, which
//! takes and gives the same messages.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use xenstore::wire::{Header, MessageType, PAYLOAD_MAX, TxId, XsError};

use crate::problem::Problem;

const DEVICE: &str = "/dev/xen/xenbus";
const SOCKET: &str = "/run/xenstored/socket";

pub struct Store {
    stream: Stream,
    place: PathBuf,
    /// Of the last request: what answers an earlier one, given up half-way, is passed over.
    req_id: u32,
    /// How long each answer is waited for; none is as long as it takes.
    patience: Option<Duration>,
    /// Until when all answers are, if not each by itself.
    until: Option<Instant>,
}

enum Stream {
    Socket(UnixStream),
    Device(File),
}

impl Stream {
    /// Waits so long for a server to take the connection.
    fn open(place: &Path, patience: Option<Duration>) -> io::Result<Stream> {
        if std::fs::metadata(place)?.file_type().is_char_device() {
            return Ok(Stream::Device(OpenOptions::new().read(true).write(true).open(place)?));
        }
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Send, patience)?;
        connect(&socket, &SocketAddrUnix::new(place)?)?;
        Ok(Stream::Socket(socket.into()))
    }

    /// In one piece, as the device wants a message's payload behind its header.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Socket(socket) => socket.write_all(bytes),
            Stream::Device(device) => device.write_all(bytes),
        }
    }

    fn receive(&mut self, bytes: &mut [u8], until: Option<Instant>) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            wait(self.as_fd(), until)?;
            let rest = &mut bytes[filled..];
            let read = match self {
                Stream::Socket(socket) => socket.read(rest),
                Stream::Device(device) => device.read(rest),
            };
            match read {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Socket(socket) => socket.as_fd(),
            Stream::Device(device) => device.as_fd(),
        }
    }
}

/// Waits until there is something to read.
fn wait(stream: BorrowedFd<'_>, until: Option<Instant>) -> io::Result<()> {
    loop {
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        let rest = rest.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(stream, PollFlags::IN)], rest.as_ref()) {
            Ok(0) => return Err(ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Where the store is if nobody says: as XENSTORED_PATH has it, else the device, else xenstored's socket.
fn usual_place() -> PathBuf {
    match env::var_os("XENSTORED_PATH").filter(|path| !path.is_empty()) {
        Some(path) => path.into(),
        None if Path::new(DEVICE).exists() => DEVICE.into(),
        None => SOCKET.into(),
    }
}

fn silent(place: &Path, patience: Option<Duration>) -> Problem {
    let seconds = patience.map_or(0.0, |patience| patience.as_secs_f64());
    Problem::Lost(format!(
        "the store at {} has not answered for {seconds} s; --timeout lets it take longer",
        place.display()
    ))
}

impl Store {
    /// Opens the store at a socket or device, or at the usual place. It may take so long for each answer; none is as long as it
    /// takes.
    pub fn open(place: Option<&Path>, patience: Option<Duration>) -> Result<Store, Problem> {
        let place = place.map_or_else(usual_place, Path::to_path_buf);
        let stream = Stream::open(&place, patience).map_err(|error| {
            // Of the other reasons none tells whether there is a store.
            let (problem, why): (fn(String) -> Problem, _) = match error.kind() {
                ErrorKind::WouldBlock => return silent(&place, patience),
                ErrorKind::NotFound => (Problem::Lost, "it does not exist".to_string()),
                ErrorKind::ConnectionRefused => (Problem::Lost, "no server listens there".to_string()),
                _ => (Problem::Told, error.to_string()),
            };
            problem(format!(
                "no store at {}: {why}; --store or XENSTORED_PATH can name another socket or device",
                place.display()
            ))
        })?;
        Ok(Store { stream, place, req_id: 0, patience, until: None })
    }

    /// The same, whose patience is for all answers together.
    pub fn in_all(self) -> Store {
        let until = self.deadline();
        Store { until, ..self }
    }

    /// The same, which waits as long as it takes.
    pub fn patient(self) -> Store {
        Store { patience: None, until: None, ..self }
    }

    /// When a request that is made now has to have its answer.
    fn deadline(&self) -> Option<Instant> {
        self.until.or_else(|| Instant::now().checked_add(self.patience?))
    }

    /// Sends one request, outside any transaction, and returns the answer's payload.
    pub fn request(&mut self, msg_type: MessageType, payload: &[u8]) -> Result<Vec<u8>, Problem> {
        self.request_in(TxId::NONE, msg_type, payload)
    }

    /// Sends one request of a transaction.
    pub fn request_in(
        &mut self,
        tx_id: TxId,
        msg_type: MessageType,
        payload: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        self.req_id = self.req_id.wrapping_add(1);
        let (req_id, len) = (self.req_id, payload.len() as u32);
        let header = Header { msg_type: msg_type as u32, req_id, tx_id, len };
        let (header, payload) =
            self.stream.send(&[&header.emit(), payload].concat()).and_then(|()| self.answer()).map_err(
                |error| match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => silent(&self.place, self.patience),
                    _ => Problem::Lost(format!("lost the store at {}: {error}", self.place.display())),
                },
            )?;
        if header.msg_type == MessageType::Error as u32 {
            let error = String::from_utf8_lossy(payload.strip_suffix(&[0]).unwrap_or(&payload)).into_owned();
            return Err(Problem::Refused { request: msg_type.name(), error });
        }
        Ok(payload)
    }

    /// The next message that is the answer; watch events come in between.
    fn answer(&mut self) -> io::Result<(Header, Vec<u8>)> {
        let until = self.deadline();
        loop {
            let mut header = [0; Header::SIZE];
            self.stream.receive(&mut header, until)?;
            let header = Header::parse(&header);
            if header.len as usize > PAYLOAD_MAX {
                return Err(io::Error::other("what it sends are no messages of xenstore"));
            }
            let mut payload = vec![0; header.len as usize];
            self.stream.receive(&mut payload, until)?;
            if header.msg_type != MessageType::WatchEvent as u32 && header.req_id == self.req_id {
                return Ok((header, payload));
            }
            // Where there is always more to read, no wait for it ends.
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    /// A CONTROL command and its arguments; the answer without its NUL.
    pub fn control(&mut self, words: &[&str]) -> Result<String, Problem> {
        let payload: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), &[0]].concat()).collect();
        let answer = self.request(MessageType::Control, &payload).map_err(|problem| {
            if [XsError::EINVAL, XsError::ENOSYS].iter().any(|error| problem.is(error.name())) {
                let (command, place) = (words.first().copied().unwrap_or_default(), self.place.display());
                return Problem::new(format!(
                    "the store at {place} has no {command}; xenstore-stubdom has it"
                ));
            }
            problem
        })?;
        Ok(String::from_utf8_lossy(answer.strip_suffix(&[0]).unwrap_or(&answer)).into_owned())
    }
}
