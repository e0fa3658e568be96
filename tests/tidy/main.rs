//! The order of the house, which no compiler holds: layers, circles, the size of files and functions, where `unsafe` may
//! stand, code that is taken from another crate's folder, comments that tell of the past.
//!
//! It reads the sources as rustfmt leaves them. No rule has an exception, but these files name what they forbid. Each
//! file has one idea with its tests, those in which a rule is broken on purpose among them.

mod borders;
mod comments;
mod imports;
mod layers;
mod links;
mod project;
mod sizes;
mod sources;
