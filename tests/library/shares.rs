//! Shares: beside guests that together take all that they can get, a guest lives its recorded life without one refusal
//! and one lost event, and so does what dom0 does for it.

use std::collections::BTreeMap;

use support::lives::{Answer, FIRST, Life, Part, RECORDED, Recording, Section, World, come_up};
use support::{Host, Message, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::server::sizing;
use xenstore::store::Share;
use xenstore::wire::{MessageType, TxId};

/// What guests can take of each arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arena {
    Nodes,
    Chunks,
    Lists,
    Watches,
    Transactions,
    Copies,
    Messages,
}

use Arena::{Chunks, Copies, Lists, Messages, Nodes, Transactions, Watches};

const ARENAS: [Arena; 7] = [Nodes, Chunks, Lists, Watches, Transactions, Copies, Messages];

/// The first of the guests that take all they can get.
const ATTACKER: u16 = 100;

/// A host on which all that dom0 and honest guests hear is kept, by whose it is.
struct Beside {
    host: Host,
    heard: BTreeMap<u16, Vec<String>>,
}

impl Beside {
    /// A store as large as that of the image with `--memory mib`, and nothing else in it than a host has.
    fn new(mib: usize, recording: &Recording) -> Beside {
        let capacities = sizing::capacities_for((mib - 1) << 20, mib << 16).expect("there is enough memory");
        let host = Host::with(Settings::DEFAULT, &capacities);
        let mut beside = Beside { host, heard: BTreeMap::new() };
        come_up(&mut beside, recording).expect("the host comes up");
        beside
    }

    fn live(&mut self, section: &Section, domid: u16) -> Result<(), String> {
        Life::new(section, domid, 0, Part::All).run(self)
    }

    /// A guest with nothing but its home, as a toolstack makes it.
    fn boot(&mut self, domid: u16) -> Result<(), String> {
        self.made(domid);
        for (kind, payload) in [
            (MessageType::Write, format!("/local/domain/{domid}\0")),
            (MessageType::SetPerms, format!("/local/domain/{domid}\0n{domid}\0")),
            (MessageType::Introduce, format!("{domid}\x001\x005\0")),
        ] {
            let answer = self.ask(0, kind, TxId::NONE, payload.as_bytes())?;
            answer.error.map_or(Ok(()), |error| Err(format!("{error} for {}", kind.name())))?;
        }
        Ok(())
    }

    /// Reads what waits for dom0 and honest guests. The answer to `from`, if it is there.
    fn hear(&mut self, from: u16) -> Option<Message> {
        let mut answer = None;
        let readers: Vec<u16> = self.host.clients.keys().copied().filter(|domid| *domid < ATTACKER).collect();
        for domid in readers {
            while self.host.client(domid).waiting() > 0 {
                for message in self.host.client(domid).read() {
                    if message.header.msg_type == MessageType::WatchEvent as u32 {
                        self.heard.entry(domid).or_default().push(message.to_string());
                    } else if domid == from {
                        answer = Some(message);
                    }
                }
                self.host.xen.kick(DomId(domid));
                self.host.poll();
            }
        }
        answer
    }
}

impl World for Beside {
    type Session = u16;

    fn made(&mut self, domid: u16) {
        self.host.create(domid);
    }

    fn gone(&mut self, domid: u16) -> Result<(), String> {
        self.host.kill(domid);
        self.host.clients.remove(&domid);
        self.hear(0);
        // Whoever has not read by then is not waited for.
        self.host.xen.now.0 += 50_000_000;
        self.host.poll();
        self.hear(0);
        Ok(())
    }

    fn dom0(&self) -> u16 {
        0
    }

    fn guest(&self, domid: u16) -> Option<u16> {
        Some(domid)
    }

    fn ask(&mut self, from: u16, kind: MessageType, tx: TxId, payload: &[u8]) -> Result<Answer, String> {
        let bytes = request(kind as u32, 1, tx, payload);
        if self.host.client(from).write(&bytes) < bytes.len() {
            return Err(format!("{} has no room, what came before it waits", kind.name()));
        }
        self.host.xen.kick(DomId(from));
        self.host.poll();
        let answer = self.hear(from).ok_or_else(|| format!("{} waits", kind.name()))?;
        let error = answer.header.msg_type == MessageType::Error as u32;
        Ok(Answer { error: error.then(|| answer.to_string()), payload: answer.payload })
    }
}

/// What a guest is answered; nothing as long as its requests wait.
fn ask(host: &mut Host, guest: u16, tx: u32, request: &str) -> String {
    if host.client(guest).unread() > 0 { String::new() } else { host.ask(guest, tx, request) }
}

/// Makes requests until one is refused, `most` at most.
fn until_refused(host: &mut Host, guest: u16, tx: u32, most: usize, request: impl Fn(usize) -> String) {
    for n in 0..most {
        if matches!(&*ask(host, guest, tx, &request(n)), "ENOMEM" | "EIO" | "ENOSPC" | "") {
            return;
        }
    }
}

/// A permission list of a guest's own that no other number gives, of domains that are known.
fn list(guest: u16, n: usize) -> String {
    let entry = |n: usize| {
        let letter = ["n", "r", "w", "b"][n % 4];
        format!("{letter}{}|", if (n / 4).is_multiple_of(2) { 0 } else { guest })
    };
    (0..4).fold(format!("n{guest}|"), |list, place| list + &entry(n >> (3 * place)))
}

/// Has a guest take all that it gets of an arena.
fn hoard(host: &mut Host, guest: u16, arena: Arena) {
    match arena {
        Nodes => until_refused(host, guest, 0, 1000, |n| format!("WRITE n{n}|")),
        Chunks => {
            for len in [900, 300, 40] {
                let value = "v".repeat(len);
                until_refused(host, guest, 0, 1000, |n| format!("WRITE c{len}-{n}|{value}"));
            }
        }
        Lists => {
            for n in 0..900 {
                let (made, set) = (format!("WRITE l{n}|"), format!("SET_PERMS l{n}|{}", list(guest, n)));
                if ask(host, guest, 0, &made) != "OK|" || ask(host, guest, 0, &set) != "OK|" {
                    return;
                }
            }
        }
        Watches => until_refused(host, guest, 0, 128, |n| format!("WATCH w{n}|token|")),
        Transactions => until_refused(host, guest, 0, 10, |_| "TRANSACTION_START |".to_string()),
        Copies => {
            for _ in 0..10 {
                let tx = ask(host, guest, 0, "TRANSACTION_START |");
                let Ok(tx) = tx.trim_end_matches('|').parse() else { return };
                until_refused(host, guest, tx, 1000, |n| format!("READ missing{n}|"));
            }
        }
        Messages => {
            ask(host, guest, 0, "WRITE data|");
            for n in 0..100 {
                ask(host, guest, 0, &format!("WATCH data|{n}|"));
            }
            for _ in 0..40 {
                if host.client(guest).unread() == 0 {
                    host.send(guest, 0, "WRITE data|");
                    host.poll();
                }
            }
        }
    }
}

/// What is heard by those who live and work beside `guests` that hoard `arenas`.
fn heard_beside(
    recording: &Recording,
    mib: usize,
    arenas: &[Arena],
    guests: u16,
) -> Result<BTreeMap<u16, Vec<String>>, String> {
    let mut beside = Beside::new(mib, recording);
    beside.live(&recording.start, FIRST)?;
    for guest in ATTACKER..ATTACKER + guests {
        beside.boot(guest)?;
    }
    // One after the other, and then once more, as all of them are there.
    for _ in 0..2 {
        for guest in ATTACKER..ATTACKER + guests {
            for arena in arenas.iter().copied() {
                // Who reads nothing is not answered.
                if beside.host.client(guest).waiting() == 0 {
                    hoard(&mut beside.host, guest, arena);
                }
            }
        }
    }
    beside.host.check();
    beside.heard.clear();
    beside.live(&recording.start, FIRST + 1)?;
    beside.live(&recording.stop, FIRST)?;
    beside.live(&recording.stop, FIRST + 1)?;
    beside.host.check();
    Ok(beside.heard)
}

/// Runs rows of (MiB, arenas, numbers of guests).
fn run(rows: &[(usize, &[Arena], &[u16])]) {
    let recording: Recording = RECORDED.parse().expect("the recording can be read");
    let alone = heard_beside(&recording, 8, &[], 0).expect("all is answered as recorded");
    let mut failures = Vec::new();
    for (mib, arenas, numbers) in rows {
        for guests in *numbers {
            let problem = match heard_beside(&recording, *mib, arenas, *guests) {
                Ok(heard) if heard == alone => continue,
                Ok(_) => "events are lost".to_string(),
                Err(problem) => problem,
            };
            failures.push(format!("{mib} MiB, {guests} guests that hoard {arenas:?}: {problem}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_guest_lives_beside_guests_that_hoard_anything() {
    run(&[
        (8, &[Nodes], &[64]),
        (8, &[Chunks], &[3, 64]),
        (8, &[Lists], &[2, 64]),
        (8, &[Watches], &[64]),
        (8, &[Transactions], &[64]),
        (8, &[Copies], &[3, 64]),
        (8, &[Messages], &[4, 36, 64]),
        (8, &[Copies, Messages], &[8, 36]),
        (8, &[Transactions, Messages], &[36]),
        (8, &[Lists, Messages], &[64]),
        (8, &[Transactions, Chunks], &[16]),
        (64, &[Copies], &[2]),
        (64, &[Lists], &[16]),
    ]);
}

/// Every arena alone and with every other one; `scripts/test long` runs it.
#[test]
#[ignore = "takes a minute with --release"]
fn a_guest_lives_beside_guests_that_hoard_any_two() {
    let numbers = [1, 2, 3, 8, 16, 36, 64];
    let pairs = (0..ARENAS.len()).flat_map(|a| (a..ARENAS.len()).map(move |b| [ARENAS[a], ARENAS[b]]));
    let pairs: Vec<[Arena; 2]> = pairs.collect();
    let mut rows: Vec<(usize, &[Arena], &[u16])> = Vec::new();
    for mib in [8, 64, 512] {
        rows.extend(pairs.iter().map(|pair| (mib, &pair[..], &numbers[..])));
    }
    run(&rows);
}

#[test]
fn ordinary_guests_need_less_than_is_promised() {
    let recording: Recording = RECORDED.parse().expect("the recording can be read");
    let mut beside = Beside::new(8, &recording);
    for section in [&recording.start, &recording.stop] {
        let mut life = Life::new(section, FIRST, 0, Part::All);
        while life.step(&mut beside).expect("all is answered as recorded") {
            // There is no record of it before it is made, and after its end.
            let Some(usage) = beside.host.server.usage(DomId(FIRST)) else { continue };
            for kind in Share::ALL {
                let (held, need) = (usage.held(kind), kind.need());
                assert!(2 * held <= need, "a guest holds {held} {kind:?}, of {need} that are promised");
            }
        }
    }
}

/// The nth thing by which a guest takes a slot of an arena, and what it is answered.
fn take(host: &mut Host, guest: u16, arena: Arena, n: usize) -> String {
    match arena {
        Nodes => ask(host, guest, 0, &format!("WRITE n{n}|")),
        Chunks => ask(host, guest, 0, &format!("WRITE c{n}|{}", "v".repeat(600))),
        Lists => {
            ask(host, guest, 0, &format!("WRITE l{n}|"));
            ask(host, guest, 0, &format!("SET_PERMS l{n}|{}", list(guest, n)))
        }
        Watches => ask(host, guest, 0, &format!("WATCH w{n}|token|")),
        Transactions => ask(host, guest, 0, "TRANSACTION_START |"),
        Copies if n == 0 => ask(host, guest, 0, "TRANSACTION_START |"),
        Copies => ask(host, guest, 1, &format!("READ missing{n}|")),
        Messages if n == 0 => ask(host, guest, 0, "WATCH data|t|"),
        Messages => host.ask(0, 0, &format!("WRITE /local/domain/{guest}/data/{n}|")),
    }
}

#[test]
fn what_is_promised_to_each_guest_is_there_whatever_others_take() {
    let recording: Recording = RECORDED.parse().expect("the recording can be read");
    let honest = FIRST..FIRST + 40;
    for (arena, kind) in ARENAS.into_iter().zip([
        Share::Nodes,
        Share::Chunks,
        Share::Acls,
        Share::Watches,
        Share::Transactions,
        Share::Copies,
        Share::Messages,
    ]) {
        let mut beside = Beside::new(8, &recording);
        for guest in honest.clone().chain(ATTACKER..ATTACKER + 24) {
            beside.boot(guest).expect("there is room for so many");
        }
        for guest in ATTACKER..ATTACKER + 24 {
            hoard(&mut beside.host, guest, arena);
        }
        beside.hear(0);
        let host = &mut beside.host;
        for guest in honest.clone() {
            let held = |host: &Host| host.server.usage(DomId(guest)).expect("it lives").held(kind);
            for n in 0.. {
                // What is taken at once is not more than this.
                let step = if arena == Chunks { 10 } else { 1 };
                if held(host) + step > kind.need() {
                    break;
                }
                assert!(n < 200, "{arena:?}: guest {guest} does not get what it is sent");
                let answer = take(host, guest, arena, n);
                let good = !answer.is_empty() && (!answer.starts_with('E') || answer == "ENOENT");
                assert!(good, "{arena:?}, guest {guest} holds {}: {answer}", held(host));
            }
        }
        host.check();
    }
}

#[test]
fn guests_that_hoard_one_after_the_other_leave_as_much_as_their_number_says() {
    let recording: Recording = RECORDED.parse().expect("the recording can be read");
    let capacities = sizing::capacities_for(7 << 20, 8 << 16).expect("there is enough memory");
    for guests in [1, 2, 4, 8] {
        let mut beside = Beside::new(8, &recording);
        for guest in ATTACKER..ATTACKER + guests {
            beside.boot(guest).expect("there is room for so many");
            hoard(&mut beside.host, guest, Copies);
        }
        // What the privileged and guests to come have: twelve copies for each of 64.
        let reserved = capacities.tx_nodes / 64 * 3 + 64 * 12;
        let left = capacities.tx_nodes - reserved - beside.host.server.in_use().tx_nodes;
        let part = (capacities.tx_nodes - reserved) / (usize::from(guests) + 1);
        assert!(left >= part - 16, "{guests} guests leave {left} of {} copies", capacities.tx_nodes);
        assert!(guests > 1 || left < part + 16, "one alone may have half of all");
    }
}

#[test]
fn dom0_hears_of_a_large_commit_beside_guests_that_read_nothing() {
    let recording: Recording = RECORDED.parse().expect("the recording can be read");
    for guests in [3, 36] {
        let mut beside = Beside::new(8, &recording);
        for guest in (FIRST..=FIRST).chain(ATTACKER..ATTACKER + guests) {
            beside.boot(guest).expect("there is room for so many");
        }
        for guest in ATTACKER..ATTACKER + guests {
            hoard(&mut beside.host, guest, Messages);
        }
        beside.host.ask(0, 0, &format!("WATCH /local/domain/{FIRST}|token|"));
        let tx = beside.host.start(FIRST);
        for n in 0..90 {
            beside.host.ok(FIRST, tx, &format!("WRITE data/{n}|"));
        }
        beside.host.ok(FIRST, tx, "TRANSACTION_END T|");
        let heard = beside.host.received(0).matches("ev ").count();
        assert_eq!(heard, 90, "beside {guests}");
        beside.host.check();
    }
}

#[test]
fn a_guest_hears_of_all_deaths_beside_guests_that_read_nothing() {
    let recording: Recording = RECORDED.parse().expect("the recording can be read");
    let mut beside = Beside::new(8, &recording);
    for guest in (FIRST..FIRST + 41).chain(ATTACKER..ATTACKER + 4) {
        beside.boot(guest).expect("there is room for so many");
    }
    for guest in ATTACKER..ATTACKER + 4 {
        for n in 0..126 {
            ask(&mut beside.host, guest, 0, &format!("WATCH @releaseDomain|{n}|"));
        }
    }
    beside.host.ask(FIRST, 0, "WATCH @releaseDomain|token|");
    for guest in FIRST + 1..FIRST + 41 {
        beside.host.xen.kill(DomId(guest));
    }
    beside.host.poll();
    beside.hear(0);
    assert_eq!(beside.heard[&FIRST].len(), 40);
    beside.host.check();
}

/// A share bounds what a guest takes, and nothing that dom0 does.
#[test]
fn dom0_gives_a_guest_more_than_that_may_take() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(3000));
    (1..=10).for_each(|domid| host.boot(domid));
    let mut write = |n| host.ask(1, 0, &format!("WRITE data/{}/{n}|", n % 8));
    let refused = (0..1000).map(|n| (n, write(n))).find(|(_, answer)| answer != "OK|");
    assert!(refused.as_ref().is_some_and(|(n, answer)| *n > 96 && answer == "ENOMEM"), "{refused:?}");
    (0..800).for_each(|n| host.ok(0, 0, &format!("WRITE /local/domain/1/given/{}/{n}|", n % 8)));
    host.expect(&[
        (0, 0, "WRITE /given|", "OK|"),
        (0, 0, "SET_PERMS /given|n1|", "OK|"),
        (2, 0, "WRITE data/more|", "OK|"),
    ]);
    host.check();
}
