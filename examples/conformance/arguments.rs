//! The command line.

use std::error::Error;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;

use crate::side::Side;
use conformance::message::{GET_FEATURE, GET_QUOTA};
use conformance::peer::Peer;
use conformance::programs::{Daemon, Kind, Release};
use conformance::step::{Quota, Request, Session};

const HELP: &str = "\
Usage: conformance --root DIR|--peer FILE --standin FILE [options]

Carries out the same sessions on our server and on a reference, and compares all answers.

  --root DIR       Debian's Xen packages, unpacked
  --peer FILE      instead, a C xenstored of Xen 4.21 or later
  --standin FILE   the stand-in library that daemons are started on
  --ops N          requests to compare, at least (default 40000)
  --seed S         seed of the first random session (default 1)
  --replay FILE    only the sessions in FILE, as a failed run prints them
  --oxenstored     the reference is oxenstored, whose differences nobody has listed
  --self-test      compare the reference with itself: nothing may differ
  --self-test-fault
                   compare it with one that has another quota: this must be found
  --verbose        also tell how often each message was answered with what; of a replay, every step
  --help
";

pub enum Call {
    Compare(Arguments),
    /// What is asked for is this text.
    Tell(String),
}

pub enum Task {
    Compare,
    Replay(PathBuf),
}

/// What stands in our server's place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ours {
    Server,
    Reference,
    Faulty,
}

pub struct Arguments {
    pub task: Task,
    pub operations: usize,
    pub seed: u64,
    pub verbose: bool,
    pub reference: Daemon,
    ours: Ours,
}

impl Arguments {
    pub fn read() -> Result<Call, lexopt::Error> {
        let (mut root, mut peer, mut standin) = (None, None, None);
        let (mut operations, mut seed) = (40_000, 1);
        let mut kind = Kind::C;
        let mut verbose = false;
        let mut task = Task::Compare;
        let mut ours = Ours::Server;
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("root") => root = Some(PathBuf::from(parser.value()?)),
                Long("peer") => peer = Some(PathBuf::from(parser.value()?)),
                Long("standin") => standin = Some(PathBuf::from(parser.value()?)),
                Long("ops") => operations = parser.value()?.parse()?,
                Long("seed") => seed = parser.value()?.parse()?,
                Long("replay") => task = Task::Replay(PathBuf::from(parser.value()?)),
                Long("oxenstored") => kind = Kind::Ocaml,
                Long("verbose") => verbose = true,
                Long("self-test") => ours = Ours::Reference,
                Long("self-test-fault") => ours = Ours::Faulty,
                Long("version") => {
                    return Ok(Call::Tell(format!("conformance {}\n", env!("CARGO_PKG_VERSION"))));
                }
                Short('h') | Long("help") => return Ok(Call::Tell(HELP.to_string())),
                _ => return Err(argument.unexpected()),
            }
        }
        let standin = standin.ok_or("--standin is missing")?;
        let reference = match (root, peer) {
            (Some(root), None) => {
                Daemon::find(kind, &root, &standin, Vec::new()).map_err(|problem| problem.to_string())?
            }
            (None, Some(file)) if kind == Kind::C => new_daemon(&file, &standin)?,
            _ => return Err("either --root or --peer, and --peer is no oxenstored".into()),
        };
        Ok(Call::Compare(Arguments { task, operations, seed, verbose, reference, ours }))
    }

    /// What the reference is.
    pub fn release(&self) -> Release {
        self.reference.release
    }

    /// The reference takes our server's place.
    pub fn tests_itself(&self) -> bool {
        self.ours != Ours::Server
    }

    /// Shows every step, rather than look for a shorter session.
    pub fn traces(&self) -> bool {
        self.verbose && matches!(self.task, Task::Replay(_))
    }

    /// Starts our server, or what is to be taken for it.
    pub fn ours(&self, session: &Session) -> Result<Box<dyn Peer>, Box<dyn Error>> {
        let quotas = &session.quotas;
        Ok(match self.ours {
            Ours::Server => Box::new(crate::ours::Ours::start(quotas, session.lists_changes)?),
            Ours::Reference => self.reference.start(quotas)?,
            Ours::Faulty => {
                let fewer = Quota { name: "node-permissions".to_string(), value: 2 };
                self.reference.start(&[quotas.as_slice(), &[fewer]].concat())?
            }
        })
    }
}

/// A daemon of a new release, and of which: quotas can be asked for from 4.22 on, features from 4.21 on.
fn new_daemon(file: &Path, standin: &Path) -> Result<Daemon, String> {
    let wrong = |problem: String| format!("{}: {problem}", file.display());
    let mut daemon = Daemon::at(file, standin).map_err(|problem| wrong(problem.to_string()))?;
    let peer = daemon.start(&[]);
    let peer = peer.map_err(|problem| wrong(format!("does not run as an xenstored ({problem})")))?;
    let questions = [GET_FEATURE, GET_QUOTA].map(|kind| Request::new(kind, *b""));
    let seen = Side::new(peer).requests(0, &questions).map_err(|gone| wrong(gone.0))?;
    let answered: Vec<bool> = seen.replies(0).iter().map(|reply| reply.is_success()).collect();
    daemon.release = match answered.as_slice() {
        [true, true] => Release::Xen4_22,
        [true, false] => Release::Xen4_21,
        _ => return Err(wrong("is no xenstored of Xen 4.21 or later".to_string())),
    };
    Ok(daemon)
}
