//! A store without any cleverness: maps of strings, lists of everything, full scans.
//!
//! It knows the rules of xenstore and nothing of how the server keeps them. A transaction has a copy of
//! each node that it has looked at, and notes what it has read; it conflicts if and only if something that
//! it has read has changed since.

use std::collections::{BTreeMap, BTreeSet};

use super::session::Request;

const READ: u8 = 1;
const WRITE: u8 = 2;
const OWNER: u8 = 4;

/// `DOMID_ANY`.
pub const ANY: u16 = 32757;
const ANYBODY: u32 = u32::MAX;
const NOBODY: u32 = 0;

/// What is wrong with the model, to see that it would be noticed.
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
    CommitFiresInOrderOfPaths,
}

#[derive(Clone, Copy)]
pub struct Limits {
    pub nodes: usize,
    pub watches: usize,
    pub transactions: usize,
    pub transaction_nodes: usize,
    pub node_permissions: usize,
}

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
}

#[derive(Clone, Default)]
struct Transaction {
    copies: BTreeMap<String, Copy>,
    /// Paths in order of first look, and those made in order of making.
    looked_at: Vec<String>,
    made: Vec<String>,
    failed: bool,
    /// What was asked and answered, to be done again in one go at the end.
    log: Vec<(Request, String)>,
    /// Domains came or went since.
    epoch: u64,
}

#[derive(Clone)]
struct Domain {
    life: u32,
    introduced: bool,
    /// The life whose rights it has too.
    target: Option<u32>,
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
    limits: Option<Limits>,
    pub bug: Bug,
    changes: u64,
    lives: u32,
    epoch: u64,
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
            limits: Some(limits),
            bug: Bug::None,
            changes: 0,
            lives: 0,
            epoch: 0,
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

    fn owned(&self, life: u32) -> usize {
        self.tree.values().filter(|node| node.perms[0].life == life).count()
    }

    // Domains.

    /// The life of a domain that is on record or alive.
    fn know(&mut self, domid: u16) -> Option<u32> {
        if !self.domains.contains_key(&domid) {
            if !self.alive.contains(&domid) {
                return None;
            }
            self.lives += 1;
            let domain = Domain {
                life: self.lives,
                introduced: false,
                target: None,
                open: BTreeMap::new(),
                last_tx: 0,
            };
            self.domains.insert(domid, domain);
        }
        Some(self.domains[&domid].life)
    }

    fn is_living(&self, life: u32) -> bool {
        self.domains.values().any(|domain| domain.life == life)
    }

    pub fn create(&mut self, domid: u16) {
        self.alive.insert(domid);
    }

    /// The domain dies and vanishes.
    pub fn die(&mut self, domid: u16) -> Vec<Message> {
        self.alive.remove(&domid);
        if self.domains.contains_key(&domid) {
            self.destroy(domid);
        }
        std::mem::take(&mut self.out)
    }

    fn introduce(&mut self, domid: u16) -> Result<String> {
        self.epoch += 1;
        if domid == 0 || !self.alive.contains(&domid) {
            return Err("EINVAL");
        }
        self.know(domid);
        if self.domain(domid).introduced {
            self.drop_session(domid);
        } else {
            self.domain(domid).introduced = true;
            self.fire_special("@introduceDomain", domid);
        }
        Ok("OK|".into())
    }

    fn release(&mut self, domid: u16) -> Result<String> {
        match self.is_introduced(domid) {
            _ if domid == 0 => Err("EINVAL"),
            false => Err("ENOENT"),
            true => {
                self.destroy(domid);
                Ok("OK|".into())
            }
        }
    }

    fn drop_session(&mut self, domid: u16) {
        self.watches.retain(|watch| watch.domid != domid);
        self.domain(domid).open.clear();
    }

    fn destroy(&mut self, domid: u16) {
        self.epoch += 1;
        self.drop_session(domid);
        let life = self.domains[&domid].life;
        loop {
            let owned = self.tree.iter().filter(|(_, node)| node.perms[0].life == life);
            let first = owned.min_by_key(|(_, node)| node.owned_since);
            let Some(path) = first.map(|(path, _)| path.clone()) else { break };
            // These stay, and go to dom0.
            if parent(&path).is_none() {
                let now = self.tick();
                let dom0 = self.domains[&0].life;
                let node = self.node(&path);
                node.perms[0] = Perm { domid: 0, life: dom0, ..node.perms[0].clone() };
                node.owned_since = now;
                continue;
            }
            let mut top = path.as_str();
            let mut at = path.as_str();
            while let Some(above) = parent(at) {
                at = above;
                if self.tree[at].perms[0].life == life && at != "/" {
                    top = at;
                }
            }
            self.remove_tree(top);
        }
        let introduced = self.domains[&domid].introduced;
        if self.bug != Bug::RightsOutliveADomain {
            self.domains.remove(&domid);
        } else {
            self.domain(domid).introduced = false;
        }
        if introduced {
            self.fire_special("@releaseDomain", domid);
        }
    }

    // Rights.

    fn names(&self, who: u16, perm: &Perm) -> bool {
        let domain = &self.domains[&who];
        let target = domain.target.filter(|target| self.is_living(*target));
        perm.life != NOBODY && (perm.life == domain.life || Some(perm.life) == target || perm.life == ANYBODY)
    }

    fn access(&self, who: u16, perms: &[Perm]) -> u8 {
        if who == 0 || self.names(who, &perms[0]) {
            return READ | WRITE | OWNER;
        }
        let entry = perms[1..].iter().find(|perm| self.names(who, perm));
        bits(entry.unwrap_or(&perms[0]).letter)
    }

    fn shown(&self, perms: &[Perm]) -> String {
        let visible = perms.iter().enumerate().filter(|(n, perm)| {
            *n == 0 || perm.life == NOBODY || perm.life == ANYBODY || self.is_living(perm.life)
        });
        visible.map(|(_, perm)| format!("{}{}|", perm.letter, perm.domid)).collect()
    }

    fn exceeds(&self, who: u16, limit: fn(&Limits) -> usize, amount: usize) -> bool {
        who != 0 && self.limits.is_some_and(|limits| amount > limit(&limits))
    }

    // Events.

    fn fire(&mut self, path: &str, change: Change, lists: &[Vec<Perm>]) {
        let special = path.starts_with('@');
        let of_one_domain = path.split_once('/').filter(|_| special).map(|(general, _)| general.to_string());
        let mut told: Vec<(u16, bool, String)> = Vec::new();
        for watch in self.watches.clone() {
            let below = depth_below(path, &watch.path);
            let wanted = match (below, watch.depth) {
                (None, Some(depth)) => depth > 0 && of_one_domain.as_ref() == Some(&watch.path),
                (None, None) => false,
                (Some(below), _) if below > 0 && change == Change::Exact => false,
                (Some(_), None) => true,
                (Some(_), Some(_)) if special => of_one_domain.is_some(),
                (Some(below), Some(depth)) => below <= depth,
            };
            let may_read = lists.iter().any(|list| self.access(watch.domid, list) & READ != 0);
            let key = (watch.domid, watch.relative, watch.token.clone());
            let twice = told.contains(&key) && !special;
            let all = self.bug == Bug::EveryoneHearsEverything;
            if wanted && !twice {
                told.push(key);
                if may_read || all {
                    let home = format!("/local/domain/{}/", watch.domid);
                    let shown = if watch.relative { path.strip_prefix(&home).unwrap_or(path) } else { path };
                    self.out.push((watch.domid, format!("ev {shown},{}", watch.token)));
                }
            }
        }
    }

    /// The event of a node that is there, and had the list `old` before.
    fn fire_for_node(&mut self, path: &str, change: Change, old: Option<Vec<Perm>>) {
        let above = parent(path).unwrap_or("/");
        let lists = [Some(self.tree[path].perms.clone()), Some(self.tree[above].perms.clone()), old];
        self.fire(path, change, &lists.into_iter().flatten().collect::<Vec<_>>());
    }

    fn fire_special(&mut self, general: &str, domid: u16) {
        let lists = [self.tree[general].perms.clone(), self.tree["/"].perms.clone()];
        self.fire(general, Change::Exact, &lists);
        self.fire(&format!("{general}/{domid}"), Change::Exact, &lists);
    }

    // The tree.

    fn add(&mut self, path: &str, value: String, perms: Vec<Perm>) {
        let now = self.tick();
        if let Some(above) = parent(path) {
            let sorted = self.bug == Bug::ChildrenAreSorted;
            let above = self.node(above);
            above.children.push(name(path).to_string());
            above.children_changed = now;
            if sorted {
                above.children.sort();
            }
        }
        let node = Node {
            value,
            perms,
            children: Vec::new(),
            value_changed: now,
            children_changed: now,
            owned_since: now,
        };
        self.tree.insert(path.to_string(), node);
    }

    fn set_value(&mut self, path: &str, value: String) {
        let now = self.tick();
        let node = self.node(path);
        node.value = value;
        node.value_changed = now;
    }

    fn set_perms(&mut self, path: &str, perms: Vec<Perm>) {
        let now = self.tick();
        let node = self.node(path);
        if node.perms[0] != perms[0] {
            node.owned_since = now;
        }
        node.perms = perms;
    }

    fn drop_node(&mut self, path: &str) {
        let now = self.tick();
        self.tree.remove(path);
        if let Some(above) = parent(path) {
            let above = self.node(above);
            above.children.retain(|other| other != name(path));
            above.children_changed = now;
        }
    }

    /// The node and all below it, each above its children.
    fn subtree(&self, top: &str) -> Vec<String> {
        let mut all = vec![top.to_string()];
        for name in &self.tree[top].children {
            all.extend(self.subtree(&child(top, name)));
        }
        all
    }

    /// The node and all below it, each after its children.
    fn post_order(&self, top: &str) -> Vec<String> {
        let below = self.tree[top].children.iter().flat_map(|name| self.post_order(&child(top, name)));
        below.chain([top.to_string()]).collect()
    }

    fn remove_tree(&mut self, top: &str) {
        for path in self.post_order(top) {
            let mut lists = vec![self.tree[&path].perms.clone()];
            lists.extend(parent(&path).map(|above| self.tree[above].perms.clone()));
            let change = if path == top { Change::Subtree } else { Change::Exact };
            self.fire(&path, change, &lists);
            self.drop_node(&path);
        }
    }

    // One client's view, in a transaction or not.

    fn copy(&mut self, who: u16, tx: u32, path: &str) -> &mut Copy {
        let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
        open.copies.get_mut(path).expect("it was looked at")
    }

    fn look(&mut self, who: u16, tx: u32, path: &str) -> Result<()> {
        let count = self.domains[&who].open[&tx].looked_at.len();
        if self.domains[&who].open[&tx].copies.contains_key(path) {
            return Ok(());
        }
        if self.exceeds(who, |limits| limits.transaction_nodes, count + 1) {
            self.domain(who).open.get_mut(&tx).expect("an open transaction").failed = true;
            return Err("ENOSPC");
        }
        let seen = self.tree.get(path).cloned();
        let copy = Copy {
            now: seen.clone(),
            seen,
            made: false,
            read_value: false,
            read_perms: false,
            read_children: false,
            wrote_value: false,
            wrote_perms: false,
            fires: None,
        };
        let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
        open.copies.insert(path.to_string(), copy);
        open.looked_at.push(path.to_string());
        Ok(())
    }

    fn exists(&mut self, who: u16, tx: u32, path: &str) -> Result<bool> {
        if tx == 0 {
            return Ok(self.tree.contains_key(path));
        }
        self.look(who, tx, path)?;
        Ok(self.copy(who, tx, path).now.is_some())
    }

    fn nearest(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        let mut at = path;
        while !self.exists(who, tx, at)? {
            at = parent(at).ok_or("ENOENT")?;
        }
        Ok(at.to_string())
    }

    fn perms_at(&mut self, who: u16, tx: u32, path: &str) -> Vec<Perm> {
        if tx == 0 {
            return self.tree[path].perms.clone();
        }
        let copy = self.copy(who, tx, path);
        copy.read_perms |= !copy.wrote_perms;
        copy.now.as_ref().expect("it exists").perms.clone()
    }

    fn access_at(&mut self, who: u16, tx: u32, path: &str) -> u8 {
        if who == 0 {
            return READ | WRITE | OWNER;
        }
        let perms = self.perms_at(who, tx, path);
        self.access(who, &perms)
    }

    /// The node is there and `who` has all of `needed`; else the error that says so.
    fn seek(&mut self, who: u16, tx: u32, path: &str, needed: u8) -> Result<()> {
        if self.exists(who, tx, path)? {
            return if self.access_at(who, tx, path) & needed == needed { Ok(()) } else { Err("EACCES") };
        }
        if who == 0 {
            return Err("ENOENT");
        }
        let above = parent(path).ok_or("ENOENT")?;
        let nearest = self.nearest(who, tx, above)?;
        Err(if self.access_at(who, tx, &nearest) & needed != 0 { "ENOENT" } else { "EACCES" })
    }

    fn create_at(&mut self, who: u16, tx: u32, path: &str, value: &str) -> Result<()> {
        let above = parent(path).ok_or("EINVAL")?;
        let nearest = self.nearest(who, tx, above)?;
        let mut perms = self.perms_at(who, tx, &nearest);
        let count = depth_below(path, &nearest).expect("it is above");
        let owned = self.owned(self.domains[&who].life);
        let spare = usize::from(self.bug == Bug::OneNodeTooMany);
        if tx == 0 && self.exceeds(who, |limits| limits.nodes, (owned + count).saturating_sub(spare)) {
            return Err("ENOSPC");
        }
        if who != 0 && self.bug != Bug::GuestsInheritTheOwner {
            perms[0] = Perm { domid: who, life: self.domains[&who].life, ..perms[0].clone() };
        }
        let mut missing: Vec<&str> =
            std::iter::successors(Some(path), |path| parent(path)).take_while(|at| *at != nearest).collect();
        missing.reverse();
        for at in missing {
            let value = if at == path { value } else { "" };
            if tx == 0 {
                self.add(at, value.to_string(), perms.clone());
                continue;
            }
            let now = self.tick();
            let copy = self.copy(who, tx, at);
            copy.now = Some(Node {
                value: value.to_string(),
                perms: perms.clone(),
                children: Vec::new(),
                value_changed: now,
                children_changed: now,
                owned_since: now,
            });
            (copy.made, copy.wrote_value, copy.wrote_perms) = (true, true, true);
            if at == path {
                copy.fires = Some(Change::Subtree);
            }
            let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
            open.made.push(at.to_string());
        }
        Ok(())
    }

    fn write(&mut self, who: u16, tx: u32, path: &str, value: &str) -> Result<String> {
        match self.seek(who, tx, path, WRITE) {
            Ok(()) if tx == 0 => self.set_value(path, value.to_string()),
            Ok(()) => {
                let conflicts = self.bug == Bug::BlindWritesConflict;
                let copy = self.copy(who, tx, path);
                copy.now.as_mut().expect("it exists").value = value.to_string();
                copy.wrote_value = true;
                copy.read_value |= conflicts;
                copy.fires = Some(Change::Subtree);
            }
            Err("ENOENT") => self.create_at(who, tx, path, value)?,
            Err(error) => return Err(error),
        }
        if tx == 0 {
            self.fire_for_node(path, Change::Subtree, None);
        }
        Ok("OK|".into())
    }

    fn mkdir(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        match self.seek(who, tx, path, WRITE) {
            Ok(()) => {}
            Err("ENOENT") => {
                self.create_at(who, tx, path, "")?;
                if tx == 0 {
                    self.fire_for_node(path, Change::Subtree, None);
                }
            }
            Err(error) => return Err(error),
        }
        Ok("OK|".into())
    }

    fn rm(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        match self.seek(who, tx, path, WRITE) {
            Ok(()) if path == "/" => return Err("EINVAL"),
            Ok(()) if tx == 0 => self.remove_tree(path),
            Ok(()) => self.remove_copies(who, tx, path)?,
            Err("ENOENT") => {
                if !self.exists(who, tx, parent(path).ok_or("EINVAL")?)? {
                    return Err("ENOENT");
                }
            }
            Err(error) => return Err(error),
        }
        Ok("OK|".into())
    }

    fn remove_copies(&mut self, who: u16, tx: u32, top: &str) -> Result<()> {
        if let Some(above) = parent(top) {
            self.look(who, tx, above)?;
        }
        let below = if self.tree.contains_key(top) { self.subtree(top) } else { Vec::new() };
        for path in below {
            self.look(who, tx, &path)?;
            self.copy(who, tx, &path).read_children = true;
        }
        let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
        open.made.retain(|path| depth_below(path, top).is_none());
        for (path, copy) in &mut open.copies {
            if copy.now.is_some() && depth_below(path, top).is_some() {
                copy.now = None;
                (copy.made, copy.wrote_value, copy.wrote_perms) = (false, true, true);
                if copy.fires != Some(Change::Subtree) {
                    copy.fires = Some(if path == top { Change::Subtree } else { Change::Exact });
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        self.seek(who, tx, path, READ)?;
        if tx == 0 {
            return Ok(self.tree[path].value.clone());
        }
        let forgets = self.bug == Bug::ReadsDoNotConflict;
        let copy = self.copy(who, tx, path);
        copy.read_value |= !copy.wrote_value && !forgets;
        Ok(copy.now.as_ref().expect("it exists").value.clone())
    }

    fn directory(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        self.seek(who, tx, path, READ)?;
        let here = self.tree.get(path).map(|node| node.children.clone()).unwrap_or_default();
        if tx == 0 {
            return Ok(here.iter().map(|name| format!("{name}|")).collect());
        }
        self.copy(who, tx, path).read_children = true;
        let open = &self.domains[&who].open[&tx];
        let kept = here.iter().filter(|name| {
            open.copies.get(&child(path, name)).is_none_or(|copy| copy.now.is_some() && !copy.made)
        });
        let made = open.made.iter().filter(|made| parent(made) == Some(path));
        Ok(kept.map(|name| format!("{name}|")).chain(made.map(|path| format!("{}|", name(path)))).collect())
    }

    fn get_perms(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        self.seek(who, tx, path, READ)?;
        let perms = self.perms_at(who, tx, path);
        Ok(self.shown(&perms))
    }

    /// The list as it will be kept. Domains that are heard of become known, whatever comes of the request.
    fn parse_perms(&mut self, perms: &[(char, u16)]) -> Result<Vec<Perm>> {
        let mut list = Vec::new();
        for (n, (letter, domid)) in perms.iter().enumerate() {
            let life = match self.know(*domid) {
                _ if *domid == ANY && n > 0 => ANYBODY,
                Some(life) => life,
                None if n == 0 => return Err("ENOENT"),
                None => NOBODY,
            };
            list.push(Perm { letter: *letter, domid: *domid, life });
        }
        Ok(list)
    }

    fn change_perms(&mut self, who: u16, tx: u32, path: &str, perms: Vec<Perm>) -> Result<String> {
        self.seek(who, tx, path, WRITE | OWNER)?;
        let old = self.perms_at(who, tx, path);
        if who != 0 && old[0].life != perms[0].life {
            return Err("EPERM");
        }
        if tx == 0 {
            self.set_perms(path, perms);
            self.fire_for_node(path, Change::Subtree, Some(old));
        } else {
            let copy = self.copy(who, tx, path);
            copy.now.as_mut().expect("it exists").perms = perms;
            copy.wrote_perms = true;
            copy.fires = Some(Change::Subtree);
        }
        Ok("OK|".into())
    }

    // Transactions.

    fn start(&mut self, who: u16, tx: u32) -> Result<String> {
        if tx != 0 {
            return Err("EBUSY");
        }
        let count = self.domains[&who].open.len();
        if self.exceeds(who, |limits| limits.transactions, count + 1) {
            return Err("ENOSPC");
        }
        let epoch = self.epoch;
        let domain = self.domain(who);
        domain.last_tx += 1;
        domain.open.insert(domain.last_tx, Transaction { epoch, ..Transaction::default() });
        Ok(format!("{}|", domain.last_tx))
    }

    fn end(&mut self, who: u16, tx: u32, commit: bool) -> Result<String> {
        let open = self.domain(who).open.remove(&tx).ok_or("ENOENT")?;
        if !commit {
            return Ok("OK|".into());
        }
        if open.failed {
            return Err("ENOMEM");
        }
        if open.copies.iter().any(|(path, copy)| self.conflicts(path, copy)) {
            return Err("EAGAIN");
        }
        let mut after = self.clone();
        after.apply(&open);
        let full = |domid: &u16| {
            let life = self.domains[domid].life;
            let (before, after) = (self.owned(life), after.owned(life));
            after > before && self.exceeds(*domid, |limits| limits.nodes, after)
        };
        if who != 0 && self.domains.keys().any(full) {
            return Err("ENOSPC");
        }
        if open.epoch == self.epoch && self.bug == Bug::None {
            after.complaint = self.do_again(who, &open, &after).err();
        }
        *self = after;
        let mut order = open.looked_at.clone();
        if self.bug == Bug::CommitFiresInOrderOfPaths {
            order.sort();
        }
        for path in order {
            let copy = &open.copies[&path];
            let Some(change) = copy.fires else { continue };
            let old = copy.seen.as_ref().map(|node| node.perms.clone());
            match (&copy.now, old) {
                (Some(_), old) => self.fire_for_node(&path, change, old),
                (None, Some(old)) => self.fire(&path, change, &[old]),
                (None, None) => {}
            }
        }
        Ok("OK|".into())
    }

    fn conflicts(&self, path: &str, copy: &Copy) -> bool {
        let changed = match (&copy.seen, self.tree.get(path)) {
            (None, None) => false,
            (Some(seen), Some(node)) => {
                (copy.read_value && seen.value_changed != node.value_changed)
                    || (copy.read_children && seen.children_changed != node.children_changed)
                    || (copy.read_perms && seen.perms != node.perms)
            }
            _ => true,
        };
        let given = copy.now.as_ref().filter(|_| copy.wrote_perms);
        changed || given.is_some_and(|node| !self.is_living(node.perms[0].life))
    }

    fn apply(&mut self, open: &Transaction) {
        for path in &open.looked_at {
            let copy = &open.copies[path];
            if !self.tree.contains_key(path) {
                continue;
            }
            match &copy.now {
                Some(node) if !copy.made => {
                    if copy.wrote_value {
                        self.set_value(path, node.value.clone());
                    }
                    if copy.wrote_perms {
                        self.set_perms(path, node.perms.clone());
                    }
                }
                _ => {
                    for path in self.post_order(path) {
                        self.drop_node(&path);
                    }
                }
            }
        }
        for path in &open.made {
            let node = open.copies[path].now.clone().expect("what was made is there");
            self.add(path, node.value, node.perms);
        }
    }

    /// A transaction that takes effect is as if all of it had been asked at its end: same answers, same tree.
    fn do_again(&self, who: u16, open: &Transaction, after: &Model) -> std::result::Result<(), String> {
        if open.log.iter().any(|(_, answer)| answer == "ENOSPC") {
            return Ok(());
        }
        let mut again = self.clone();
        again.limits = None;
        for (request, answer) in &open.log {
            let told = again.ask(who, 0, request);
            let reply = told.iter().rfind(|(to, text)| *to == who && !text.starts_with("ev "));
            let reply = reply.map_or("", |(_, text)| text);
            if reply != answer {
                return Err(format!("done at once, {request} is answered {reply}"));
            }
        }
        let (once, apart) = (again.dump(), after.dump());
        if once == apart {
            Ok(())
        } else {
            Err(format!("done at once, the tree is\n{once:?}\nnot\n{apart:?}"))
        }
    }

    // Requests.

    fn path(&self, who: u16, path: &str, special: bool) -> Result<String> {
        let absolute = match path.as_bytes().first() {
            None => return Err("EINVAL"),
            Some(b'@') if !special => return Err("EINVAL"),
            Some(b'/' | b'@') => path.to_string(),
            Some(_) => format!("/local/domain/{who}/{path}"),
        };
        let ends = absolute != "/" && absolute.ends_with('/');
        if ends || absolute.contains("//") { Err("EINVAL") } else { Ok(absolute) }
    }

    fn watch(&mut self, who: u16, input: &str, token: &str, depth: Option<usize>) -> Result<String> {
        let path = self.path(who, input, true)?;
        let own = self.watches.iter().filter(|watch| watch.domid == who);
        if own.clone().any(|watch| watch.path == path && watch.token == token) {
            return Err("EEXIST");
        }
        if self.exceeds(who, |limits| limits.watches, own.count() + 1) {
            return Err("ENOSPC");
        }
        let relative = !input.starts_with(['/', '@']);
        self.watches.push(Watch { domid: who, path, token: token.into(), depth, relative });
        Ok("OK|".into())
    }

    fn unwatch(&mut self, who: u16, path: &str, token: &str) -> Result<String> {
        let path = self.path(who, path, true)?;
        let same = |watch: &Watch| watch.domid == who && watch.path == path && watch.token == token;
        let at = self.watches.iter().position(same).ok_or("ENOENT")?;
        self.watches.remove(at);
        Ok("OK|".into())
    }

    /// Carries out a request and returns every message that comes of it, in order.
    pub fn ask(&mut self, who: u16, tx: u32, request: &Request) -> Vec<Message> {
        let answer = self.dispatch(who, tx, request);
        let text = answer.clone().unwrap_or_else(|error| error.into());
        if let Some(open) = self.domain(who).open.get_mut(&tx)
            && !matches!(request, Request::Watch(..) | Request::Unwatch(..) | Request::Start)
        {
            open.log.push((request.clone(), text.clone()));
        }
        let reply = (who, text);
        if self.bug == Bug::EventsFollowTheReply {
            self.out.insert(0, reply);
        } else {
            self.out.push(reply);
        }
        if let (Request::Watch(path, token, _), Ok(_)) = (request, answer) {
            self.out.push((who, format!("ev {path},{token}")));
        }
        std::mem::take(&mut self.out)
    }

    fn dispatch(&mut self, who: u16, tx: u32, request: &Request) -> Result<String> {
        use Request as R;
        let privileged = matches!(request, R::Introduce(_) | R::Release(_) | R::SetTarget(..));
        if privileged && who != 0 {
            return Err("EACCES");
        }
        let ignores_tx = matches!(request, R::Watch(..) | R::Unwatch(..));
        if !ignores_tx && tx != 0 && !self.domains[&who].open.contains_key(&tx) {
            return Err("ENOENT");
        }
        match request {
            R::Read(path) => self.path(who, path, false).and_then(|path| self.read(who, tx, &path)),
            R::Write(path, value) => {
                self.path(who, path, false).and_then(|path| self.write(who, tx, &path, value))
            }
            R::Mkdir(path) => self.path(who, path, false).and_then(|path| self.mkdir(who, tx, &path)),
            R::Rm(path) => self.path(who, path, false).and_then(|path| self.rm(who, tx, &path)),
            R::Directory(path) => self.path(who, path, false).and_then(|path| self.directory(who, tx, &path)),
            R::GetPerms(path) => self.path(who, path, true).and_then(|path| self.get_perms(who, tx, &path)),
            R::SetPerms(path, perms) => {
                if self.exceeds(who, |limits| limits.node_permissions, perms.len()) {
                    return Err("ENOSPC");
                }
                let perms = self.parse_perms(perms)?;
                let path = self.path(who, path, true)?;
                self.change_perms(who, tx, &path, perms)
            }
            R::Watch(path, token, depth) => self.watch(who, path, token, *depth),
            R::Unwatch(path, token) => self.unwatch(who, path, token),
            R::ResetWatches => {
                self.drop_session(who);
                Ok("OK|".into())
            }
            R::Start => self.start(who, tx),
            R::End(commit) => self.end(who, tx, *commit),
            R::Introduce(domid) => self.introduce(*domid),
            R::Release(domid) => self.release(*domid),
            R::SetTarget(domid, target) => {
                self.epoch += 1;
                if !self.is_introduced(*domid) || !self.is_introduced(*target) {
                    return Err("ENOENT");
                }
                let life = self.domains[target].life;
                self.domain(*domid).target = Some(life);
                Ok("OK|".into())
            }
        }
    }
}
