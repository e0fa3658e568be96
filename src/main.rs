//! The image: a Xen PVH guest that is the host's xenstore. All of it is in [`image`].
#![no_std]
#![no_main]

extern crate alloc;

mod image;
