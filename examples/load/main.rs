//! A load for xs-trace to look at: a store's day in a second. Always the same requests, in the same order.

use std::env;
use std::io::{ErrorKind, Result, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use measure::connection::Connection;
use xenstore::wire::{Header, MessageType, TxId};

const HELP: &str = "\
Usage: load day | busy SECONDS | conflicts SECONDS | unread SECONDS

Puts a load on the server at XENSTORED_PATH.
day             guests come and go, are watched, read and refused; a commit conflicts
busy SECONDS    writes what is watched, and reads, all the time
conflicts SECONDS
                reads in transactions what another writes before their end, all the time
unread SECONDS  asks without end, and never reads an answer
";

const GUESTS: usize = 8;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let seconds = words.get(1).and_then(|word| word.parse().ok()).map(Duration::from_secs);
    let done = match (&words[..], seconds) {
        (["--help" | "-h"], _) => output::put(HELP),
        (["--version"], _) => output::put(concat!("load ", env!("CARGO_PKG_VERSION"), "\n")),
        (["day"], _) => day(),
        (["busy", _], Some(length)) => busy(length),
        (["conflicts", _], Some(length)) => conflicts(length),
        (["unread", _], Some(length)) => unread(length),
        _ => {
            output::tell(format_args!("load: what is wanted?\n{}", HELP.trim_end()));
            return ExitCode::from(2);
        }
    };
    output::status("load", 1, done.map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

fn day() -> Result<()> {
    let (mut toolstack, mut backend) = (Connection::open()?, Connection::open()?);
    toolstack.write(TxId::NONE, "/local/domain/0/name", "Domain-0")?;
    let vbd = "/local/domain/0/backend/vbd";
    backend.watch(vbd, "backend")?;
    for guest in 1..=GUESTS {
        let frontend = format!("/local/domain/{guest}");
        let device = format!("{vbd}/{guest}/51712");
        let tx = toolstack.start()?;
        toolstack.write(tx, &format!("{frontend}/name"), &format!("guest-{guest}"))?;
        toolstack.write(tx, &format!("{frontend}/device/vbd/51712/backend"), &device)?;
        for (name, value) in [("frontend-id", guest.to_string().as_str()), ("mode", "w"), ("state", "1")] {
            toolstack.write(tx, &format!("{device}/{name}"), value)?;
        }
        toolstack.commit(tx)?;
        for state in 2..=4 {
            backend.read(TxId::NONE, &format!("{device}/mode"))?;
            backend.write(TxId::NONE, &format!("{device}/state"), &state.to_string())?;
        }
        refused(toolstack.read(TxId::NONE, &format!("{frontend}/control/shutdown")).is_err())?;
    }
    toolstack.directory("/local/domain")?;

    // The list of devices is read, then another adds one to it: the commit must fail.
    let tx = toolstack.start()?;
    toolstack.ask(MessageType::Directory, tx, &[vbd.as_bytes(), &[0]])?;
    backend.write(TxId::NONE, &format!("{vbd}/{}/51712/state", GUESTS + 1), "1")?;
    toolstack.write(tx, "/tool/devices", &GUESTS.to_string())?;
    refused(toolstack.commit(tx).is_err())?;

    for guest in 1..=GUESTS / 2 {
        toolstack.remove(&format!("/local/domain/{guest}"))?;
        toolstack.remove(&format!("{vbd}/{guest}"))?;
    }
    backend.unwatch(vbd, "backend")
}

fn refused(as_wanted: bool) -> Result<()> {
    if as_wanted { Ok(()) } else { Err(std::io::Error::other("the store has granted what it should refuse")) }
}

fn busy(length: Duration) -> Result<()> {
    let mut client = Connection::open()?;
    client.watch("/busy", "token")?;
    let begin = Instant::now();
    while begin.elapsed() < length {
        client.write(TxId::NONE, "/busy/node", "value")?;
        client.event()?;
        client.read(TxId::NONE, "/busy/node")?;
        sleep(Duration::from_micros(500));
    }
    client.unwatch("/busy", "token")
}

fn conflicts(length: Duration) -> Result<()> {
    let (mut one, mut other) = (Connection::open()?, Connection::open()?);
    let begin = Instant::now();
    while begin.elapsed() < length {
        other.write(TxId::NONE, "/contended", "value")?;
        let tx = one.start()?;
        one.read(tx, "/contended")?;
        one.write(tx, "/mine", "value")?;
        other.write(TxId::NONE, "/contended", "value")?;
        refused(one.commit(tx).is_err())?;
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn unread(length: Duration) -> Result<()> {
    Connection::open()?.write(TxId::NONE, "/tool/large", &"x".repeat(2000))?;
    let path = env::var_os("XENSTORED_PATH").unwrap_or_default();
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(Duration::from_millis(100)))?;
    let payload = b"/tool/large\0";
    let header = Header {
        msg_type: MessageType::Read as u32,
        req_id: 0,
        tx_id: TxId::NONE,
        len: payload.len() as u32,
    };
    let request = [&header.emit()[..], payload].concat();
    let begin = Instant::now();
    while begin.elapsed() < length {
        match stream.write_all(&request) {
            // It takes no more, as it should.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            written => written?,
        }
    }
    Ok(())
}
