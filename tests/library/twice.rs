//! The same random session twice, once with live updates in it: each client finds the same in its ring, in the same order,
//! however far it is behind.
//!
//! `PROPTEST_CASES` sets the number of sessions.

use std::collections::BTreeMap;
use std::fmt;

use super::model::runner;
use super::{LIMITS, small};
use proptest::prelude::{Just, Strategy, prop};
use proptest::prop_oneof;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestError};
use support::{Host, Message};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Limits, Settings};
use xenstore::quota::Quotas;

const GUESTS: u16 = 4;

#[derive(Clone, Debug)]
enum Step {
    /// A request that is answered later.
    Ask(u16, String),
    /// A client reads what it has, and changes so many nodes below a path in a transaction.
    Commit(u16, String, usize),
    /// A client reads one ring.
    Read(u16),
    Die(u16),
    Boot(u16),
    /// By a stream of this version.
    Update(u32),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Ask(who, request) => write!(f, "host.send({who}, 0, {request:?});"),
            Step::Commit(who, path, nodes) => write!(f, "commit(host, {who}, {path:?}, {nodes});"),
            Step::Read(who) => write!(f, "read(host, {who});"),
            Step::Die(domid) => write!(f, "host.kill({domid});"),
            Step::Boot(domid) => write!(f, "host.boot({domid});"),
            Step::Update(version) => write!(f, "host.update({version});"),
        }
    }
}

fn client() -> impl Strategy<Value = u16> {
    prop_oneof![1 => Just(0), 3 => guest()]
}

fn guest() -> impl Strategy<Value = u16> {
    1..=GUESTS
}

fn path() -> impl Strategy<Value = String> {
    let tops = prop_oneof![
        3 => guest().prop_map(|domid| format!("/local/domain/{domid}/data")),
        1 => guest().prop_map(|domid| format!("/local/domain/{domid}")),
        2 => Just("/shared".to_string()),
    ];
    (tops, prop::collection::vec(select(&["0", "1", "a-longer-name"][..]), 0..2)).prop_map(|(top, names)| {
        [vec![top], names.into_iter().map(String::from).collect()].concat().join("/")
    })
}

fn permissions() -> impl Strategy<Value = String> {
    prop::collection::vec((select(&['n', 'r', 'b'][..]), 0..=GUESTS), 1..4)
        .prop_map(|list| list.iter().map(|(letter, domid)| format!("{letter}{domid}|")).collect())
}

fn request() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (path(), 0..60_usize).prop_map(|(path, len)| format!("WRITE {path}|{}", "v".repeat(len))),
        1 => path().prop_map(|path| format!("RM {path}|")),
        2 => (path(), permissions()).prop_map(|(path, list)| format!("SET_PERMS {path}|{list}")),
        1 => (path(), 0..3).prop_map(|(path, token)| format!("WATCH {path}|{token}|")),
        1 => (path(), 0..3).prop_map(|(path, token)| format!("UNWATCH {path}|{token}|")),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let target = (guest(), guest()).prop_map(|(domid, target)| format!("SET_TARGET {domid}|{target}|"));
    prop_oneof![
        12 => (client(), request()).prop_map(|(who, request)| Step::Ask(who, request)),
        2 => target.prop_map(|request| Step::Ask(0, request)),
        8 => (client(), path(), 1..50_usize).prop_map(|(who, path, nodes)| Step::Commit(who, path, nodes)),
        4 => client().prop_map(Step::Read),
        2 => guest().prop_map(Step::Die),
        2 => guest().prop_map(Step::Boot),
        4 => (1..=2_u32).prop_map(Step::Update),
    ]
}

struct Session {
    host: Host,
    /// What each client has read.
    heard: BTreeMap<u16, Vec<String>>,
}

impl Session {
    /// All guests watch everything, and two of them act for others.
    fn new(limits: Limits) -> Session {
        // Whoever does not read goes on to ask.
        let quotas = Quotas { outstanding: 0, ..Quotas::DEFAULT };
        let mut host = Host::with(Settings { quotas, ..Settings::DEFAULT }, &Capacities::for_nodes(8192));
        host.limit(limits);
        let mut session = Session { host, heard: BTreeMap::new() };
        (1..=GUESTS).for_each(|domid| session.boot(domid));
        for request in
            ["WRITE /shared|", "SET_PERMS /shared|b0|", "WATCH /|all|", "SET_TARGET 1|2|", "SET_TARGET 3|4|"]
        {
            session.host.send(0, 0, request);
            session.host.poll();
        }
        session
    }

    /// A guest begins, unless it lives. Dom0 does not read what it is answered.
    fn boot(&mut self, domid: u16) {
        if self.host.clients.contains_key(&domid) {
            return;
        }
        self.host.create(domid);
        let home = format!("/local/domain/{domid}");
        for request in [
            format!("WRITE {home}/data|"),
            format!("SET_PERMS {home}|n{domid}|"),
            format!("SET_PERMS {home}/data|n{domid}|"),
            format!("INTRODUCE {domid}|1|5|"),
        ] {
            self.host.send(0, 0, &request);
            self.host.poll();
        }
        self.host.send(domid, 0, "WATCH /|all|");
        self.host.poll();
    }

    /// A client reads what its ring has room for, if that much waits.
    fn read(&mut self, who: u16) {
        let heard = self.host.client(who).read();
        self.heard.entry(who).or_default().extend(heard.iter().map(Message::to_string));
        self.host.xen.kick(DomId(who));
        self.host.poll();
    }

    fn read_all(&mut self, who: u16) {
        while self.host.client(who).waiting() > 0 {
            self.read(who);
        }
    }

    fn commit(&mut self, who: u16, path: &str, nodes: usize) {
        self.read_all(who);
        let tx = self.host.start(who);
        let writes = (0..nodes).map(|n| format!("WRITE {path}/{}/{n}|", n % 3));
        // There is such a node in some transactions.
        for request in writes.chain([format!("RM {path}/{}|", nodes % 5)]) {
            let answer = self.host.ask(who, tx, &request);
            self.heard.entry(who).or_default().push(answer);
        }
        self.host.send(who, tx, "TRANSACTION_END T|");
        self.host.poll();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Boot(domid) => self.boot(*domid),
            Step::Update(version) => {
                self.host.update(*version);
                self.host.poll();
            }
            // The dead do nothing.
            Step::Ask(who, _) | Step::Commit(who, ..) | Step::Read(who) | Step::Die(who)
                if !self.host.clients.contains_key(who) => {}
            Step::Ask(who, request) => {
                self.host.send(*who, 0, request);
                self.host.poll();
            }
            Step::Commit(who, path, nodes) => self.commit(*who, path, *nodes),
            Step::Read(who) => self.read(*who),
            Step::Die(domid) => {
                self.host.clients.remove(domid);
                self.host.kill(*domid);
                self.host.xen.vanish(DomId(*domid));
                self.host.poll();
            }
        }
    }
}

/// What clients hear of a session with or without its updates.
fn run(steps: &[Step], updates: bool, limits: Limits) -> BTreeMap<u16, Vec<String>> {
    let mut session = Session::new(limits);
    for step in steps.iter().filter(|step| updates || !matches!(step, Step::Update(_))) {
        session.step(step);
    }
    // Reading makes room for what others hear.
    let alive: Vec<u16> = session.host.clients.keys().copied().collect();
    alive.iter().chain(&alive).for_each(|who| session.read_all(*who));
    session.host.check();
    session.heard
}

/// Where what a client has heard begins to differ.
fn compare(steps: &[Step], limits: Limits) -> Result<(), String> {
    let (plain, updated) = (run(steps, false, limits), run(steps, true, limits));
    for (who, all) in &plain {
        let other = &updated[who];
        if all != other {
            let at = all.iter().zip(other).take_while(|(one, other)| one == other).count();
            return Err(format!("domain {who} hears {:?}, and {:?} with updates", &all[at..], &other[at..]));
        }
    }
    Ok(())
}

/// So many sessions of servers that do much in one go, and of others that do little.
fn expect_the_same(cases: u32) {
    for limits in [LIMITS, small::LIMITS] {
        let (mut runner, seed) = runner(cases);
        let sessions = prop::collection::vec(step(), 1..80);
        let result = runner.run(&sessions, |steps| compare(&steps, limits).map_err(TestCaseError::fail));
        match result {
            Err(TestError::Fail(what, steps)) => {
                let rows: Vec<String> = steps.iter().map(Step::to_string).collect();
                panic!("{}\n{what}\n\n(seed {seed}, {limits:?})", rows.join("\n"));
            }
            done => done.expect("there are sessions"),
        }
    }
}

#[test]
fn clients_hear_the_same_with_updates_and_without() {
    expect_the_same(16);
}

/// Many more; `scripts/test long` runs it.
#[test]
#[ignore = "takes minutes"]
fn clients_hear_the_same_in_many_sessions() {
    expect_the_same(2000);
}
