//! What the server logs, caught per thread.

use std::cell::{Cell, RefCell};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Catcher;

impl log::Log for Catcher {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        CATCHING.get()
    }
    fn log(&self, record: &log::Record<'_>) {
        // A thread that does not catch does not pay for what others want to see.
        if CATCHING.get() {
            LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
        }
    }
    fn flush(&self) {}
}

/// Starts to catch on this thread.
pub fn catch() {
    CATCHING.set(true);
    if log::set_logger(&Catcher).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// The lines logged on this thread since this was last asked.
pub fn take() -> Vec<String> {
    LINES.take()
}
