//! Rows again, on servers that do so little in one go that every change takes many, and every receiver hears of it in turns of
//! its own. What clients see and hear is the same.

use xenstore::config::Limits;

#[path = "burials.rs"]
#[expect(clippy::duplicate_mod, reason = "its rows hold with these limits, too")]
mod burials;
#[path = "causes.rs"]
#[expect(clippy::duplicate_mod, reason = "as above")]
mod causes;
#[path = "checks.rs"]
#[expect(clippy::duplicate_mod, reason = "as above")]
mod checks;
#[path = "sessions.rs"]
#[expect(clippy::duplicate_mod, reason = "as above")]
mod sessions;
#[path = "slices.rs"]
#[expect(clippy::duplicate_mod, reason = "as above")]
mod slices;

/// As little in one go as goes on at all.
pub const LIMITS: Limits = Limits { attempts: 0, events: 0, copies: 1, watches: 65, told: 0 };

/// What others look at most while a change waits for a large one: as [`super::LOOKS`], but there are more goes.
const LOOKS: usize = 600;
