//! `top` in the terminal. One thread asks the store; this one draws and takes keys, so that a store which does
//! not answer holds up neither.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, size};
use ratatui::layout::Rect;
use ratatui::{DefaultTerminal, TerminalOptions, Viewport};

use super::keys::{Action, View};
use super::names::Names;
use super::rates::Table;
use super::sample::Sample;
use super::screen;
use store_client::Problem;
use store_client::Store;

/// How soon an answer is shown after it has come.
const TICK: Duration = Duration::from_millis(50);
/// The first table is there after so long at most.
const FIRST: Duration = Duration::from_millis(500);
/// So many domains have their names at once; of more, those that are shown.
const NAMED: usize = 64;

type Look = (Sample, BTreeMap<u16, String>);

pub fn run(store: Store, delay: Duration) -> Result<(), Problem> {
    let (asks, asked) = channel();
    let (looks, looked) = channel();
    thread::spawn(move || ask(store, &asked, &looks));
    let terminal_problem = |error: io::Error| Problem::new(format!("the terminal: {error}"));
    let mut terminal = open().map_err(terminal_problem)?;
    let mut live = Live::new(View::new(delay), asks, looked);
    let ended = live.show(&mut terminal);
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

/// Looks at the store whenever it is asked for that, with the domains whose names are wanted, until it is lost.
fn ask(mut store: Store, asked: &Receiver<Vec<u16>>, looks: &Sender<Result<Look, Problem>>) {
    let mut names = Names::default();
    while let Ok(wanted) = asked.recv() {
        let look = Sample::take(&mut store).and_then(|sample| {
            names.keep(|domid| sample.domains.contains_key(&domid));
            let first = sample.domains.keys().take(NAMED).copied();
            let wanted = wanted.into_iter().filter(|domid| sample.domains.contains_key(domid));
            names.learn(&mut store, first.chain(wanted))?;
            Ok((sample, names.known.clone()))
        });
        let lost = look.is_err();
        if looks.send(look).is_err() || lost {
            return;
        }
    }
}

struct Live {
    view: View,
    asks: Sender<Vec<u16>>,
    looked: Receiver<Result<Look, Problem>>,
    /// The last look, and what happened between it and the one before it.
    before: Option<Sample>,
    table: Option<Table>,
    /// When the store was asked last, and whether it has answered.
    asked: Instant,
    answered: bool,
}

impl Live {
    fn new(view: View, asks: Sender<Vec<u16>>, looked: Receiver<Result<Look, Problem>>) -> Live {
        Live { view, asks, looked, before: None, table: None, asked: Instant::now(), answered: true }
    }

    /// Until the user quits; or the reason why it cannot go on.
    fn show(&mut self, terminal: &mut DefaultTerminal) -> io::Result<Option<Problem>> {
        self.look();
        let mut stale = true;
        loop {
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
                terminal.draw(|frame| screen::draw(frame, view, table, silent))?;
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
                    Action::Look if self.answered => self.look(),
                    _ => {}
                }
            }
        }
    }

    fn is_due(&self) -> bool {
        let delay = if self.table.is_some() { self.view.delay } else { self.view.delay.min(FIRST) };
        self.answered && !self.view.paused && self.asked.elapsed() >= delay
    }

    /// Asks the store. The thread has ended only if it has said why, which is taken up next.
    fn look(&mut self) {
        let shown = self.table.iter().flat_map(|table| &table.rows);
        let shown = shown.skip(self.view.offset).take(self.view.height).map(|row| row.domid);
        self.answered = self.asks.send(shown.collect()).is_err();
        self.asked = Instant::now();
    }

    /// Takes up a look; whether there is something new to be seen.
    fn take(&mut self, (sample, names): Look) -> bool {
        self.answered = true;
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
