//! Domains that come and go in random sessions.

use crate::generate::{GUESTS, Generator, VISITORS, one};
use conformance::message::{
    INTRODUCE, IS_DOMAIN_INTRODUCED, MKDIR, RELEASE, RESUME, SET_PERMS, SET_TARGET, WATCH, WRITE,
};
use conformance::step::{Life, Step};

/// One step in the life of a domain. The order is random, so most of it happens to domains that are not
/// in the right state for it.
pub fn step(from: &mut Generator) -> Step {
    let visitor = VISITORS[from.rng.usize(..VISITORS.len())];
    let text = |text: String| text.into_bytes();
    match from.rng.u32(..20) {
        0..3 => {
            from.visit(visitor);
            one(visitor, WRITE, b"a/b\0here".to_vec())
        }
        3 | 4 if from.fading.contains(&visitor) => Step::Virq,
        3 => one(0, INTRODUCE, text(format!("{visitor}\x001\x002\0"))),
        4 => {
            // A port that cannot be bound, or too few arguments.
            let rest = ["1\x00777\0", "1\0", "1\x000\0"][from.rng.usize(..3)];
            one(0, INTRODUCE, text(format!("{visitor}\0{rest}")))
        }
        5..7 => one(0, RELEASE, text(format!("{visitor}\0"))),
        7 => one(0, RESUME, text(format!("{visitor}\0"))),
        8..10 => Step::Domain(visitor, Life::ShutDown),
        10 => Step::Quietly(visitor, Life::Resumed),
        11 => {
            from.fading.insert(visitor);
            Step::Domain(visitor, Life::Dying)
        }
        12..14 => {
            from.fading.insert(visitor);
            Step::Domain(visitor, Life::Dead)
        }
        14 => Step::Domain(visitor, Life::Gone),
        15 => one(0, IS_DOMAIN_INTRODUCED, text(format!("{visitor}\0"))),
        16 => {
            let event = if from.rng.bool() { from.event() } else { b"@introduceDomain".to_vec() };
            let depth = from.depth();
            one(from.client(), WATCH, [event, b"\0d\0".to_vec(), depth].concat())
        }
        17 => {
            let path = from.path(0);
            one(0, SET_PERMS, [path, text(format!("\0n{visitor}\0r{}\0", from.rng.u16(..6)))].concat())
        }
        18 => {
            let guest = GUESTS[from.rng.usize(..GUESTS.len())];
            if from.has_open(guest) {
                // Its rights must not change between a transaction and its repetition.
                return Step::Virq;
            }
            one(0, SET_TARGET, text(format!("{guest}\0{}\0", from.rng.u16(1..4))))
        }
        _ => {
            let path = from.path(visitor);
            one(visitor, MKDIR, [path, b"\0".to_vec()].concat())
        }
    }
}
