//! Random sessions: few names and few domains, so that requests often concern the same nodes.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::parse;
use crate::{lives, malformed};
use conformance::message::{
    CONTROL, DIRECTORY, DIRECTORY_PART, GET_DOMAIN_PATH, GET_FEATURE, GET_PERMS, GET_QUOTA, INTRODUCE,
    IS_DOMAIN_INTRODUCED, MKDIR, READ, RELEASE, RESET_WATCHES, RESUME, RM, SET_FEATURE, SET_PERMS, SET_QUOTA,
    SET_TARGET, TRANSACTION_END, TRANSACTION_START, UNWATCH, WATCH, WRITE,
};
use conformance::step::{Life, Quota, Request, Session, Step, Tx, absolute};

/// Domains that are there from the start.
pub const GUESTS: [u16; 3] = [1, 2, 3];
/// Domains that come and go.
pub const VISITORS: [u16; 2] = [4, 5];
const SLOTS: u8 = 3;
/// DOMID_ANY.
const EVERYBODY: u16 = 32757;
/// How many paths a session comes back to.
const RECENT: usize = 12;

/// The main subject of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Theme {
    Nodes,
    Permissions,
    Transactions,
    Watches,
    Domains,
    Malformed,
    Quotas,
}

const THEMES: [Theme; 7] = [
    Theme::Nodes,
    Theme::Permissions,
    Theme::Transactions,
    Theme::Watches,
    Theme::Domains,
    Theme::Malformed,
    Theme::Quotas,
];

pub struct Generator {
    pub rng: Rng,
    pub theme: Theme,
    pub steps: Vec<Step>,
    open: Vec<(u16, u8)>,
    watches: Vec<(u16, Vec<u8>)>,
    recent: Vec<Vec<u8>>,
    silent: Option<u16>,
    /// Asks for what only Xen 4.22 has, too: an older daemon's refusals would soon be the end of each session.
    pub newer: bool,
    /// Domains that are being released. What an INTRODUCE of such a domain does is undefined.
    pub fading: BTreeSet<u16>,
}

/// The session that belongs to this seed, with or without what is new in Xen 4.22.
pub fn session(seed: u64, length: usize, newer: bool) -> Session {
    let mut rng = Rng::with_seed(seed);
    let theme = THEMES[rng.usize(..THEMES.len())];
    let mut generator = Generator {
        rng,
        theme,
        steps: Vec::new(),
        open: Vec::new(),
        watches: Vec::new(),
        recent: Vec::new(),
        silent: None,
        newer,
        fading: BTreeSet::new(),
    };
    generator.furnish();
    while generator.steps.len() < length {
        generator.add();
    }
    generator.finish();
    generator.steps.push(Step::Store);
    Session {
        name: format!("seed {seed}, {theme:?}"),
        quotas: if theme == Theme::Quotas { tight() } else { Vec::new() },
        lists_changes: seed.is_multiple_of(2),
        steps: generator.steps,
    }
}

impl Generator {
    /// Guests with homes, and a place where they meet.
    fn furnish(&mut self) {
        for domid in GUESTS {
            self.steps.extend(parse::guest(domid));
        }
        let shared = ["b0", "n0\0b1\0r2", "r0\0b3\0w2", "n2\0b1"][self.rng.usize(..4)];
        self.steps.push(one(0, WRITE, b"/s\0".to_vec()));
        self.steps.push(one(0, SET_PERMS, format!("/s\0{shared}\0").into_bytes()));
        for _ in 0..4 {
            let payload = [self.path(0), b"\0first".to_vec()].concat();
            self.steps.push(one(0, WRITE, payload));
        }
    }

    /// All clients read what is left, and every transaction is ended.
    fn finish(&mut self) {
        if let Some(who) = self.silent {
            self.steps.push(Step::Reading(who, true));
        }
        for (who, slot) in std::mem::take(&mut self.open) {
            let end = Request { tx: Tx::Slot(slot), ..Request::new(TRANSACTION_END, *b"T\0") };
            self.steps.push(Step::Requests(who, vec![end]));
        }
    }

    pub fn has_open(&self, who: u16) -> bool {
        self.open.iter().any(|open| open.0 == who)
    }

    fn add(&mut self) {
        let draw = self.rng.u32(..100);
        let step = match self.theme {
            Theme::Malformed if draw < 15 => malformed::step(self),
            Theme::Domains if draw < 35 => lives::step(self),
            Theme::Watches if draw < 4 => self.silence(),
            _ if draw < 2 => lives::step(self),
            _ if draw == 2 => {
                let who = self.client();
                Step::Pieces(who, self.rng.u32(1..40), self.plain(who))
            }
            // A guest's firmware hands the ring over to its kernel.
            Theme::Domains if draw == 36 => Step::Wipe(GUESTS[self.rng.usize(..GUESTS.len())]),
            _ if draw < 9 => self.burst(),
            _ => {
                let who = self.client();
                let request = self.request(who);
                Step::Requests(who, vec![request])
            }
        };
        self.steps.push(step);
    }

    pub fn client(&mut self) -> u16 {
        match self.rng.u32(..10) {
            0..3 => 0,
            _ => GUESTS[self.rng.usize(..GUESTS.len())],
        }
    }

    /// One guest stops reading for a while, or the one that did starts again.
    fn silence(&mut self) -> Step {
        match self.silent.take() {
            Some(who) => Step::Reading(who, true),
            None => {
                let who = GUESTS[self.rng.usize(..GUESTS.len())];
                self.silent = Some(who);
                Step::Reading(who, false)
            }
        }
    }

    fn burst(&mut self) -> Step {
        let who = self.client();
        let requests = (0..self.rng.usize(2..5)).map(|_| self.plain(who)).collect();
        Step::Requests(who, requests)
    }

    fn request(&mut self, who: u16) -> Request {
        let often = match self.theme {
            Theme::Transactions => 22,
            _ => 8,
        };
        // Who does not read does not learn a transaction's id, nor how it ended.
        if self.silent != Some(who) && self.rng.u32(..100) < often {
            self.transaction(who)
        } else {
            self.plain(who)
        }
    }

    /// A request that neither starts nor ends a transaction.
    fn plain(&mut self, who: u16) -> Request {
        let (watch, permission) = match self.theme {
            Theme::Watches => (20, 10),
            Theme::Permissions => (6, 24),
            _ => (6, 8),
        };
        match self.rng.u32(..100) {
            draw if draw < watch => self.watch(who),
            draw if draw < watch + permission => self.permission(who),
            98.. => self.rare(),
            _ => self.node(who),
        }
    }

    fn tx(&mut self, who: u16) -> Tx {
        let mine: Vec<u8> = self.open.iter().filter(|open| open.0 == who).map(|open| open.1).collect();
        match self.rng.choice(mine) {
            Some(slot) if self.rng.u32(..3) > 0 => Tx::Slot(slot),
            _ => Tx::None,
        }
    }

    fn node(&mut self, who: u16) -> Request {
        let path = self.path(who);
        let (kind, payload) = match self.rng.u32(..20) {
            0..6 => (WRITE, [path, b"\0".to_vec(), self.value()].concat()),
            6..8 => (MKDIR, [path, b"\0".to_vec()].concat()),
            8..10 => (RM, [path, b"\0".to_vec()].concat()),
            10..14 => (READ, [path, b"\0".to_vec()].concat()),
            14..17 => (DIRECTORY, [path, b"\0".to_vec()].concat()),
            17..19 => (GET_PERMS, [path, b"\0".to_vec()].concat()),
            _ => {
                let offset = ["0", "2", "5", "100", "-1", ""][self.rng.usize(..6)];
                (DIRECTORY_PART, [path, format!("\0{offset}\0").into_bytes()].concat())
            }
        };
        Request { tx: self.tx(who), ..Request::new(kind, payload) }
    }

    fn permission(&mut self, who: u16) -> Request {
        let mut payload = self.path(who);
        if self.rng.u32(..20) == 0 {
            let introduce = self.newer && self.rng.bool();
            payload = if introduce { b"@introduceDomain".to_vec() } else { b"@releaseDomain".to_vec() };
        }
        if self.rng.u32(..4) == 0 {
            payload.push(0);
            return Request { tx: self.tx(who), ..Request::new(GET_PERMS, payload) };
        }
        for entry in 0..self.rng.u16(1..5) {
            let letter = ["n", "r", "w", "b"][self.rng.usize(..4)];
            let anybody = [0, 1, 2, 3, 4, 9, EVERYBODY, EVERYBODY];
            let anybody = anybody[self.rng.usize(..if self.newer { 8 } else { 6 })];
            let domid = if entry == 0 && self.rng.u32(..5) > 0 && who != 0 { who } else { anybody };
            payload.extend_from_slice(format!("\0{letter}{domid}").as_bytes());
        }
        payload.push(0);
        Request { tx: self.tx(who), ..Request::new(SET_PERMS, payload) }
    }

    fn watch(&mut self, who: u16) -> Request {
        let mine: Vec<usize> = (0..self.watches.len()).filter(|at| self.watches[*at].0 == who).collect();
        match self.rng.choice(mine) {
            Some(at) if self.rng.bool() => Request::new(UNWATCH, self.watches.swap_remove(at).1),
            _ => {
                let path = match self.rng.u32(..10) {
                    0 => self.event(),
                    1 => b"@introduceDomain".to_vec(),
                    2 => b"/".to_vec(),
                    _ => self.path(who),
                };
                let token = ["", "t", "u", "token"][self.rng.usize(..4)];
                let payload = [&path[..], b"\0", token.as_bytes(), b"\0"].concat();
                self.watches.push((who, payload.clone()));
                Request::new(WATCH, [payload, self.depth()].concat())
            }
        }
    }

    /// The special node for domains' ends, in general or of one domain.
    pub fn event(&mut self) -> Vec<u8> {
        let events = ["@releaseDomain", "@introduceDomain", "@releaseDomain/4", "@introduceDomain/5", "@"];
        let known = if self.newer { events.len() } else { 1 };
        events[self.rng.usize(..known)].as_bytes().to_vec()
    }

    /// A third argument of WATCH, now and then.
    pub fn depth(&mut self) -> Vec<u8> {
        let depths = ["0\0", "1\0", "2\0", "-1\0"];
        match self.newer && self.rng.bool() {
            true => depths[self.rng.usize(..depths.len())].as_bytes().to_vec(),
            false => Vec::new(),
        }
    }

    /// Features or quotas of some domain, or quotas of all domains to come.
    pub fn setting(&mut self, domid: u16) -> Request {
        let quotas = ["nodes", "watches", "transactions", "node-permissions", "node-size", "soft-memory"];
        let name = quotas[self.rng.usize(..quotas.len())];
        // Values that nobody here reaches, and values that are soon reached.
        let value =
            [5000, 200, 100, 8, 3, 0][self.rng.usize(..if self.theme == Theme::Quotas { 6 } else { 2 })];
        let features = [0, 2, 4, 6, 8, 10, 12, 14, 16][self.rng.usize(..9)];
        let (kind, payload) = match self.rng.u32(..8) {
            0..3 => (SET_FEATURE, format!("{domid}\0{features}\0")),
            3 => (GET_FEATURE, format!("{domid}\0")),
            4..6 => (SET_QUOTA, format!("{domid}\0{name}\0{value}\0")),
            6 => (SET_QUOTA, format!("{name}\0{value}\0")),
            _ => (GET_QUOTA, format!("{domid}\0{name}\0")),
        };
        Request::new(kind, payload.into_bytes())
    }

    fn transaction(&mut self, who: u16) -> Request {
        let mine: Vec<usize> = (0..self.open.len()).filter(|at| self.open[*at].0 == who).collect();
        let free = (0..SLOTS).find(|slot| !self.open.contains(&(who, *slot)));
        match (free, self.rng.choice(mine)) {
            (Some(slot), at) if at.is_none() || self.rng.u32(..3) == 0 => {
                self.open.push((who, slot));
                Request { opens: Some(slot), ..Request::new(TRANSACTION_START, *b"\0") }
            }
            (_, Some(at)) => {
                let slot = self.open.swap_remove(at).1;
                let payload = if self.rng.u32(..4) > 0 { *b"T\0" } else { *b"F\0" };
                Request { tx: Tx::Slot(slot), ..Request::new(TRANSACTION_END, payload) }
            }
            _ => Request { tx: Tx::Number(4242), ..Request::new(TRANSACTION_END, *b"T\0") },
        }
    }

    /// Requests that a store sees now and then.
    fn rare(&mut self) -> Request {
        let domid = self.rng.u16(..7);
        if self.newer && self.rng.bool() {
            return self.setting(domid);
        }
        let kind = [
            GET_DOMAIN_PATH,
            IS_DOMAIN_INTRODUCED,
            RESET_WATCHES,
            RESUME,
            INTRODUCE,
            SET_TARGET,
            RELEASE,
            CONTROL,
        ][self.rng.usize(..8)];
        let payload = match kind {
            // Domains' lives have their own generator. Here are requests of clients that may not change them.
            INTRODUCE => "9\x001\x001\0".to_string(),
            SET_TARGET => "9\x001\0".to_string(),
            RELEASE => "9\0".to_string(),
            RESET_WATCHES => String::new(),
            CONTROL => "nonsense\0".to_string(),
            _ => format!("{domid}\0"),
        };
        Request::new(kind, payload.into_bytes())
    }

    /// A path, often one that was used before.
    pub fn path(&mut self, who: u16) -> Vec<u8> {
        if self.rng.bool()
            && let Some(path) = self.rng.choice(&self.recent)
        {
            return path.clone();
        }
        let path = self.any_path(who);
        let full = absolute(who, &path).unwrap_or_default().into_bytes();
        let at = self.rng.usize(..RECENT);
        match self.recent.get_mut(at) {
            Some(old) => *old = full,
            None => self.recent.push(full),
        }
        path
    }

    fn any_path(&mut self, who: u16) -> Vec<u8> {
        let home = GUESTS[self.rng.usize(..GUESTS.len())];
        let mut path = match self.rng.u32(..10) {
            0..5 if who != 0 => String::new(),
            0..7 => format!("/local/domain/{home}/"),
            7 => "/".to_string(),
            _ => "/s/".to_string(),
        };
        for level in 0..self.rng.usize(1..4) {
            if level > 0 {
                path.push('/');
            }
            path.push(self.rng.choice(['a', 'b', 'c']).unwrap_or('a'));
        }
        path.into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        let length = match self.rng.u32(..20) {
            0 => self.rng.usize(..1500),
            1..4 => 0,
            _ => self.rng.usize(1..12),
        };
        vec![self.rng.u8(b'0'..=b'9'); length]
    }

    /// A new domain takes the place of the one that had this domid.
    pub fn visit(&mut self, domid: u16) {
        self.steps.push(Step::Domain(domid, Life::Gone));
        let [built, home, introduced] = parse::guest(domid);
        self.steps.push(built);
        if self.newer {
            // A toolstack restricts a domain before anybody serves it.
            for _ in 0..self.rng.usize(..3) {
                let setting = self.setting(domid);
                self.steps.push(Step::Requests(0, vec![setting]));
            }
        }
        self.steps.extend([home, introduced]);
        if self.newer && self.rng.u32(..4) == 0 {
            self.steps.push(Step::Requests(domid, vec![Request::new(GET_FEATURE, *b"")]));
        }
        self.fading.remove(&domid);
    }
}

/// Quotas that a session of this length reaches.
fn tight() -> Vec<Quota> {
    let quota = |(name, value): (&str, u32)| Quota { name: name.to_string(), value };
    [("nodes", 8), ("watches", 3), ("transactions", 2), ("node-permissions", 2), ("node-size", 100)]
        .map(quota)
        .to_vec()
}

pub fn one(who: u16, kind: u32, payload: Vec<u8>) -> Step {
    Step::Requests(who, vec![Request::new(kind, payload)])
}
