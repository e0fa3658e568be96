//! What the server logs, caught per thread.

use std::cell::RefCell;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Catcher;

impl log::Log for Catcher {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
    }
    fn flush(&self) {}
}

/// Starts to catch; a second call does nothing.
pub fn catch() {
    if log::set_logger(&Catcher).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// The lines logged on this thread since this was last asked.
pub fn take() -> Vec<String> {
    LINES.take()
}
