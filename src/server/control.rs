//! CONTROL: what an operator asks of the server. xenstore.txt, "CONTROL"; xenstore-control(1).

mod quota;
mod report;
mod stats;
mod switches;
mod trace;

use core::fmt::{Arguments, Write};
use core::str::FromStr;

use super::Server;
use super::operations::{Outcome, Request};
use super::scratch::Reply;
use crate::platform::Platform;
use crate::wire::{Strings, XsError, strings};

/// One control command.
struct Command<P: Platform> {
    name: &'static str,
    usage: &'static str,
    run: fn(&mut Server<P>, &P, Strings<'_>, &mut Reply) -> Result<Outcome, XsError>,
}

impl<P: Platform> Command<P> {
    const ALL: [Command<P>; 10] = [
        Command { name: "check", usage: "", run: Server::control_check },
        Command { name: "log", usage: "[on|off|+<switch>|-<switch>]", run: Server::control_log },
        Command { name: "logfile", usage: "<file>", run: Server::control_logfile },
        Command { name: "memreport", usage: "[<file>]", run: Server::control_memreport },
        Command { name: "print", usage: "<string>", run: Server::control_print },
        Command { name: "quota", usage: "[set <name> <val>|<domid>|max [-r]]", run: Server::control_quota },
        Command { name: "quota-soft", usage: "[set <name> <val>]", run: Server::control_quota_soft },
        Command {
            name: "stats",
            usage: "[json] [totals|<type>|<domid>|domains [<from>]]",
            run: Server::control_stats,
        },
        Command {
            name: "trace",
            usage: "[on|off|show|mark <text>|dump [<from>]|paths <hash>...|filter [<kinds>] [domain <domid>]]",
            run: Server::control_trace,
        },
        Command { name: "help", usage: "", run: Server::control_help },
    ];
}

impl<P: Platform> Server<P> {
    /// `command|[args|…]`. EINVAL for an unknown command or wrong arguments.
    pub(super) fn control(
        &mut self,
        platform: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut args = strings(request.payload);
        let name = args.required()?;
        let command = Command::<P>::ALL
            .into_iter()
            .find(|command| command.name.as_bytes() == name)
            .ok_or(XsError::EINVAL)?;
        (command.run)(self, platform, args, reply)
    }

    fn control_help(&mut self, _: &P, args: Strings<'_>, reply: &mut Reply) -> Result<Outcome, XsError> {
        no_more(args)?;
        for command in Command::<P>::ALL {
            line(reply, format_args!("{:<15} {}", command.name, command.usage))?;
        }
        finish(reply)
    }

    fn control_print(&mut self, _: &P, mut args: Strings<'_>, _: &mut Reply) -> Result<Outcome, XsError> {
        let text = args.required()?;
        no_more(args)?;
        log::info!("control: {}", text.escape_ascii());
        Ok(Outcome::Ok)
    }

    /// Verifies the whole store. `OK`, or one line for each thing that is wrong, on the console too.
    fn control_check(&mut self, _: &P, args: Strings<'_>, reply: &mut Reply) -> Result<Outcome, XsError> {
        no_more(args)?;
        let mut wrong = 0;
        self.check(&mut |finding| {
            wrong += 1;
            tell(reply, finding);
        });
        if wrong == 0 { Ok(Outcome::Ok) } else { finish(reply) }
    }
}

/// Tells what the check found. Apart from the check, which would have a copy of it for each finding.
#[cold]
#[inline(never)]
fn tell(reply: &mut Reply, finding: Arguments<'_>) {
    log::error!("check: {finding}");
    // What does not fit the answer is on the console.
    let start = reply.len();
    if writeln!(reply, "{finding}").is_err() || reply.is_full() {
        reply.truncate(start);
    }
}

/// Appends a line to a text.
fn line(reply: &mut Reply, text: Arguments<'_>) -> Result<(), XsError> {
    writeln!(reply, "{text}").map_err(|_| XsError::E2BIG)
}

/// Ends a text that is the answer.
fn finish(reply: &mut Reply) -> Result<Outcome, XsError> {
    reply.push(b"\0")?;
    Ok(Outcome::Data)
}

/// A number or the like, else EINVAL.
fn parse<T: FromStr>(text: &[u8]) -> Result<T, XsError> {
    core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(XsError::EINVAL)
}

/// EINVAL if arguments are left.
fn no_more(args: Strings<'_>) -> Result<(), XsError> {
    if args.remaining() == 0 { Ok(()) } else { Err(XsError::EINVAL) }
}
