//! The server's log, captured for each thread.

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
        // A thread that does not capture does not pay for one that does.
        if CATCHING.get() {
            LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
        }
    }
    fn flush(&self) {}
}

/// Starts to capture on this thread.
pub fn catch() {
    CATCHING.set(true);
    if log::set_logger(&Catcher).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// The lines logged on this thread since the last call.
pub fn take() -> Vec<String> {
    LINES.take()
}
