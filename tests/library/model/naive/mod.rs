//! A store without any cleverness: maps of strings, lists of everything, full scans.
//!
//! It knows the rules of xenstore and nothing of how the server implements them. A transaction has a copy of each node
//! that it has looked at, and notes what it has read. It conflicts if and only if something that it has read has
//! changed since.

mod lives;
mod nodes;
mod requests;
mod rights;
mod transactions;
mod tree;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use super::session::Request;

/// Of a domain's features, those that requests depend on; and all.
const WATCH_DEPTH: u32 = 4;
const NAMES_ANY: u32 = 8;
const FEATURES: u32 = 15;

const READ: u8 = 1;
const WRITE: u8 = 2;
const OWNER: u8 = 4;

/// `DOMID_ANY`.
pub const ANY: u16 = 32757;
const ANYBODY: u32 = u32::MAX;
const NOBODY: u32 = 0;

/// A fault of the model, to show that the comparison would notice it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    None,
    ChildrenAreSorted,
    BlindWritesConflict,
    ReadsDoNotConflict,
    EveryoneHearsEverything,
    EventsFollowTheReply,
    GuestsInheritTheOwner,
    RightsOutliveADomain,
    OneNodeTooMany,
    DefaultsBindWhoIsThere,
    FeaturesDoNothing,
    CommitFiresInOrderOfPaths,
    RightsAtFirstLookLast,
    CommitsMakeNodesTooLarge,
}

/// What a domain may have, by the quota's name.
pub type Limits = BTreeMap<&'static str, u32>;

/// One permission entry: what it grants, to which domain, and to which of all that had that number.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Perm {
    letter: char,
    domid: u16,
    life: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Node {
    value: String,
    perms: Vec<Perm>,
    /// Names, oldest first.
    children: Vec<String>,
    /// Increases with every change of the value, of the children.
    value_changed: u64,
    children_changed: u64,
    /// When its owner got it.
    owned_since: u64,
}

#[derive(Clone)]
struct Watch {
    domid: u16,
    path: String,
    token: String,
    depth: Option<usize>,
    relative: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Subtree,
    Exact,
}

/// What a transaction has seen and made of one path.
#[derive(Clone)]
struct Copy {
    /// The node at first look, if there was one.
    seen: Option<Node>,
    /// The node as the transaction has it.
    now: Option<Node>,
    /// Created in the transaction, perhaps after a removal.
    made: bool,
    read_value: bool,
    read_perms: bool,
    read_children: bool,
    wrote_value: bool,
    wrote_perms: bool,
    fires: Option<Change>,
    /// Bytes of its children's names, each with its end.
    names: usize,
}

#[derive(Clone, Default)]
struct Transaction {
    copies: BTreeMap<String, Copy>,
    /// Paths in order of first look, and those made in order of making.
    looked_at: Vec<String>,
    made: Vec<String>,
    failed: bool,
    /// Requests and answers, to be repeated at once at the end.
    log: Vec<(Request, String)>,
    /// Domains came or went since.
    epoch: u64,
    /// How many domains had died before.
    deaths: usize,
    /// The target's life whose rights its domain also had; nobody's if there were two targets.
    lent: Option<u32>,
}

#[derive(Clone)]
struct Domain {
    life: u32,
    introduced: bool,
    /// The life whose rights it has too.
    target: Option<u32>,
    limits: Limits,
    /// Bits of what it is offered.
    features: u32,
    open: BTreeMap<u32, Transaction>,
    last_tx: u32,
}

/// A message and who gets it.
pub type Message = (u16, String);

type Result<T> = std::result::Result<T, &'static str>;

#[derive(Clone)]
pub struct Model {
    tree: BTreeMap<String, Node>,
    domains: BTreeMap<u16, Domain>,
    /// Domains that the hypervisor has.
    alive: BTreeSet<u16>,
    /// In order of registration.
    watches: Vec<Watch>,
    /// Of domains to come.
    limits: Limits,
    /// No quota refuses anything but long paths.
    unlimited: bool,
    pub bug: Bug,
    changes: u64,
    lives: u32,
    epoch: u64,
    /// Lives that have ended, in order.
    dead: Vec<u32>,
    out: Vec<Message>,
    /// A transaction took effect that should not have, or otherwise than it should have.
    pub complaint: Option<String>,
}

fn parent(path: &str) -> Option<&str> {
    if path == "/" || path.starts_with('@') {
        return None;
    }
    let cut = path.rfind('/')?;
    Some(if cut == 0 { "/" } else { &path[..cut] })
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn child(path: &str, name: &str) -> String {
    if path == "/" { format!("/{name}") } else { format!("{path}/{name}") }
}

/// Bytes of the names of children, each with its end.
fn bytes_of(children: &[String]) -> usize {
    children.iter().map(|name| name.len() + 1).sum()
}

/// How far `path` is below `above`, if it is.
fn depth_below(path: &str, above: &str) -> Option<usize> {
    let mut at = path;
    let mut depth = 0;
    while at != above {
        at = parent(at)?;
        depth += 1;
    }
    Some(depth)
}

fn bits(letter: char) -> u8 {
    match letter {
        'n' => 0,
        'r' => READ,
        'w' => WRITE,
        _ => READ | WRITE,
    }
}

impl Model {
    pub fn new(limits: Limits) -> Model {
        let mut model = Model {
            tree: BTreeMap::new(),
            domains: BTreeMap::new(),
            alive: BTreeSet::from([0]),
            watches: Vec::new(),
            limits,
            unlimited: false,
            bug: Bug::None,
            changes: 0,
            lives: 0,
            epoch: 0,
            dead: Vec::new(),
            out: Vec::new(),
            complaint: None,
        };
        model.know(0);
        model.domain(0).introduced = true;
        let own = Perm { letter: 'n', domid: 0, life: 1 };
        for path in ["/", "/tool", "/tool/xenstored", "@introduceDomain", "@releaseDomain"] {
            model.add(path, String::new(), vec![own.clone()]);
        }
        let everyone = Perm { letter: 'r', domid: ANY, life: ANYBODY };
        model.node("@releaseDomain").perms.push(everyone);
        model
    }

    fn domain(&mut self, domid: u16) -> &mut Domain {
        self.domains.get_mut(&domid).expect("a known domain")
    }

    fn node(&mut self, path: &str) -> &mut Node {
        self.tree.get_mut(path).expect("a node")
    }

    fn tick(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    pub fn is_introduced(&self, domid: u16) -> bool {
        self.domains.get(&domid).is_some_and(|domain| domain.introduced)
    }

    pub fn is_alive(&self, domid: u16) -> bool {
        self.alive.contains(&domid)
    }

    pub fn open_transactions(&self, domid: u16) -> Vec<u32> {
        self.domains[&domid].open.keys().copied().collect()
    }

    /// Nodes, watches and transactions that a domain has; nothing if it is not known.
    pub fn usage(&self, domid: u16) -> Option<(usize, usize, usize)> {
        let domain = self.domains.get(&domid)?;
        let watches = self.watches.iter().filter(|watch| watch.domid == domid).count();
        Some((self.owned(domain.life), watches, domain.open.len()))
    }

    /// Path, value, permissions and names of the children of each node.
    pub fn dump(&self) -> Vec<(String, String, String, String)> {
        let rows = self.tree.iter().map(|(path, node)| {
            let children = node.children.iter().map(|name| format!("{name}|")).collect();
            (path.clone(), node.value.clone(), self.shown(&node.perms), children)
        });
        rows.collect()
    }
}
