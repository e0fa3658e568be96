//! A host with attackers, on which a recorded life is lived: what each of the honest hears is written down.

use std::collections::BTreeMap;

use support::lives::{Answer, FIRST, Life, Part, RECORDED, Recording, Section, World, come_up};
use support::{Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::roles::Role;
use xenstore::server::sizing;
use xenstore::wire::{MessageType, TxId};

use super::crowd::{Attacker, Seat};

/// The guest with a recorded life. Another one that has begun before stays beside it, as at the recording.
pub const HONEST: u16 = FIRST + 1;

/// Domid of the first attacker.
const ATTACKER: u16 = 20;

/// Nanoseconds from one look of the server to the next.
const STEP: u64 = 1_000_000;

/// Looks within which each request is answered: more time than any hold lasts.
const PATIENCE: usize = 1000;

pub struct Scene {
    host: Host,
    attackers: Vec<Attacker>,
    random: fastrand::Rng,
    /// What dom0 and the honest guests have heard.
    pub heard: BTreeMap<u16, Vec<String>>,
    answers: BTreeMap<u16, Answer>,
    /// The longest wait of somebody honest from a request to the notification of its answer, counted in pieces of work:
    /// the server looks at the clock for each.
    pub longest: u64,
    /// Transactions of the honest that had to be done again.
    pub again: u64,
}

/// `memory` MiB for the store.
pub fn capacities(memory: usize) -> Capacities {
    let bytes = memory << 20;
    sizing::capacities_for(bytes - (1 << 20), bytes / 16).expect("there is enough memory")
}

impl Scene {
    /// A host that is up, with one guest that stays.
    pub fn new(memory: usize, seed: u64) -> Scene {
        let mut scene = Scene {
            host: Host::with(Settings::DEFAULT, &capacities(memory)),
            attackers: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            heard: BTreeMap::new(),
            answers: BTreeMap::new(),
            longest: 0,
            again: 0,
        };
        // The clock is looked at before and after each piece of work, so it counts them.
        scene.host.xen.ticking = 1;
        let recording = RECORDED.parse().expect("the recording can be read");
        come_up(&mut scene, &recording).expect("the host comes up");
        scene.live(&recording.start, FIRST).expect("the first guest starts");
        scene
    }

    /// What was heard and waited for before does not count.
    pub fn begin(&mut self) {
        self.heard.clear();
        (self.longest, self.again) = (0, 0);
    }

    /// The store is consistent.
    pub fn check(&self) {
        self.host.check();
    }

    /// One more guest, introduced as a toolstack does, that attacks in this role.
    pub fn add(&mut self, role: &'static Role<Seat>) {
        let domid = ATTACKER + self.attackers.len() as u16;
        self.host.create(domid);
        let home = format!("/local/domain/{domid}");
        for request in [
            format!("WRITE {home}/data|"),
            format!("SET_PERMS {home}|n0|r{domid}|"),
            format!("SET_PERMS {home}/data|n{domid}|"),
            format!("INTRODUCE {domid}|1|5|"),
        ] {
            self.host.send(0, 0, &request);
            self.work(0).unwrap_or_else(|problem| panic!("an attacker is not let in: {problem}"));
        }
        let attacker = Attacker::new(&mut self.host, domid, role, self.random.u64(..));
        self.attackers.push(attacker);
    }

    /// The attackers go on, for so many looks of the server.
    pub fn wait(&mut self, looks: usize) {
        for _ in 0..looks {
            self.look();
        }
    }

    /// A guest comes, works and goes, as recorded; while it is there, it commits so many nodes, and others die. An answer other than the
    /// recorded one is an error.
    pub fn honest_life(&mut self, nodes: usize) -> Result<(), String> {
        let recording = RECORDED.parse::<Recording>()?;
        self.live(&recording.start, HONEST)?;
        self.large_commit(nodes)?;
        self.deaths()?;
        self.live(&recording.stop, HONEST)
    }

    /// The guest commits what dom0 and itself watch.
    fn large_commit(&mut self, nodes: usize) -> Result<(), String> {
        let watched = format!("/local/domain/{HONEST}/data\0much\0");
        for watcher in [0, HONEST] {
            self.must(watcher, MessageType::Watch, TxId::NONE, &watched)?;
        }
        let id = self.must(HONEST, MessageType::TransactionStart, TxId::NONE, "\0")?;
        let id = std::str::from_utf8(&id).ok().and_then(|id| id.trim_end_matches('\0').parse().ok());
        let tx = TxId(id.ok_or("no transaction")?);
        for n in 0..nodes {
            self.must(HONEST, MessageType::Write, tx, &format!("data/{n}\0x"))?;
        }
        self.must(HONEST, MessageType::TransactionEnd, tx, "T\0")?;
        self.must(0, MessageType::Unwatch, TxId::NONE, &watched).map(drop)
    }

    /// Domains come and go at once, which guests and dom0 watch.
    fn deaths(&mut self) -> Result<(), String> {
        self.must(HONEST, MessageType::Watch, TxId::NONE, "@releaseDomain\0gone\0")?;
        let short = ATTACKER + 100..ATTACKER + 120;
        for domid in short.clone() {
            self.host.create(domid);
            self.must(0, MessageType::Introduce, TxId::NONE, &format!("{domid}\x001\x005\0"))?;
        }
        short.clone().for_each(|domid| self.host.xen.kill(DomId(domid)));
        self.look();
        short.into_iter().try_for_each(|domid| self.see_off(domid))
    }

    /// Waits until all has been told of a domain that has died: those who read are given time to.
    fn see_off(&mut self, domid: u16) -> Result<(), String> {
        self.host.xen.vanish(DomId(domid));
        self.host.clients.remove(&domid);
        for _ in 0..PATIENCE {
            self.wait(2);
            if self.host.server.usage(DomId(domid)).is_none() {
                return Ok(());
            }
        }
        Err(format!("the end of domain {domid} is not heard of"))
    }

    /// Asks for what must be granted.
    fn must(&mut self, from: u16, kind: MessageType, tx: TxId, payload: &str) -> Result<Vec<u8>, String> {
        let answer = self.ask(from, kind, tx, payload.as_bytes())?;
        let refused = |error| {
            format!("domain {from}: {error} instead of: {} {}", kind.name(), payload.escape_default())
        };
        answer.error.map_or(Ok(answer.payload), |error| Err(refused(error)))
    }

    fn live(&mut self, section: &Section, domid: u16) -> Result<(), String> {
        let mut life = Life::new(section, domid, 0, Part::All);
        let result = life.run(self);
        self.again += life.again;
        result
    }

    /// Half of the attackers go on, then the server does its work, then the honest read all that has come.
    fn look(&mut self) {
        self.random.shuffle(&mut self.attackers);
        for attacker in &mut self.attackers {
            if self.random.bool() {
                attacker.take_turn(&mut self.host);
            }
        }
        self.host.poll();
        self.host.xen.now.0 += STEP;
        for domid in [0, FIRST, HONEST] {
            if self.host.clients.contains_key(&domid) {
                self.read(domid);
            }
        }
    }

    fn read(&mut self, domid: u16) {
        let full = self.host.client(domid).waiting() == 1024;
        for message in self.host.client(domid).read() {
            let text = message.to_string();
            let kind = MessageType::from_wire(message.header.msg_type);
            if kind == Some(MessageType::WatchEvent) {
                self.heard.entry(domid).or_default().push(text);
                continue;
            }
            let error = (kind == Some(MessageType::Error)).then_some(text);
            self.answers.insert(domid, Answer { error, payload: message.payload });
        }
        if full {
            self.host.xen.kick(DomId(domid));
        }
    }

    /// Looks until `domid` has an answer.
    fn work(&mut self, domid: u16) -> Result<Answer, String> {
        let begun = self.host.xen.now.0;
        for look in 1..=PATIENCE as u64 {
            self.look();
            if let Some(answer) = self.answers.remove(&domid) {
                let told = self.host.xen.notified_at.get(&domid).map_or(begun, |told| told.0);
                // What passed by itself is no work.
                self.longest = self.longest.max(told - begun - (look - 1) * STEP);
                return Ok(answer);
            }
        }
        Err(format!("domain {domid} is not answered within {PATIENCE} looks of the server"))
    }
}

impl World for Scene {
    type Session = u16;

    fn made(&mut self, domid: u16) {
        self.host.create(domid);
    }

    fn gone(&mut self, domid: u16) -> Result<(), String> {
        self.host.xen.kill(DomId(domid));
        self.look();
        self.see_off(domid)
    }

    fn dom0(&self) -> u16 {
        0
    }

    fn guest(&self, domid: u16) -> Option<u16> {
        Some(domid)
    }

    fn ask(&mut self, from: u16, kind: MessageType, tx: TxId, payload: &[u8]) -> Result<Answer, String> {
        let bytes = request(kind as u32, 7, tx, payload);
        let mut rest = bytes.as_slice();
        for _ in 0..PATIENCE {
            let put = self.host.client(from).write(rest);
            rest = &rest[put..];
            self.host.xen.kick(DomId(from));
            if rest.is_empty() {
                return self.work(from);
            }
            self.look();
        }
        Err(format!("the server does not take all of a request of domain {from}"))
    }
}
