//! The Xen Security Advisories on xenstore servers as tests, named after them: each attack through ring
//! bytes, and what must hold afterwards.
//!
//! D is domain 0, U and V are the guests 5 and 6 of [`scene::scene`]. Quota errors are ENOSPC and limits are
//! what a guest may reach, not what it must stay below.

mod scene;
mod shifty;

mod accounting;
mod attacks;
mod commits;
mod creation;
mod events;
mod lives;
mod neighbours;
mod permissions;
mod rings;
mod teardown;
mod unread;
