//! The store on a unix socket of plain Linux, without any Xen: `unix_server SOCKET`.
//!
//! The library is the one that runs in the image. Each client gets a ring page in memory, as a domain has
//! one, and acts as dom0, as clients of xenstored's socket do. Try it with
//! `XENSTORED_PATH=SOCKET xenstore-ls`.

mod alarm;
mod client;
mod platform;

use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use mio::net::UnixListener;
use mio::{Events, Interest, Poll, Token};
use xenstore::abi::{DomId, Port, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::Clock;
use xenstore::server::{Server, sizing};

use alarm::Alarm;
use client::Client;
use platform::Unix;

const LISTENER: Token = Token(0);
/// No port has this number.
const ALARM: Token = Token(usize::MAX - 1);
/// For so many rounds in which there is more to be moved the sockets are not looked at, which costs a lone request a system call. Whoever
/// always has more does not keep the others from being heard for longer.
const UNHEARD: u32 = 16;
const USAGE: &str = "usage: unix_server [--memory MIB] [--trace-size KIB] [--state FILE] SOCKET";
const HELP: &str = "Serves xenstore on SOCKET, with memory for --memory MIB of it (default 64), --trace-size KIB \
                    of that for the trace ring (default 1/16). --state FILE: it begins with the store of that file, a stream as \
                    live updates write it; its domains are there on paper only.";

struct Options {
    socket: PathBuf,
    memory: usize,
    /// KiB of it for the trace ring; none for the default.
    trace: Option<usize>,
    /// The state that it begins with.
    state: Option<PathBuf>,
}

enum Call {
    Serve(Options),
    /// What is asked for is this text.
    Tell(String),
}

fn main() -> ExitCode {
    let done = match parse(lexopt::Parser::from_env()) {
        Ok(Call::Serve(options)) => run(&options),
        Ok(Call::Tell(text)) => output::put(text + "\n"),
        Err(error) => {
            output::tell(format_args!("unix_server: {error}; {USAGE}"));
            return ExitCode::from(2);
        }
    };
    output::status("unix_server", 1, done.map(|()| ExitCode::SUCCESS).map_err(Into::into))
}

fn parse(mut args: lexopt::Parser) -> Result<Call, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt};
    let (mut socket, mut memory, mut trace, mut state) = (None, None, None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(Call::Tell(format!("{USAGE}\n{HELP}"))),
            Long("version") => return Ok(Call::Tell(format!("unix_server {}", env!("CARGO_PKG_VERSION")))),
            Long("memory") => memory = Some(args.value()?.string()?),
            Long("trace-size") => trace = Some(args.value()?.string()?),
            Long("state") => state = Some(PathBuf::from(args.value()?)),
            // Of an empty path the system would make an address that nobody can name.
            Value(path) if socket.is_none() && !path.is_empty() => socket = Some(PathBuf::from(path)),
            other => return Err(other.unexpected()),
        }
    }
    let socket = socket.ok_or("SOCKET is missing")?;
    let memory = memory.map(|text| amount("--memory", &text, 3..=65536, "MiB")).transpose()?.unwrap_or(64);
    // The store needs the rest.
    let most = ((memory << 20) - Capacities::MIN_MEMORY) >> 10;
    let trace = trace.map(|text| amount("--trace-size", &text, 4..=most, "KiB")).transpose()?;
    Ok(Call::Serve(Options { socket, memory, trace, state }))
}

/// The value of an option that wants an amount of memory.
fn amount(option: &str, text: &str, possible: RangeInclusive<usize>, unit: &str) -> Result<usize, String> {
    let amount = text.parse().ok().filter(|amount| possible.contains(amount));
    amount.ok_or_else(|| {
        format!("{option} {text}: {} to {} {unit} are possible", possible.start(), possible.end())
    })
}

/// Replaces a socket of a server that has ended. A socket that answers is kept, and so is any other file.
fn bind(options: &Options) -> io::Result<UnixListener> {
    match UnixListener::bind(&options.socket) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if !std::fs::symlink_metadata(&options.socket)?.file_type().is_socket() {
                return Err(io::Error::other("the file is there and no socket"));
            }
            match std::os::unix::net::UnixStream::connect(&options.socket) {
                Err(refused) if refused.kind() == ErrorKind::ConnectionRefused => {}
                _ => return Err(error),
            }
            std::fs::remove_file(&options.socket)?;
            UnixListener::bind(&options.socket)
        }
        bound => bound,
    }
}

fn run(options: &Options) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut alarm = Alarm::new(poll.registry(), ALARM)?;
    let memory = options.memory << 20;
    let trace = options.trace.map_or_else(|| Capacities::default_trace(memory), |kib| kib << 10);
    let capacities =
        sizing::capacities_for(memory, trace).ok_or_else(|| io::Error::other("too little memory"))?;
    // The library takes its parts one by one, and ends the program where there is none left.
    Vec::<u8>::new().try_reserve_exact(memory).map_err(|_| {
        io::Error::other(format!(
            "--memory {}: the machine has not so much; allowed is what it has",
            options.memory
        ))
    })?;
    let mut unix = Unix::new();
    let mut server = Server::new(Settings::DEFAULT, &capacities, unix.started().0);
    match &options.state {
        None => server
            .start(&mut unix, DomId(0), Port(1))
            .map_err(|_| io::Error::other("the store does not start"))?,
        Some(file) => restore(&mut server, &mut unix, file)?,
    }
    // Last, so that a store that does not start leaves no socket behind.
    let mut listener =
        bind(options).map_err(|error| io::Error::other(format!("{}: {error}", options.socket.display())))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut clients = Clients::default();
    let mut events = Events::with_capacity(256);
    let mut gone: Vec<Port> = Vec::new();
    let mut buffer = [0; 4096];
    let mut unheard = 0;
    match output::put(format!("serving on {}\n", options.socket.display())) {
        // Clients want nothing of its output.
        Err(error) if output::is_unread(&error) => {}
        told => told?,
    }
    loop {
        let deadline = server.poll(&mut unix);
        // Moving bytes can make work for the server, and its work makes bytes to move.
        let mut more = false;
        while let Some(port) = unix.take_notified() {
            let Some(client) = clients.at(port) else { continue };
            if client.ring_moved(&mut buffer, poll.registry()) {
                unix.kick(port);
                more = true;
            }
            if client.is_gone() {
                gone.push(port);
            }
        }
        if !gone.is_empty() {
            for client in gone.drain(..).filter_map(|port| clients.take(port)) {
                server.disconnect(&mut unix, client.handle());
            }
            // One that has found no descriptor free is not announced again.
            accept_all(&listener, &poll, &mut server, &mut unix, &mut clients)?;
            more = true;
        }
        if more && unheard < UNHEARD {
            unheard += 1;
            continue;
        }
        unheard = 0;
        if !more {
            unix.calls.idle += 1;
            if let Some(deadline) = deadline {
                alarm.set(deadline)?;
            }
        }
        match poll.poll(&mut events, more.then_some(Duration::ZERO)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept_all(&listener, &poll, &mut server, &mut unix, &mut clients)?;
                continue;
            }
            if event.token() == ALARM {
                alarm.fired();
                continue;
            }
            let port = Port(event.token().0 as u32);
            let Some(client) = clients.at(port) else { continue };
            if client.socket_ready(event, &mut buffer, poll.registry()) {
                unix.kick(port);
            }
            if client.is_gone() {
                gone.push(port);
            }
        }
    }
}

/// Fills the server from a file. Each domain of the state has a ring that nobody uses; nobody asks whether it lives.
fn restore(server: &mut Server<Unix>, unix: &mut Unix, file: &Path) -> io::Result<()> {
    let wrong = |problem: String| io::Error::other(format!("{}: {problem}", file.display()));
    let state = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let mut ports = 0;
    let mut adopt = |_, _| {
        ports += 1;
        Some((Rc::new(RingPage::new()), Some(Port(ports))))
    };
    let restored = server.restore(unix, DomId(0), &mut state.as_slice(), &mut adopt);
    restored.map_err(|error| wrong(error.to_string()))?;
    for _ in 0..ports {
        unix.open_port();
    }
    Ok(())
}

/// The clients by their ports.
#[derive(Default)]
struct Clients(Vec<Option<Client>>);

impl Clients {
    fn at(&mut self, port: Port) -> Option<&mut Client> {
        self.0.get_mut(port.0 as usize)?.as_mut()
    }

    fn put(&mut self, port: Port, client: Client) {
        let index = port.0 as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(client);
    }

    fn take(&mut self, port: Port) -> Option<Client> {
        self.0.get_mut(port.0 as usize)?.take()
    }
}

fn accept_all(
    listener: &UnixListener,
    poll: &Poll,
    server: &mut Server<Unix>,
    unix: &mut Unix,
    clients: &mut Clients,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => {
                // Out of descriptors, for example: the present clients are still served.
                output::tell(format_args!("unix_server: a client cannot be accepted: {error}"));
                return Ok(());
            }
        };
        let port = unix.open_port();
        let page = Rc::new(RingPage::new());
        let Ok(handle) = server.accept(page.clone(), port) else {
            output::tell("unix_server: no room for another client");
            unix.close_port(port);
            continue;
        };
        let client = Client::new(stream, page, handle, poll.registry(), Token(port.0 as usize))?;
        clients.put(port, client);
    }
}
