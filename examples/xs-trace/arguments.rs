//! The command line: every task, option and value. Man pages and shell completions are made of these definitions, so this
//! file uses nothing of the program.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use store_client::Place;
use xenstore::trace::Kind;
use xenstore::wire::{MessageType, XsError};

/// Looks into a running xenstore-stubdom, and at what its flight recorder has taken down.
///
/// A FILE or OUT of - is the standard input or output. NO_COLOR switches colors off.
#[derive(Parser)]
#[command(
    name = "xs-trace",
    version,
    max_term_width = 100,
    arg_required_else_help = false,
    disable_help_subcommand = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub task: Task,
}

#[derive(Subcommand)]
pub enum Task {
    Dump(DumpOptions),
    Show(ShowOptions),
    Follow(FollowOptions),
    Report(ReportOptions),
    Compare(CompareOptions),
    Replay(ReplayOptions),
    Export(ExportOptions),
    Top(TopOptions),
    Stats(StatsOptions),
    Metrics(MetricsOptions),
    Health(HealthOptions),
}

/// Saves the records of a running store, with the paths and names that they stand for
#[derive(Args)]
pub struct DumpOptions {
    #[command(flatten)]
    pub store: Place,
    /// Has the store record nothing meanwhile, so that nothing is overwritten and no name forgotten, however much it has to
    /// do. If this program is killed, the store records again after a minute
    #[arg(long)]
    pub hold: bool,
    /// Takes what an image under `xl create` has put on its console: the console daemon's log, or what `xl console` has shown
    #[arg(long, value_name = "LOG", conflicts_with_all = ["place", "hold"])]
    pub console: Option<PathBuf>,
    /// Where xl has its logs, which have the names of domains that are gone
    #[arg(long, value_name = "FOLDER", default_value = "/var/log/xen")]
    pub xl_logs: PathBuf,
    /// Where to write them; - is the standard output
    pub file: PathBuf,
}

/// Prints a line for each record: seconds since the server's start, domain, what happened, path
#[derive(Args)]
pub struct ShowOptions {
    /// Prints each record as a JSON object in a line of its own
    #[arg(long)]
    pub json: bool,
    /// A dump; - is the standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub filter: Filter,
}

/// Prints a line for each record of a running store as it is written
///
/// But for CONTROL, which this asks with, and the kinds woke-up and notified; --type and --kind have them, too.
#[derive(Args)]
pub struct FollowOptions {
    #[command(flatten)]
    pub store: Place,
    /// Prints each record as a JSON object in a line of its own
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub filter: Filter,
}

/// Sums up a dump: who asked for what, how long it took, what went wrong
#[derive(Args)]
#[command(group = ArgGroup::new("form").args(["html", "json"]))]
pub struct ReportOptions {
    /// Writes a page with drawings, for a browser
    #[arg(long, value_name = "OUT")]
    pub html: Option<PathBuf>,
    /// Prints the figures and tables as JSON
    #[arg(long)]
    pub json: bool,
    /// Rows of the longer tables
    #[arg(long, value_name = "N", default_value = "10", value_parser = rows)]
    pub top: usize,
    /// A dump; - is the standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub filter: Filter,
}

/// Tells what has become slower, more frequent or refused from one dump to another
///
/// What has changed for the better is told, too: what has grown most comes first, and what is gone last.
#[derive(Args)]
pub struct CompareOptions {
    /// Leaves out what has changed by less
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = number(0..=10_000))]
    pub percent: u32,
    /// Prints the tables as JSON
    #[arg(long)]
    pub json: bool,
    /// A dump, or what report --json has printed, of which the filters count
    pub old: PathBuf,
    /// Another such file, which is compared with it
    pub new: PathBuf,
}

/// Asks a server on a unix socket for what the requests of a dump have asked
///
/// One after the other, as fast as it answers. Values and tokens, which records do not have, are made up in their size; nodes that were there before are made first.
/// All clients of a socket are dom0, so nobody is refused access.
#[derive(Args)]
pub struct ReplayOptions {
    /// The socket of a unix_server
    #[arg(long, value_name = "SOCKET")]
    pub into: PathBuf,
    /// Seconds within which it has to answer, 0.1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = store_client::seconds)]
    pub timeout: Duration,
    /// Prints what has come of it as JSON
    #[arg(long)]
    pub json: bool,
    /// A dump; - is the standard input
    pub file: PathBuf,
}

/// Writes Chrome's trace-event JSON, which ui.perfetto.dev opens
#[derive(Args)]
pub struct ExportOptions {
    /// The format: the only one that there is
    #[arg(long, required = true)]
    pub perfetto: bool,
    /// Where to write it
    #[arg(short, long = "output", value_name = "OUT", default_value = "-")]
    pub out: PathBuf,
    /// A dump; - is the standard input
    pub file: PathBuf,
}

/// Shows what each domain asks of the store, as it goes on; h tells the keys and the columns
#[derive(Args)]
pub struct TopOptions {
    #[command(flatten)]
    pub store: Place,
    /// Seconds between two looks, 0.1 to 3600
    #[arg(short, long, value_name = "SECONDS", default_value = "2", value_parser = store_client::seconds)]
    pub delay: Duration,
    /// Prints plain text instead
    #[arg(short, long)]
    pub batch: bool,
    /// Prints so many tables, then ends
    #[arg(short = 'n', value_name = "COUNT", requires = "batch", value_parser = rows)]
    pub tables: Option<usize>,
    /// Is -b -n 1
    #[arg(long, conflicts_with = "tables")]
    pub once: bool,
    /// Prints each table as a JSON object in a line of its own, with --batch or --once
    #[arg(long)]
    pub json: bool,
}

/// Prints what the store has done since its start and what it holds: in all, by type of request, by domain, and what was
/// refused
#[derive(Args)]
pub struct StatsOptions {
    #[command(flatten)]
    pub store: Place,
    /// Prints them as JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the store's sums as metrics for Prometheus: once, as OpenMetrics, unless an option says otherwise
#[derive(Args)]
pub struct MetricsOptions {
    #[command(flatten)]
    pub store: Place,
    /// Replaces a file, for node_exporter's textfile collector, which reads those that end in .prom
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub textfile: Option<PathBuf>,
    /// Answers scrapes of /metrics at this address, such as 127.0.0.1:9786, until it is ended
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,
}

/// Says in one line how the store is, as monitoring plugins do: status 0 if it is well, 1 for a warning, 2 if it is critical,
/// 3 if that is not known
#[derive(Args)]
pub struct HealthOptions {
    #[command(flatten)]
    pub store: Place,
    /// Has the store look through all that it holds, whether that is consistent: the more there is the more it costs
    #[arg(long)]
    pub check: bool,
    /// Percent of any kind of the store's memory that are a warning
    #[arg(long, value_name = "PERCENT", default_value = "80", value_parser = number(1..=100))]
    pub warning: u32,
    /// Percent that are critical
    #[arg(long, value_name = "PERCENT", default_value = "95", value_parser = number(1..=100))]
    pub critical: u32,
}

/// Which records count. Of the options for one thing, each can be given several times, one must fit; of those that begin
/// with --not, none may.
#[derive(Args, Default)]
#[command(next_help_heading = "Filters")]
pub struct Filter {
    /// Only records of a domain, by number or name
    #[arg(long = "domain", value_name = "DOMAIN")]
    pub domains: Vec<String>,
    /// Only those of requests of a type, such as READ
    #[arg(long = "type", value_name = "TYPE", value_parser = message_type)]
    pub types: Vec<MessageType>,
    /// Only those of a kind, such as ended or tx-conflict
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    pub kinds: Vec<Kind>,
    /// Only those of requests that failed so, such as EACCES
    #[arg(long = "errno", value_name = "ERROR", value_parser = error)]
    pub errors: Vec<XsError>,
    /// Only those that name a path that begins so
    #[arg(long = "path", value_name = "PREFIX")]
    pub paths: Vec<String>,
    /// None of a domain
    #[arg(long = "not-domain", value_name = "DOMAIN")]
    pub not_domains: Vec<String>,
    /// None of requests of a type
    #[arg(long = "not-type", value_name = "TYPE", value_parser = message_type)]
    pub not_types: Vec<MessageType>,
    /// None of a kind
    #[arg(long = "not-kind", value_name = "KIND", value_parser = kind)]
    pub not_kinds: Vec<Kind>,
    /// None of requests that failed so
    #[arg(long = "not-errno", value_name = "ERROR", value_parser = error)]
    pub not_errors: Vec<XsError>,
    /// None that name a path that begins so
    #[arg(long = "not-path", value_name = "PREFIX")]
    pub not_paths: Vec<String>,
    /// Only those from then on, in seconds since the server's start
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub from: Option<f64>,
    /// Only those until then
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub to: Option<f64>,
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds: &f64| !seconds.is_nan())
        .ok_or_else(|| "wanted are seconds, like 1.5".to_string())
}

/// A whole number within these bounds.
fn number(bounds: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("wanted is a whole number from {} to {}", bounds.start(), bounds.end()))
    }
}

/// Where to listen. A name stands for several addresses, so it is none.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "wanted is an address by its numbers, and a port, such as 127.0.0.1:9786".to_string())
}

/// Rows of a table, or tables.
fn rows(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|rows| *rows > 0).ok_or_else(|| "wanted is a number above 0".to_string())
}

/// The one with this name, in any case; else the names that could have been meant.
fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one).eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        format!("wanted is one of {}", names.join(", "))
    })
}

fn message_type(text: &str) -> Result<MessageType, String> {
    named(MessageType::ALL, MessageType::name, text)
}

fn kind(text: &str) -> Result<Kind, String> {
    named(Kind::ALL, Kind::name, text)
}

fn error(text: &str) -> Result<XsError, String> {
    named(&XsError::ALL, XsError::name, text)
}
