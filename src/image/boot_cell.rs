//! Storage that boot code writes and the processor reads: descriptor and page tables.

use core::cell::UnsafeCell;

/// A static that is written through [`BootCell::get`] at boot only.
#[repr(transparent)]
pub struct BootCell<T>(UnsafeCell<T>);

// SAFETY: there is one vCPU, and writing takes `unsafe` at the place that knows who else looks.
unsafe impl<T> Sync for BootCell<T> {}

impl<T> BootCell<T> {
    pub const fn new(value: T) -> Self {
        BootCell(UnsafeCell::new(value))
    }

    pub const fn get(&self) -> *mut T {
        self.0.get()
    }
}
