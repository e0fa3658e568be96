//! Tables 11 and 12: what single requests cost both servers over ring pages, as guests ask.

use std::io::{BufRead, BufReader, Error, Result, Write, stdin};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xenstore::config::Capacities;
use xenstore::wire::{Header, MessageType, TxId};

use crate::daemon::Daemon;
use MessageType::{
    Directory, Introduce, Mkdir, Read, Release, Rm, SetPerms, TransactionEnd, TransactionStart, Unwatch,
    Watch, Write as Put,
};
use conformance::programs::Daemon as Program;
use measure::cache_lines::Trace;
use measure::callgrind::{Callgrind, Counts};
use measure::figure::Figure;
use scale::guests::{Host, MARKS};
use support::lives::{Recording, World};

const TABLE: u64 = 11;
const PROFILE: u64 = 12;

/// The guest that asks, and one that comes and goes.
const GUEST: u16 = 5;
const OTHER: u16 = 6;

/// Requests that come at once: more than fit into the ring.
const AT_ONCE: usize = 100;

/// Room for all nodes.
const NODES: usize = 4000;

/// A guest's own device, as table 1 has it.
const NODES_OF_DEVICE: [&str; 11] = [
    "backend\0/local/domain/0/backend/vif/5/0",
    "backend-id\x000",
    "handle\x000",
    "mac\x0000:16:3e:01:02:03",
    "mtu\x001500",
    "state\x004",
    "trusted\x001",
    "queue-0/event-channel-rx\x0012",
    "queue-0/event-channel-tx\x0011",
    "queue-0/rx-ring-ref\x00769",
    "queue-0/tx-ring-ref\x00768",
];

const STATE: &str = "/local/domain/5/device/vif/0/state\0";
const STATE_4: &str = "/local/domain/5/device/vif/0/state\x004";
const TOKEN: &str = "/local/domain/5/device/vif/0/state\0token\0";

/// A message: what kind, and the payload.
type Message = (MessageType, &'static str);

struct Row {
    name: &'static str,
    from: u16,
    /// What the server is asked once before.
    first: &'static [Message],
    messages: &'static [Message],
}

const fn by_guest(name: &'static str, messages: &'static [Message]) -> Row {
    Row { name, from: GUEST, first: &[], messages }
}

/// Those between a TRANSACTION_START and its end are part of the transaction.
const ROWS: [Row; 9] = [
    by_guest("READ", &[(Read, STATE)]),
    by_guest("WRITE", &[(Put, STATE_4)]),
    by_guest("DIRECTORY", &[(Directory, "/local/domain/5/device/vif/0/queue-0\0")]),
    by_guest(
        "WRITE of a new node, RM",
        &[(Put, "/local/domain/5/device/vif/0/new\x001"), (Rm, "/local/domain/5/device/vif/0/new\0")],
    ),
    by_guest(
        "transaction of four",
        &[(TransactionStart, "\0"), (Read, STATE), (Put, STATE_4), (TransactionEnd, "T\0")],
    ),
    by_guest("SET_PERMS", &[(SetPerms, "/local/domain/5/device/vif/0/state\0n5\0r0\0")]),
    by_guest("WATCH, its event, UNWATCH", &[(Watch, TOKEN), (Unwatch, TOKEN)]),
    Row { first: &[(Watch, TOKEN)], ..by_guest("WRITE and its event", &[(Put, STATE_4)]) },
    Row {
        name: "INTRODUCE, RELEASE",
        from: 0,
        first: &[],
        messages: &[(Introduce, "6\x001\x001\0"), (Release, "6\0")],
    },
];

/// A world with both guests, of which one has a device.
struct Scene<W>(W);

impl<W: World> Scene<W> {
    fn new(mut world: W) -> Result<Scene<W>> {
        [GUEST, OTHER].into_iter().for_each(|domid| world.made(domid));
        let mut scene = Scene(world);
        let device = "/local/domain/5/device";
        scene.ask(0, TxId::NONE, Mkdir, &format!("{device}\0"))?;
        scene.ask(0, TxId::NONE, SetPerms, &format!("{device}\0n5\0r0\0"))?;
        for node in NODES_OF_DEVICE {
            scene.ask(0, TxId::NONE, Put, &format!("{device}/vif/0/{node}"))?;
        }
        scene.ask(0, TxId::NONE, Introduce, "5\x001\x001\0")?;
        Ok(scene)
    }

    /// The answer's payload.
    fn ask(&mut self, from: u16, tx: TxId, kind: MessageType, payload: &str) -> Result<Vec<u8>> {
        let Scene(world) = self;
        let session = if from == 0 { Some(world.dom0()) } else { world.guest(from) };
        let session = session.ok_or_else(|| Error::other(format!("domain {from} is not connected")))?;
        let answer = world.ask(session, kind, tx, payload.as_bytes()).map_err(Error::other)?;
        match answer.error {
            Some(error) => Err(Error::other(format!("{error} for {} of {payload:?}", kind.name()))),
            None => Ok(answer.payload),
        }
    }

    fn once(&mut self, row: &Row) -> Result<()> {
        let mut tx = TxId::NONE;
        for (kind, payload) in row.messages {
            let answer = self.ask(row.from, tx, *kind, payload)?;
            if *kind == TransactionStart {
                let digits = String::from_utf8_lossy(&answer);
                tx = TxId(digits.trim_end_matches('\0').parse().map_err(Error::other)?);
            }
        }
        Ok(())
    }

    fn first(&mut self, row: &Row) -> Result<()> {
        row.first
            .iter()
            .try_for_each(|(kind, payload)| self.ask(row.from, TxId::NONE, *kind, payload).map(drop))
    }

    /// What one request of each row takes: the difference of a long and a short run, so that what they have in common does
    /// not count.
    fn count(&mut self, name: &str, callgrind: &Callgrind<'_>, times: u32) -> Result<()> {
        callgrind.switch(true)?;
        for row in &ROWS {
            self.first(row)?;
            let mut run = |times| {
                (0..times).try_for_each(|_| self.once(row))?;
                callgrind.counts()
            };
            let counts = [run(times)?, run(times / 2)?, run(times / 2 + times)?];
            let sum = |counts: &Counts, events: &[&str]| -> f64 {
                events.iter().filter_map(|event| counts.get(*event)).map(|count| *count as f64).sum()
            };
            for (what, unit, events) in EVENTS {
                let [begin, middle, end] = counts.each_ref().map(|counts| sum(counts, events));
                let value = ((end - middle) - (middle - begin)) / f64::from(times);
                // The models' counts vary a little about none.
                let value = value.max(0.0) + 0.0;
                Figure::new(TABLE, row.name, &format!("{name}{what}"), value, unit).print()?;
            }
        }
        Ok(())
    }
}

/// What is counted: the column, its unit, and callgrind's events.
const EVENTS: [(&str, &str, &[&str]); 3] = [
    ("", "instructions", &["Ir"]),
    (", mispredicted branches", "branches", &["Bcm", "Bim"]),
    (", level 1 misses", "misses", &["I1mr", "D1mr", "D1mw"]),
];

/// A host on which nothing was done before.
fn host() -> Result<Scene<Host>> {
    let capacities = Capacities::for_nodes(NODES);
    Scene::new(Host::new(&capacities, &Recording::default()).map_err(Error::other)?)
}

/// Of this library. Callgrind is to collect [`Host::serve`] only. If it writes to a file that is named here, the READ's
/// instructions are told by function, too.
pub fn ours(name: &str, callgrind: &Callgrind<'_>, file: Option<&Path>, times: u32) -> Result<()> {
    let mut scene = host()?;
    scene.count(name, callgrind, times)?;
    scene.count_at_once(name, callgrind, times)?;
    let Some(file) = file else { return Ok(()) };
    let row = &ROWS[0];
    let profile = callgrind.profile_while(file, || (0..times).try_for_each(|_| scene.once(row)))?;
    for (function, cost) in profile {
        Figure::new(PROFILE, &function, row.name, cost as f64 / f64::from(times), "instructions").print()?;
    }
    Ok(())
}

impl Scene<Host> {
    /// What a READ takes that comes with many others.
    fn count_at_once(&mut self, name: &str, callgrind: &Callgrind<'_>, times: u32) -> Result<()> {
        let [Row { name: row, messages: [(kind, payload)], .. }, ..] = &ROWS else {
            return Err(Error::other("the first row has one request"));
        };
        let header =
            Header { msg_type: *kind as u32, req_id: 1, tx_id: TxId::NONE, len: payload.len() as u32 };
        let message = [&header.emit(), payload.as_bytes()].concat();
        let Scene(host) = self;
        let session = host.guest(GUEST).ok_or_else(|| Error::other("the guest is not connected"))?;
        let all = callgrind.count_while(|| {
            (0..times).try_for_each(|_| host.ask_at_once(session, &message, AT_ONCE)).map_err(Error::other)
        })?;
        let value = all as f64 / (AT_ONCE as f64 * f64::from(times));
        Figure::new(TABLE, row, &format!("{name}, each of {AT_ONCE} at once"), value, "instructions")
            .print()?;
        Ok(())
    }
}

/// Of C xenstored, which runs under valgrind.
pub fn theirs(name: &str, program: &Program, callgrind: &Callgrind<'_>, times: u32) -> Result<()> {
    scene_of(program)?.count(name, callgrind, times)
}

fn scene_of(program: &Program) -> Result<Scene<Daemon>> {
    Scene::new(Daemon::start(program, &Recording::default()).map_err(Error::other)?)
}

/// The words that start a program so that it writes what it touches to a pipe.
pub fn tracing_words(pipe: &Path) -> Vec<PathBuf> {
    let log = format!("--log-file={}", pipe.display());
    ["valgrind", "--tool=lackey", "--trace-mem=yes", &log].map(PathBuf::from).to_vec()
}

/// The cache lines that this library touches, in a process of its own, for [`serve_rows`].
pub fn lines_of_ours(name: &str, pipe: &Path) -> Result<()> {
    let trace = Trace::follow(pipe)?;
    let mut words = tracing_words(pipe).into_iter();
    let mut child = Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg(std::env::current_exe()?)
        .arg("rows")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::other("a pipe is missing"));
    };
    let mut answers = BufReader::new(answers);
    let mut answer = || {
        let mut line = String::new();
        answers.read_line(&mut line)?;
        line.trim_end().parse::<u64>().map_err(|_| Error::other("the traced program has ended"))
    };
    trace.count_between([answer()?, answer()?]);
    for (number, row) in ROWS.iter().enumerate() {
        let lines = trace.per_request(|_| {
            writeln!(orders, "{number}")?;
            answer().map(drop)
        })?;
        print_lines(name, row, lines)?;
    }
    drop(orders);
    child.wait().map(drop)
}

/// Makes the requests of the rows whose numbers it reads, one after the other, and says when each is done. Before the
/// first, it says where [`MARKS`] are.
pub fn serve_rows() -> Result<()> {
    let mut scene = host()?;
    MARKS.iter().try_for_each(|mark| output::put(format!("{}\n", mark.as_ptr().addr())))?;
    let mut before = None;
    for line in stdin().lines() {
        let number: usize = line?.parse().map_err(Error::other)?;
        let row = ROWS.get(number).ok_or_else(|| Error::other(format!("there is no row {number}")))?;
        if before.replace(number) != Some(number) {
            scene.first(row)?;
        }
        scene.once(row)?;
        output::put(format!("{number}\n"))?;
    }
    Ok(())
}

/// The same of C xenstored, all of whose work counts.
pub fn lines_of_theirs(name: &str, program: &Program, pipe: &Path) -> Result<()> {
    let trace = Trace::follow(pipe)?;
    let mut scene = scene_of(program)?;
    for row in &ROWS {
        scene.first(row)?;
        print_lines(name, row, trace.per_request(|_| scene.once(row))?)?;
    }
    Ok(())
}

fn print_lines(name: &str, row: &Row, lines: [usize; 2]) -> Result<()> {
    for (what, count) in ["data", "code"].into_iter().zip(lines) {
        let column = format!("{name}, cache lines of {what}");
        Figure::new(TABLE, row.name, &column, count as f64, "cache lines").print()?;
    }
    Ok(())
}
