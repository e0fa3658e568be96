//! Random sessions: their steps, and how they are printed.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::select;

use super::naive::ANY;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    Read(&'static str),
    Write(&'static str, &'static str),
    Mkdir(&'static str),
    Rm(&'static str),
    Directory(&'static str),
    GetPerms(&'static str),
    SetPerms(&'static str, Vec<(char, u16)>),
    Watch(&'static str, &'static str, Option<usize>),
    Unwatch(&'static str, &'static str),
    ResetWatches,
    Start,
    End(bool),
    Introduce(u16),
    Release(u16),
    SetTarget(u16, u16),
    /// Of a domain, or for future domains.
    SetQuota(Option<u16>, &'static str, &'static str),
    GetQuota(Option<u16>, &'static str),
    SetFeature(u16, &'static str),
    /// Of a domain, or the sender's own.
    GetFeature(Option<u16>),
}

/// As in the tables of other tests: name, blank, payload with `|` for NUL.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Request as R;
        match self {
            R::Read(path) => write!(f, "READ {path}|"),
            R::Write(path, value) => write!(f, "WRITE {path}|{value}"),
            R::Mkdir(path) => write!(f, "MKDIR {path}|"),
            R::Rm(path) => write!(f, "RM {path}|"),
            R::Directory(path) => write!(f, "DIRECTORY {path}|"),
            R::GetPerms(path) => write!(f, "GET_PERMS {path}|"),
            R::SetPerms(path, perms) => {
                write!(f, "SET_PERMS {path}|")?;
                perms.iter().try_for_each(|(letter, domid)| write!(f, "{letter}{domid}|"))
            }
            R::Watch(path, token, None) => write!(f, "WATCH {path}|{token}|"),
            R::Watch(path, token, Some(depth)) => write!(f, "WATCH {path}|{token}|{depth}|"),
            R::Unwatch(path, token) => write!(f, "UNWATCH {path}|{token}|"),
            R::ResetWatches => write!(f, "RESET_WATCHES |"),
            R::Start => write!(f, "TRANSACTION_START |"),
            R::End(commit) => write!(f, "TRANSACTION_END {}|", if *commit { 'T' } else { 'F' }),
            R::Introduce(domid) => write!(f, "INTRODUCE {domid}|1|5|"),
            R::Release(domid) => write!(f, "RELEASE {domid}|"),
            R::SetTarget(domid, target) => write!(f, "SET_TARGET {domid}|{target}|"),
            R::SetQuota(Some(domid), name, value) => write!(f, "SET_QUOTA {domid}|{name}|{value}|"),
            R::SetQuota(None, name, value) => write!(f, "SET_QUOTA {name}|{value}|"),
            R::GetQuota(Some(domid), name) => write!(f, "GET_QUOTA {domid}|{name}|"),
            R::GetQuota(None, name) => write!(f, "GET_QUOTA {name}|"),
            R::SetFeature(domid, value) => write!(f, "SET_FEATURE {domid}|{value}|"),
            R::GetFeature(Some(domid)) => write!(f, "GET_FEATURE {domid}|"),
            R::GetFeature(None) => write!(f, "GET_FEATURE "),
        }
    }
}

/// Which transaction a request names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum In {
    None,
    /// One that is open, or none.
    Open(u8),
    /// The one opened last.
    Last,
    Unknown,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// Skipped if the domain is not introduced.
    Ask(u16, In, Request),
    /// Creates the domain if it is not there.
    Boot(u16),
    /// Releases the domain and introduces it again with these features.
    Anew(u16, &'static str),
    Die(u16),
}

type Paths = &'static [&'static str];

const PATHS: &[&str] = &[
    "/a",
    "/a/b",
    "/a/c",
    "/a/b/c",
    "x",
    "x/y",
    "/local/domain/1/x",
    "/local/domain/2",
    "/a/b/c/d/e",
    "/",
    "/local/domain/2/x/y",
    "/local",
    "/f/g",
];

/// So few that clients often use the same.
const CLOSE_PATHS: &[&str] = &["/a", "/a/b", "/a/b/c"];

/// Those that only few requests accept.
const ODD_PATHS: &[&str] =
    &["@releaseDomain", "@introduceDomain", "@unknown", "/a/", "/a//b", "@releaseDomain/2"];

fn path(paths: Paths) -> impl Strategy<Value = &'static str> {
    prop_oneof![20 => select(paths), 1 => select(ODD_PATHS)]
}

fn watched(paths: Paths) -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => select(paths), 1 => select(ODD_PATHS)]
}

fn token() -> impl Strategy<Value = &'static str> {
    select(&["t", "u", "a-token-that-does-not-fit-into-its-slot"][..])
}

fn value() -> impl Strategy<Value = &'static str> {
    select(&["", "1", "2", "a value that does not fit into the slot of its node"][..])
}

fn letter() -> impl Strategy<Value = char> {
    select(&['n', 'r', 'w', 'b'][..])
}

fn perms() -> impl Strategy<Value = Vec<(char, u16)>> {
    let named = select(&[0, 1, 2, 3, 9, ANY][..]);
    ((letter(), select(&[0, 1, 2, 3, 9][..])), prop::collection::vec((letter(), named), 0..4))
        .prop_map(|(owner, others)| [vec![owner], others].concat())
}

/// The model's quotas, two of them seldom, since they stop nearly everything; and one that does not exist.
fn quota() -> impl Strategy<Value = &'static str> {
    let countable = ["nodes", "watches", "transactions", "transaction-nodes", "node-permissions"];
    prop_oneof![20 => select(countable.to_vec()), 1 => select(&["path-max", "node-size", "unknown"][..])]
}

fn limit() -> impl Strategy<Value = &'static str> {
    select(&["0", "1", "2", "3", "5", "8", "13", "2048", "junk", "-1", "4294967296"][..])
}

fn features() -> impl Strategy<Value = &'static str> {
    select(&["0", "3", "7", "11", "15", "16", "junk"][..])
}

fn bound() -> impl Strategy<Value = Option<u16>> {
    prop::option::weighted(0.8, select(&[0, 1, 2, 3, 9][..]))
}

fn guest() -> impl Strategy<Value = u16> {
    1_u16..4
}

fn request(paths: Paths) -> impl Strategy<Value = Request> {
    use Request as R;
    prop_oneof![
        6 => (path(paths), value()).prop_map(|(path, value)| R::Write(path, value)),
        4 => path(paths).prop_map(R::Read),
        3 => path(paths).prop_map(R::Mkdir),
        4 => path(paths).prop_map(R::Rm),
        4 => path(paths).prop_map(R::Directory),
        2 => path(paths).prop_map(R::GetPerms),
        4 => (watched(paths), perms()).prop_map(|(path, perms)| R::SetPerms(path, perms)),
        4 => (watched(paths), token(), prop::option::weighted(0.3, 0_usize..3))
            .prop_map(|(path, token, depth)| R::Watch(path, token, depth)),
        1 => (watched(paths), token()).prop_map(|(path, token)| R::Unwatch(path, token)),
        1 => Just(R::ResetWatches),
        5 => Just(R::Start),
        5 => any::<bool>().prop_map(|abort| R::End(!abort)),
        1 => (guest(), 0_u16..4).prop_map(|(domid, target)| R::SetTarget(domid, target)),
        2 => (bound(), quota(), limit()).prop_map(|(domid, name, value)| R::SetQuota(domid, name, value)),
        1 => (bound(), quota()).prop_map(|(domid, name)| R::GetQuota(domid, name)),
        1 => (select(&[0, 1, 2, 3, 9][..]), features()).prop_map(|(domid, bits)| R::SetFeature(domid, bits)),
        1 => bound().prop_map(R::GetFeature),
        1 => guest().prop_map(R::Release),
        1 => guest().prop_map(R::Introduce),
    ]
}

fn transaction() -> impl Strategy<Value = In> {
    prop_oneof![10 => Just(In::None), 10 => (0_u8..3).prop_map(In::Open), 1 => Just(In::Unknown)]
}

fn action(paths: Paths) -> impl Strategy<Value = Action> {
    let who = prop_oneof![2 => Just(0_u16), 3 => guest()];
    prop_oneof![
        40 => (who, transaction(), request(paths)).prop_map(|(who, tx, request)| Action::Ask(who, tx, request)),
        1 => guest().prop_map(Action::Boot),
        1 => (guest(), features()).prop_map(|(domid, features)| Action::Anew(domid, features)),
        1 => guest().prop_map(Action::Die),
    ]
}

/// One client's transaction on a few nodes, and what others do before it ends.
fn round() -> impl Strategy<Value = Vec<Action>> {
    use Request as R;
    let request = || {
        let path = || select(CLOSE_PATHS);
        prop_oneof![
            3 => (path(), value()).prop_map(|(path, value)| R::Write(path, value)),
            2 => path().prop_map(R::Read),
            3 => path().prop_map(R::Rm),
            2 => path().prop_map(R::Directory),
            2 => path().prop_map(R::GetPerms),
            2 => (path(), perms()).prop_map(|(path, perms)| R::SetPerms(path, perms)),
        ]
    };
    let others = prop::collection::vec((0_u16..3, request()), 0..3);
    (0_u16..2, prop::collection::vec(request(), 1..6), others, prop::collection::vec(request(), 0..2))
        .prop_map(|(who, first, others, then)| {
            let first = first.into_iter().map(|request| Action::Ask(who, In::Last, request));
            let others = others.into_iter().map(|(other, request)| Action::Ask(other, In::None, request));
            let then = then.into_iter().map(|request| Action::Ask(who, In::Last, request));
            let start = Action::Ask(who, In::None, R::Start);
            let end = Action::Ask(who, In::Last, R::End(true));
            std::iter::once(start).chain(first).chain(others).chain(then).chain([end]).collect()
        })
}

pub fn session() -> impl Strategy<Value = Vec<Action>> {
    let rounds = prop::collection::vec(round(), 1..6).prop_map(|rounds| rounds.concat());
    prop_oneof![
        prop::collection::vec(action(PATHS), 1..100),
        prop::collection::vec(action(CLOSE_PATHS), 1..60),
        rounds
    ]
}

/// What every session begins with: guests with homes, and a place where all may write.
pub fn opening() -> Vec<Action> {
    use Request as R;
    let by_dom0 = |request| Action::Ask(0, In::None, request);
    let mut all = vec![
        by_dom0(R::Mkdir("/a")),
        by_dom0(R::SetPerms("/a", vec![('b', 0)])),
        by_dom0(R::Watch("@releaseDomain", "t", None)),
    ];
    let homes = ["/local/domain/1", "/local/domain/2", "/local/domain/3"];
    for (domid, home) in (1..).zip(homes) {
        all.push(by_dom0(R::Mkdir(home)));
        all.push(Action::Boot(domid));
        all.push(by_dom0(R::SetPerms(home, vec![('n', domid)])));
        all.push(Action::Ask(domid, In::None, R::Watch("/", "root", None)));
    }
    all
}
