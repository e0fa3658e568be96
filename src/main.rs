//! The image: a Xen PVH guest that is the host's xenstore. All of it is in [`image`] and [`stubdom`].
#![no_std]
#![no_main]

extern crate alloc;

mod image;
// All unsafe code is below src/image/, this part of it too. `image` does not declare it, since xs-guest is not made of
// it.
#[path = "image/stubdom/mod.rs"]
mod stubdom;

use stubdom::start;
