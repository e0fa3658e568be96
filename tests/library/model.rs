//! Random sessions of dom0 and three guests. Each answer and each event is compared with a naive model's.
//!
//! `PROPTEST_CASES` sets the number of sessions. A session that differs is printed as rows that can be
//! pasted into a table.

mod naive;
mod session;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::stops::poll_with_stop;
use super::{LIMITS, small};
use naive::{Bug, Message, Model};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use session::{Action, In, Request};
use support::Host;
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Limits, Settings};
use xenstore::quota::{Quota, Quotas};

/// The first quotas of guests: so low that sessions reach them.
const QUOTAS: [(&str, u32); 7] = [
    ("nodes", 6),
    ("watches", 3),
    ("transactions", 2),
    ("transaction-nodes", 14),
    ("node-permissions", 3),
    ("path-max", 2048),
    ("node-size", 76),
];

/// Differences, and the rows that led to them.
struct Difference {
    rows: String,
    what: String,
}

struct Session {
    host: Host,
    model: Model,
    rows: String,
    /// The server is stopped in operations that are drawn from here.
    stops: Option<fastrand::Rng>,
    /// How often it was.
    stopped: u32,
    /// The server is replaced by one that is made from its state, at moments that are drawn from here.
    updates: Option<fastrand::Rng>,
    /// Messages that a client has read before the comparison.
    early: Option<(u16, String)>,
}

impl Session {
    fn new(limits: Limits) -> Session {
        let mut quotas = Quotas::DEFAULT;
        for (name, value) in QUOTAS {
            (Quota::named(name.as_bytes()).expect("a quota's name").set)(&mut quotas, value);
        }
        let mut host = Host::with(Settings { quotas, ..Settings::DEFAULT }, &Capacities::for_nodes(1000));
        host.limit(limits);
        let model = Model::new(QUOTAS.into());
        Session { host, model, rows: String::new(), stops: None, stopped: 0, updates: None, early: None }
    }

    /// All clients read. Their messages must be the model's, one by one.
    fn compare(&mut self, expected: Vec<Message>) -> Result<(), String> {
        let mut told: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        for (to, text) in expected {
            told.entry(to).or_default().push(text);
        }
        let domids: Vec<u16> = self.host.clients.keys().copied().collect();
        for domid in domids {
            let early = self.early.take_if(|(who, _)| *who == domid).map(|(_, text)| text);
            let got = early.into_iter().chain([self.host.received(domid)]).filter(|text| !text.is_empty());
            let got = got.collect::<Vec<_>>().join("; ");
            let expected = told.remove(&domid).unwrap_or_default().join("; ");
            if got != expected {
                return Err(format!("domain {domid} got      {got}\nthe model says      {expected}"));
            }
        }
        Ok(())
    }

    /// Lets the server work, and stops it once meanwhile if there are to be stops.
    fn poll(&mut self) {
        let stop_in = self.stops.as_mut().map_or(0, |random| random.u32(1..90));
        self.stopped += u32::from(poll_with_stop(&mut self.host, stop_in));
    }

    /// After a stop: whether the request has not happened. EIO says so to the client.
    fn is_undone(&mut self, who: u16, expected: &[Message]) -> bool {
        let got = self.host.received(who);
        let answer = expected.iter().rev().find(|(to, text)| *to == who && !text.starts_with("ev "));
        let undone = got == "EIO" && answer.is_none_or(|(_, text)| text != "EIO");
        self.early = Some((who, got));
        undone
    }

    fn ask(&mut self, who: u16, tx: u32, request: &Request) -> Result<(), String> {
        let before = self.stops.as_ref().map(|_| self.model.clone());
        let expected = self.model.ask(who, tx, request);
        let shown: Vec<String> = expected
            .iter()
            .map(|(to, text)| if *to == who { text.clone() } else { format!("[to {to}: {text}]") })
            .collect();
        writeln!(self.rows, "    ({who}, {tx}, \"{request}\", \"{}\"),", shown.join("; ")).expect("room");
        let complaint = self.model.complaint.take();
        // No guest is held for the commits that it has spoiled.
        self.host.xen.pass(20);
        self.host.send(who, tx, &request.to_string());
        self.poll();
        if let Some(before) = before
            && self.is_undone(who, &expected)
        {
            writeln!(self.rows, "    // Stopped: EIO.").expect("room");
            self.model = before;
            // Whoever has become known by it stays known.
            for domid in (0..4).filter(|domid| self.host.server.usage(DomId(*domid)).is_some()) {
                self.model.know(domid);
            }
            self.compare(vec![(who, "EIO".into())])?;
            // The transaction keeps its copies, of which the model does not know.
            let tx = self.model.open_transactions(who).into_iter().find(|open| *open == tx);
            return tx.map_or(Ok(()), |tx| self.ask(who, tx, &Request::End(false)));
        }
        if let Some(complaint) = complaint {
            return Err(complaint);
        }
        // Its ring is reset.
        if let (Request::Introduce(domid), Some((_, answer))) = (request, expected.last())
            && answer == "OK|"
        {
            self.host.client(*domid).forget();
        }
        self.compare(expected)
    }

    /// Replaces the server, now and then, unless a transaction is open, which no state has.
    fn update(&mut self) -> Result<(), String> {
        let known = (0..4).filter(|domid| self.model.is_introduced(*domid));
        let busy = known.into_iter().any(|domid| !self.model.open_transactions(domid).is_empty());
        let Some(random) = self.updates.as_mut().filter(|_| !busy) else { return Ok(()) };
        let (now, version) = (random.u8(..4) == 0, random.u32(1..=2));
        if now {
            writeln!(self.rows, "    // host.update({version});").expect("room");
            self.host.update(version);
            self.host.poll();
            self.compare(Vec::new())?;
        }
        Ok(())
    }

    fn step(&mut self, action: &Action) -> Result<(), String> {
        self.update()?;
        match action {
            Action::Ask(who, tx, request) => {
                if !self.model.is_introduced(*who) {
                    return Ok(());
                }
                let open = self.model.open_transactions(*who);
                let tx = match tx {
                    In::Open(n) if !open.is_empty() => open[usize::from(*n) % open.len()],
                    In::Last => open.last().copied().unwrap_or(0),
                    In::Unknown => 99,
                    _ if matches!(request, Request::End(_)) => open.last().copied().unwrap_or(0),
                    _ => 0,
                };
                self.ask(*who, tx, request)
            }
            Action::Boot(domid) => {
                if !self.model.is_alive(*domid) {
                    writeln!(self.rows, "    // host.create({domid});").expect("room");
                    self.host.create(*domid);
                    self.model.create(*domid);
                }
                self.ask(0, 0, &Request::Introduce(*domid))
            }
            Action::Anew(domid, features) => {
                self.ask(0, 0, &Request::Release(*domid))?;
                self.ask(0, 0, &Request::SetFeature(*domid, features))?;
                self.ask(0, 0, &Request::Introduce(*domid))
            }
            Action::Die(domid) => {
                if !self.model.is_alive(*domid) {
                    return Ok(());
                }
                let expected = self.model.die(*domid);
                let shown: Vec<_> = expected.iter().map(|(to, text)| format!("to {to}: {text}")).collect();
                writeln!(self.rows, "    // domain {domid} dies: {}", shown.join("; ")).expect("room");
                self.host.xen.kill(DomId(*domid));
                self.poll();
                self.host.xen.vanish(DomId(*domid));
                self.poll();
                self.host.clients.remove(domid);
                self.compare(expected)
            }
        }
    }

    /// Compares the whole store, and what each domain holds by the server's count.
    fn compare_all(&mut self) -> Result<(), String> {
        for (path, value, perms, children) in self.model.dump() {
            let got = (
                if path.starts_with('@') {
                    value.clone()
                } else {
                    self.host.ask(0, 0, &format!("READ {path}|"))
                },
                self.host.ask(0, 0, &format!("GET_PERMS {path}|")),
                if path.starts_with('@') {
                    children.clone()
                } else {
                    self.host.ask(0, 0, &format!("DIRECTORY {path}|"))
                },
            );
            if got != (value.clone(), perms.clone(), children.clone()) {
                return Err(format!("{path} is {got:?}\nthe model says {:?}", (value, perms, children)));
            }
        }
        for domid in 0..4 {
            let got = self.host.server.usage(DomId(domid));
            let got =
                got.map(|usage| (usage.nodes as usize, usage.watches as usize, usage.transactions as usize));
            let expected = self.model.usage(domid);
            if got != expected {
                return Err(format!(
                    "domain {domid} holds nodes, watches, transactions {got:?}\nthe model says {expected:?}"
                ));
            }
        }
        let mut findings = String::new();
        self.host.server.check(&mut |finding| writeln!(findings, "{finding}").expect("room"));
        if findings.is_empty() { Ok(()) } else { Err(findings) }
    }
}

/// What is done to a server in a session, drawn from a seed.
#[derive(Clone, Copy)]
enum Done {
    Nothing,
    Stops(u64),
    Updates(u64),
}

fn run(bug: Bug, done: Done, limits: Limits, actions: &[Action]) -> Result<(), Difference> {
    let mut session = Session::new(limits);
    let all = session::opening();
    for action in &all {
        session.step(action).unwrap_or_else(|what| panic!("the opening differs:\n{}{what}", session.rows));
    }
    session.rows.clear();
    session.model.bug = bug;
    match done {
        Done::Nothing => {}
        Done::Stops(seed) => session.stops = Some(fastrand::Rng::with_seed(seed)),
        Done::Updates(seed) => session.updates = Some(fastrand::Rng::with_seed(seed)),
    }
    for action in actions {
        let done = catch_unwind(AssertUnwindSafe(|| session.step(action)));
        done.unwrap_or_else(|why| Err(why.downcast_ref().map_or("it panics", String::as_str).into()))
            .map_err(|what| Difference { rows: session.rows.clone(), what })?;
    }
    session.compare_all().map_err(|what| Difference { rows: session.rows.clone(), what })
}

/// Draws sessions until one differs. Returns it, made as short as possible.
fn find_difference(bug: Bug, done: Done, limits: Limits, mut runner: TestRunner) -> Option<String> {
    let result = runner.run(&session::session(), |actions| {
        run(bug, done, limits, &actions).map_err(|difference| TestCaseError::fail(difference.what))
    });
    match result {
        Ok(()) => None,
        Err(TestError::Abort(reason)) => panic!("no sessions: {reason}"),
        Err(TestError::Fail(reason, actions)) => Some(match run(bug, done, limits, &actions) {
            Err(Difference { rows, what }) => format!("after the opening:\n{rows}{what}"),
            Ok(()) => reason.to_string(),
        }),
    }
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() }
}

fn seeded(seed: u8) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32])
}

/// What draws so many sessions: the same every time, unless their number is set. And the seed.
pub fn runner(cases: u32) -> (TestRunner, u8) {
    let set = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let seed = if set.is_some() { fastrand::u8(..) } else { 1 };
    (TestRunner::new_with_rng(config(set.unwrap_or(cases)), seeded(seed)), seed)
}

/// Draws so many sessions of servers with these limits.
fn expect_no_difference(done: Done, limits: [(Limits, u32); 2]) {
    for (limits, cases) in limits {
        let (runner, seed) = runner(cases);
        if let Some(difference) = find_difference(Bug::None, done, limits, runner) {
            panic!("{difference}\n\n(seed {seed}, {limits:?})");
        }
    }
}

#[test]
fn the_server_does_what_the_model_does() {
    expect_no_difference(Done::Nothing, [(LIMITS, 600), (small::LIMITS, 600)]);
}

/// The same sessions, but each step that is long enough is stopped somewhere. It has happened or it has not, and the
/// model follows.
#[test]
fn the_server_does_what_the_model_does_though_it_is_stopped() {
    expect_no_difference(Done::Stops(1), [(LIMITS, 600), (small::LIMITS, 600)]);
}

/// One long session with as many faults as a store may have in years. Nothing is lost, and nothing happens twice.
#[cfg(debug_assertions)] // Elsewhere nothing stops.
#[test]
fn a_thousand_faults_leave_what_the_model_has() {
    use proptest::strategy::{Strategy, ValueTree};

    let mut session = Session::new(LIMITS);
    for action in &session::opening() {
        session.step(action).unwrap_or_else(|what| panic!("the opening differs:\n{}{what}", session.rows));
    }
    session.stops = Some(fastrand::Rng::with_seed(7));
    let mut runner = TestRunner::new_with_rng(config(1), seeded(7));
    while session.stopped < 1000 {
        let actions = session::session().new_tree(&mut runner).expect("a session").current();
        session.rows.clear();
        let done = actions.iter().try_for_each(|action| session.step(action));
        done.unwrap_or_else(|what| panic!("after {} faults:\n{}{what}", session.stopped, session.rows));
        session.compare_all().unwrap_or_else(|what| panic!("after {} faults: {what}", session.stopped));
    }
    let stats = crate::json::stats(&mut session.host, "totals");
    assert_eq!(stats["restarts"], session.stopped);
}

/// The same sessions, and now and then another server goes on with the state of the one before.
#[test]
fn the_server_does_what_the_model_does_though_it_is_replaced() {
    expect_no_difference(Done::Updates(1), [(LIMITS, 1000), (small::LIMITS, 300)]);
}

#[test]
fn a_wrong_model_would_be_noticed() {
    for bug in [
        Bug::ChildrenAreSorted,
        Bug::BlindWritesConflict,
        Bug::ReadsDoNotConflict,
        Bug::EveryoneHearsEverything,
        Bug::EventsFollowTheReply,
        Bug::GuestsInheritTheOwner,
        Bug::RightsOutliveADomain,
        Bug::OneNodeTooMany,
        Bug::DefaultsBindWhoIsThere,
        Bug::FeaturesDoNothing,
        Bug::CommitFiresInOrderOfPaths,
        Bug::RightsAtFirstLookLast,
        Bug::CommitsMakeNodesTooLarge,
    ] {
        let config = Config { max_shrink_iters: 100, ..config(3000) };
        let runner = TestRunner::new_with_rng(config, seeded(2));
        let difference = find_difference(bug, Done::Nothing, LIMITS, runner);
        let difference = difference.unwrap_or_else(|| panic!("{bug:?} is not noticed"));
        println!("{bug:?}, {difference}\n");
    }
}
