//! The image: a Xen PVH guest that is the host's xenstore. All of it is in [`image`] and [`stubdom`].
#![no_std]
#![no_main]

extern crate alloc;

mod image;
#[path = "image/stubdom/mod.rs"]
mod stubdom;

use stubdom::start;
