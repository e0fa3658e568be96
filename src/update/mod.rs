//! Live update: what an image must be to take this one's place.
//!
//! It knows files alone. Who sends one and when it takes over is the server's, how the image's.

mod elf;

pub use elf::{Bounds, Fault, NOTE_NAME, NOTE_TYPE, Program, Promise, Segment, examine};
