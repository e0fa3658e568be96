//! A store that a test plays, for answers that no store gives when a test wants them.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use xenstore::wire::{Header, MessageType};

/// Longer than a client takes for its next request.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves one client until it goes: `answer` is asked what to say to each request's words, an error or else.
pub fn play(listener: &UnixListener, mut answer: impl FnMut(&[&str]) -> Result<String, &'static str>) {
    let (mut stream, _) = listener.accept().expect("a client");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut header = [0; Header::SIZE];
    while stream.read_exact(&mut header).is_ok() {
        let header = Header::parse(&header);
        let mut payload = vec![0; header.len as usize];
        stream.read_exact(&mut payload).expect("its payload");
        let payload = String::from_utf8(payload).expect("text");
        let words: Vec<&str> = payload.trim_end_matches('\0').split('\0').collect();
        let (msg_type, said) = match answer(&words) {
            Ok(said) => (header.msg_type, said),
            Err(error) => (MessageType::Error as u32, format!("{error}\0")),
        };
        let header = Header { msg_type, len: said.len() as u32, ..header };
        stream.write_all(&[&header.emit(), said.as_bytes()].concat()).expect("sent");
    }
}
