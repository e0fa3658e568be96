//! `top` in the terminal. One thread asks the store; this one draws and takes keys, so that a store which does
//! not answer holds up neither.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, size};
use ratatui::layout::Rect;
use ratatui::{DefaultTerminal, TerminalOptions, Viewport};

use super::domain::Domain;
use super::keys::Action;
use super::names::Names;
use super::rates::Table;
use super::sample::Sample;
use super::screen;
use super::view::View;
use crate::fetch::told_to_stop;
use store_client::Problem;
use store_client::Store;

/// How soon an answer is shown after it has come.
const TICK: Duration = Duration::from_millis(50);
/// The first table is there after so long at most.
const FIRST: Duration = Duration::from_millis(500);
/// So many domains have their names at once; of more, those that are shown.
const NAMED: usize = 64;

/// What is wanted of the store.
struct Wanted {
    /// Domains whose names are.
    names: Vec<u16>,
    /// The domain that is looked into.
    domain: Option<u16>,
}

struct Look {
    sample: Sample,
    names: BTreeMap<u16, String>,
    /// What was told of that domain.
    domain: Option<(u16, Vec<String>)>,
}

pub fn run(store: Store, delay: Duration) -> Result<(), Problem> {
    // Else the terminal would be left as it is here, without the user's screen and an echo.
    let stop = told_to_stop()?;
    let (asks, asked) = channel();
    let (looks, looked) = channel();
    thread::spawn(move || ask(store, &asked, &looks));
    let terminal_problem = |error: io::Error| Problem::new(format!("the terminal: {error}"));
    let mut terminal = open().map_err(terminal_problem)?;
    let mut live = Live::new(View::new(delay), asks, looked);
    let ended = live.show(&mut terminal, &stop);
    // Before anything is said, so that it is said on the user's own screen.
    ratatui::try_restore().map_err(terminal_problem)?;
    ended.map_err(terminal_problem)?.map_or(Ok(()), Err)
}

/// The screen where a terminal does not know its size, as those on a serial line do not.
const USUAL: (u16, u16) = (80, 24);

/// The part of the screen that is drawn on; none is all of it, however large it becomes.
fn fixed((width, height): (u16, u16)) -> Option<Rect> {
    (width == 0 || height == 0).then(|| {
        let known = |size, usual| if size == 0 { usual } else { size };
        Rect::new(0, 0, known(width, USUAL.0), known(height, USUAL.1))
    })
}

fn open() -> io::Result<DefaultTerminal> {
    let Some(area) = fixed(size()?) else { return ratatui::try_init() };
    let terminal = ratatui::try_init_with_options(TerminalOptions { viewport: Viewport::Fixed(area) })?;
    execute!(io::stdout(), EnterAlternateScreen)?;
    Ok(terminal)
}

/// Looks at the store whenever it is asked for that, until it is lost.
fn ask(mut store: Store, asked: &Receiver<Wanted>, looks: &Sender<Result<Look, Problem>>) {
    let mut names = Names::default();
    let mut domain: Option<Domain> = None;
    while let Ok(wanted) = asked.recv() {
        if domain.as_ref().map(|domain| domain.domid) != wanted.domain {
            domain = wanted.domain.map(Domain::new);
        }
        let look = Sample::take(&mut store).and_then(|sample| {
            names.keep(|domid| sample.domains.contains_key(&domid));
            let first = sample.domains.keys().take(NAMED).copied();
            let wanted = wanted.names.into_iter().filter(|domid| sample.domains.contains_key(domid));
            names.renew(&mut store)?;
            names.learn(&mut store, first.chain(wanted))?;
            let looked = domain.as_mut().map(|domain| Ok((domain.domid, domain.look(&mut store)?)));
            Ok(Look { sample, names: names.known.clone(), domain: looked.transpose()? })
        });
        let lost = look.is_err();
        if looks.send(look).is_err() || lost {
            return;
        }
    }
}

struct Live {
    view: View,
    asks: Sender<Wanted>,
    looked: Receiver<Result<Look, Problem>>,
    /// The last look, and what happened between it and the one before it.
    before: Option<Sample>,
    table: Option<Table>,
    domain: Option<(u16, Vec<String>)>,
    /// When the store was asked last, and whether it has answered.
    asked: Instant,
    answered: bool,
    /// It is to be asked again as soon as it has.
    again: bool,
}

impl Live {
    fn new(view: View, asks: Sender<Wanted>, looked: Receiver<Result<Look, Problem>>) -> Live {
        let (asked, answered) = (Instant::now(), true);
        Live { view, asks, looked, before: None, table: None, domain: None, asked, answered, again: false }
    }

    /// Until the user quits or `stop` is set; or the reason why it cannot go on.
    fn show(&mut self, terminal: &mut DefaultTerminal, stop: &AtomicBool) -> io::Result<Option<Problem>> {
        self.look();
        let mut stale = true;
        while !stop.load(Relaxed) {
            match self.looked.try_recv() {
                Ok(Ok(look)) => stale |= self.take(look),
                Ok(Err(problem)) => return Ok(Some(problem)),
                Err(TryRecvError::Disconnected) => {
                    return Ok(Some(Problem::new("nothing asks the store any more")));
                }
                Err(TryRecvError::Empty) => {}
            }
            if self.is_due() {
                self.look();
            }
            let silent = self.silent();
            if stale || silent.is_some() {
                let (view, table) = (&mut self.view, self.table.as_mut());
                // What was told of another is not of this one.
                let domain = self.domain.as_ref().filter(|(domid, _)| Some(*domid) == view.domain);
                let domain = domain.map(|(_, lines)| lines.as_slice());
                terminal.draw(|frame| screen::draw(frame, view, (table, domain), silent))?;
                stale = false;
            }
            if !event::poll(TICK)? {
                continue;
            }
            stale = true;
            let event = event::read()?;
            if let Event::Resize(width, height) = event
                && fixed((width, height)).is_none()
            {
                // One that did not know its size has been told it.
                terminal.resize(Rect::new(0, 0, width, height))?;
            }
            if let Event::Key(key) = event
                && key.kind != KeyEventKind::Release
            {
                match self.view.press(key) {
                    Action::Quit => return Ok(None),
                    Action::Look => self.again = true,
                    Action::Nothing => {}
                }
            }
        }
        Ok(None)
    }

    fn is_due(&self) -> bool {
        let delay = if self.table.is_some() { self.view.delay } else { self.view.delay.min(FIRST) };
        self.answered && (self.again || (!self.view.paused && self.asked.elapsed() >= delay))
    }

    /// Asks the store. The thread has ended only if it has said why, which is taken up next.
    fn look(&mut self) {
        let domain = self.view.domain;
        let names = if domain.is_some() { Vec::new() } else { self.view.visible().to_vec() };
        self.answered = self.asks.send(Wanted { names, domain }).is_err();
        self.again = false;
        self.asked = Instant::now();
    }

    /// Takes up a look; whether there is something new to be seen.
    fn take(&mut self, Look { sample, names, domain }: Look) -> bool {
        self.answered = true;
        self.domain = domain;
        if let Some(before) = &self.before {
            self.table = Some(Table::between(before, &sample, &names));
        }
        self.before.replace(sample).is_some()
    }

    /// For how long the store has not answered, in whole seconds, if that is long.
    fn silent(&self) -> Option<u64> {
        let seconds = self.asked.elapsed().as_secs();
        (!self.answered && seconds >= 2).then_some(seconds)
    }
}
