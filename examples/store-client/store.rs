//! A client of the store that waits for each answer: over a unix socket, or over the kernel's device, which
//! takes and gives the same messages.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use xenstore::wire::{Header, MessageType, PAYLOAD_MAX, TxId, XsError};

use crate::problem::Problem;

const DEVICE: &str = "/dev/xen/xenbus";
const SOCKET: &str = "/run/xenstored/socket";

pub struct Store {
    stream: Stream,
    place: PathBuf,
    /// Of the last request: what answers an earlier one, given up half-way, is passed over.
    req_id: u32,
}

enum Stream {
    Socket(UnixStream),
    Device(File),
}

impl Stream {
    fn open(place: &Path) -> io::Result<Stream> {
        if std::fs::metadata(place)?.file_type().is_char_device() {
            return Ok(Stream::Device(OpenOptions::new().read(true).write(true).open(place)?));
        }
        UnixStream::connect(place).map(Stream::Socket)
    }

    /// In one piece, as the device wants a message's payload behind its header.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Socket(socket) => socket.write_all(bytes),
            Stream::Device(device) => device.write_all(bytes),
        }
    }

    fn receive(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Stream::Socket(socket) => socket.read_exact(bytes),
            Stream::Device(device) => device.read_exact(bytes),
        }
    }
}

/// Where the store is if nobody says: as XENSTORED_PATH has it, else the device, else xenstored's socket.
fn usual_place() -> PathBuf {
    match env::var_os("XENSTORED_PATH") {
        Some(path) => path.into(),
        None if Path::new(DEVICE).exists() => DEVICE.into(),
        None => SOCKET.into(),
    }
}

impl Store {
    /// Opens the store at a socket or device, or at the usual place.
    pub fn open(place: Option<&Path>) -> Result<Store, Problem> {
        let place = place.map_or_else(usual_place, Path::to_path_buf);
        let stream = Stream::open(&place).map_err(|error| {
            let why = match error.kind() {
                ErrorKind::NotFound => "it does not exist".to_string(),
                ErrorKind::ConnectionRefused => "no server listens there".to_string(),
                _ => error.to_string(),
            };
            Problem::new(format!(
                "no store at {}: {why}; --store or XENSTORED_PATH can name another socket or device",
                place.display()
            ))
        })?;
        Ok(Store { stream, place, req_id: 0 })
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
                |error| Problem::Lost(format!("lost the store at {}: {error}", self.place.display())),
            )?;
        if header.msg_type == MessageType::Error as u32 {
            let error = String::from_utf8_lossy(payload.strip_suffix(&[0]).unwrap_or(&payload)).into_owned();
            return Err(Problem::Refused { request: msg_type.name(), error });
        }
        Ok(payload)
    }

    /// The next message that is the answer; watch events come in between.
    fn answer(&mut self) -> io::Result<(Header, Vec<u8>)> {
        loop {
            let mut header = [0; Header::SIZE];
            self.stream.receive(&mut header)?;
            let header = Header::parse(&header);
            if header.len as usize > PAYLOAD_MAX {
                return Err(io::Error::other("what it sends are no messages of xenstore"));
            }
            let mut payload = vec![0; header.len as usize];
            self.stream.receive(&mut payload)?;
            if header.msg_type != MessageType::WatchEvent as u32 && header.req_id == self.req_id {
                return Ok((header, payload));
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
