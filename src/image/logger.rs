//! The `log` crate's other end: one console line per record, with seconds since Xen booted and the level.

use core::fmt::Arguments;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::{clock, console};

struct Logger;

static LOGGER: Logger = Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let milliseconds = clock::system_time() / 1_000_000;
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        let level = record.level().as_str();
        console::line(format_args!("{seconds}.{rest:03} {level} {}", record.args()));
    }

    fn flush(&self) {}
}

/// Makes `log`'s macros print. Called once.
pub fn install(level: LevelFilter) {
    // Fails only when there is a logger already, which then is this one.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

/// Logs. The `log` crate's own macros put all of their work into each place that uses them.
macro_rules! say {
    ($level:ident, $($text:tt)+) => {
        $crate::image::logger::log(::log::Level::$level, ::core::format_args!($($text)+))
    };
}
pub(crate) use say;

/// What [`say`] does.
#[cold]
#[inline(never)]
pub fn log(level: Level, text: Arguments<'_>) {
    log::log!(level, "{text}");
}
