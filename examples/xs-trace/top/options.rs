//! The command line of `top`.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use super::parse_delay;

pub const HELP: &str = "\
Usage: xs-trace top [--store PLACE] [--delay SECONDS] [--batch [-n COUNT] | --once]

Shows what each domain asks of the store, as it goes on. h tells the keys and the columns.
-d, --delay SECONDS  between two looks, 0.1 to 3600 (default 2)
-b, --batch          prints plain text instead
-n COUNT             prints so many tables, then ends
    --once           is -b -n 1
    --store PLACE    the store's socket or device (default as for dump)
";

pub struct Options {
    pub store: Option<PathBuf>,
    /// Between two looks at the store.
    pub delay: Duration,
    /// Plain text instead of the screen.
    pub batch: bool,
    /// Tables to print; none is without end.
    pub tables: Option<u64>,
}

impl Options {
    /// What follows the word `top`; none if only help was wanted.
    ///
    /// # Errors
    /// For what is no option of it, or has a value that is not possible.
    pub fn parse(mut args: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
        let mut options = Options { store: None, delay: Duration::from_secs(2), batch: false, tables: None };
        while let Some(arg) = args.next()? {
            match arg {
                Long("help") | Short('h') => return Ok(None),
                Long("store") => options.store = Some(PathBuf::from(args.value()?)),
                Long("delay") | Short('d') => options.delay = parse_delay(&args.value()?.string()?)?,
                Long("batch") | Short('b') => options.batch = true,
                Long("once") => (options.batch, options.tables) = (true, Some(1)),
                Short('n') => {
                    let text = args.value()?.string()?;
                    let count = text.parse().ok().filter(|count| *count > 0);
                    let why = || format!("-n {text}: a number of tables, 1 or more, is wanted");
                    options.tables = Some(count.ok_or_else(why)?);
                }
                other => return Err(other.unexpected()),
            }
        }
        if options.tables.is_some() && !options.batch {
            return Err("-n is for --batch".into());
        }
        Ok(Some(options))
    }
}
