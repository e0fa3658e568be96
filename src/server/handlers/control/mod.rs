//! CONTROL: commands of an operator to the server. xenstore.txt, "CONTROL"; xenstore-control(1).

mod answer;
mod fault;
mod layers;
mod quota;
mod report;
mod state;
mod stats;
mod switches;
mod trace;
mod update;
mod writer;

pub use answer::{finish, refuse_for_memory, tell};
pub use state::hand_out;

use answer::{line, no_more, write_version};

use crate::platform::Platform;
use crate::server::context::{Context, Outcome, Request};
use crate::server::core::Deed;
use crate::server::scratch::Reply;
use crate::wire::{Strings, XsError, strings};

/// One control command.
struct Command<P: Platform> {
    name: &'static str,
    usage: &'static str,
    run: fn(&mut Context<'_, P>, Strings<'_>, &mut Reply) -> Result<Outcome, XsError>,
}

impl<P: Platform> Command<P> {
    const ALL: [Command<P>; 15] = [
        Command { name: "check", usage: "", run: check },
        Command { name: "fault", usage: "panic|page|loop|damage", run: fault::fault },
        Command { name: "layers", usage: "[<path>|diff [all] [<number> <from>]]", run: layers::layers },
        Command {
            name: "live-update",
            usage: "-b <size>|-d <size> <bytes>|-c <command line>|-s [-t <seconds>] [-F] [-v <version>]|-a",
            run: update::live_update,
        },
        Command { name: "log", usage: "[on|off|+<switch>|-<switch>]", run: switches::log },
        Command { name: "logfile", usage: "<file>", run: report::logfile },
        Command { name: "memreport", usage: "[<file>]", run: report::memreport },
        Command { name: "print", usage: "<string>", run: print },
        Command { name: "quota", usage: "[set <name> <val>|<domid>|max [-r]]", run: quota::quota },
        Command { name: "quota-soft", usage: "[set <name> <val>]", run: quota::soft },
        Command { name: "state", usage: "dump [<number> <from>]", run: state::state },
        Command {
            name: "stats",
            usage: "[json] [totals|<type>|<domid>|domains [<from>]|refused]",
            run: stats::stats,
        },
        Command {
            name: "trace",
            usage: "[on|off [<seconds>]|show|mark <text>|dump [<from>]|paths <hash>...|filter [<kinds>] [domain <domid>]]",
            run: trace::trace,
        },
        Command { name: "version", usage: "", run: version },
        Command { name: "help", usage: "", run: help },
    ];
}

/// `command|[args|…]`. EINVAL for an unknown command or wrong arguments.
pub fn control<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let mut args = strings(request.payload);
    let name = args.required()?;
    let command = Command::<P>::ALL
        .into_iter()
        .find(|command| command.name.as_bytes() == name)
        .ok_or(XsError::EINVAL)?;
    (command.run)(cx, args, reply)
}

fn help<P: Platform>(
    _: &mut Context<'_, P>,
    args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    no_more(args)?;
    for command in Command::<P>::ALL {
        line(reply, format_args!("{:<15} {}", command.name, command.usage))?;
    }
    finish(reply)
}

fn print<P: Platform>(
    _: &mut Context<'_, P>,
    mut args: Strings<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let text = args.required()?;
    no_more(args)?;
    log::info!("control: {}", text.escape_ascii());
    Ok(Outcome::OK)
}

/// Which program this is.
fn version<P: Platform>(
    cx: &mut Context<'_, P>,
    args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    no_more(args)?;
    reply.push(b"xenstore-stubdom ")?;
    write_version(cx.platform.build(), reply)?;
    line(reply, format_args!(""))?;
    finish(reply)
}

/// Runs the consistency check of the store and of the connections.
fn check<P: Platform>(cx: &mut Context<'_, P>, args: Strings<'_>, _: &mut Reply) -> Result<Outcome, XsError> {
    no_more(args)?;
    cx.leave(Deed::Check)
}
