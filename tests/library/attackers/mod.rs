//! Attackers of all kinds at once, 1 to 64 of them, beside a guest with a recorded life: neither it nor dom0 is refused
//! anything, misses an event, has to do a transaction again, or waits long.
//!
//! `ATTACKERS='MIB NUMBER ROLE SEED, …'` in the environment has cases of your own tried instead of the tables', and tells
//! what came of each.

mod crowd;
mod scene;

use std::fmt;
use std::str::FromStr;

use crowd::Seat;
use scene::Scene;
use xenstore::roles::Role;

/// Looks of the server in which attackers get what they can before an honest guest comes; more for those who do many
/// things in turn.
const HEAD_STARTS: [usize; 2] = [800, 3000];

/// Pieces of work for each attacker that somebody honest waits for at most: two turns, and the notifications after them.
const MOST: u64 = 100;

/// So many attackers in one role, beside a store of so many MiB.
struct Case {
    memory: usize,
    attackers: usize,
    role: String,
    seed: u64,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { memory, attackers, role, seed } = self;
        write!(f, "ATTACKERS='{memory} {attackers} {role} {seed}'")
    }
}

impl FromStr for Case {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Case, Self::Err> {
        let mut words = text.split(' ');
        let mut word = || words.next().unwrap_or_default();
        Ok(Case {
            memory: word().parse()?,
            attackers: word().parse()?,
            role: word().to_string(),
            seed: word().parse()?,
        })
    }
}

/// What was lost, or the longest wait.
fn outcome(case: &Case) -> Result<u64, String> {
    let role = Role::<Seat>::named(&case.role).ok_or("there is no such role")?;
    let mut scene = Scene::new(case.memory, case.seed);
    for _ in 0..case.attackers {
        scene.add(role);
    }
    scene.wait(HEAD_STARTS[usize::from(case.role == "mix")]);
    scene.begin();
    // Beside so many others that keep all copies they can get, this is what a guest can have of the smallest store.
    let keep_copies = matches!(
        case.role.as_str(),
        "open-reads" | "many-lists" | "commits" | "prepared" | "deep-removal" | "mix"
    );
    let nodes = if keep_copies { (500 / (case.attackers + 1)).min(90) } else { 90 };
    scene.honest_life(nodes)?;
    scene.check();
    if scene.again > 0 {
        return Err(format!("{} transactions had to be done again", scene.again));
    }
    let mut quiet = Scene::new(8, 0);
    quiet.begin();
    quiet.honest_life(nodes)?;
    for (domid, expected) in &quiet.heard {
        let heard = scene.heard.get(domid).map(Vec::as_slice).unwrap_or_default();
        if heard != expected {
            let missing = expected.iter().filter(|event| !heard.contains(event)).count();
            let (heard, expected) = (heard.len(), expected.len());
            return Err(format!("domain {domid} hears {heard} events of {expected}, {missing} never"));
        }
    }
    Ok(scene.longest)
}

/// In all cases nobody honest loses anything, or waits for more work than [`MOST`] for each attacker.
#[track_caller]
fn nobody_suffers(cases: impl IntoIterator<Item = Case>) {
    let mut suffered = Vec::new();
    for case in cases {
        match outcome(&case) {
            Ok(longest) if longest <= MOST * case.attackers as u64 => {}
            Ok(longest) => suffered.push(format!("{case}: a wait for {longest} pieces of work")),
            Err(problem) => suffered.push(format!("{case}: {problem}")),
        }
    }
    assert!(suffered.is_empty(), "{suffered:#?}");
}

fn case(memory: usize, attackers: usize, role: &str, seed: u64) -> Case {
    Case { memory, attackers, role: role.to_string(), seed }
}

fn attacks() -> impl Iterator<Item = &'static str> {
    Role::<Seat>::ON_RINGS.iter().chain(Role::<Seat>::BY_REQUESTS).map(|role| role.name)
}

#[test]
fn four_of_one_kind_in_the_smallest_store() {
    nobody_suffers(attacks().map(|role| case(8, 4, role, 1)));
}

#[test]
fn who_reads_hears_of_all_beside_many_that_do_not() {
    let many = [(8, "unread"), (16, "unread"), (16, "crowd"), (48, "deaths"), (64, "deaths")];
    nobody_suffers(many.map(|(attackers, role)| case(8, attackers, role, 1)));
}

#[test]
fn guests_that_come_after_all_others_have_taken_what_they_can() {
    let hoards = ["open-reads", "many-lists"];
    nobody_suffers(hoards.map(|role| case(8, 64, role, 1)));
}

#[test]
fn all_attacks_mixed() {
    let cases = [(8, 64, 1), (64, 32, 2), (512, 4, 3)];
    nobody_suffers(cases.map(|(memory, attackers, seed)| case(memory, attackers, "mix", seed)));
}

#[test]
fn cases_of_your_own() {
    let cases = std::env::var("ATTACKERS").unwrap_or_else(|_| "64 1 mix 0".to_string());
    for text in cases.split(',') {
        let case: Case = text.trim().parse().expect("it has the form MIB NUMBER ROLE SEED");
        println!("{case}: {:?}", outcome(&case));
    }
}
