//! The keys and their effects.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::columns::{Column, Sorting};
use crate::arguments::delay;

pub const HELP: [(&str, &str); 9] = [
    ("q", "quit"),
    ("h ?", "this help; any key leaves it"),
    ("P L W M N", "sort by requests, latency, watches, memory, domid"),
    ("< >", "sort by the column to the left, to the right"),
    ("R", "the other way round"),
    ("d s", "change the delay"),
    ("space", "pause, and go on"),
    ("arrows PgUp PgDn Home End", "scroll"),
    ("enter", "look at once"),
];

/// What the user has chosen.
pub struct View {
    pub sorting: Sorting,
    pub delay: Duration,
    pub paused: bool,
    pub help: bool,
    /// The delay that is being typed.
    pub prompt: Option<String>,
    /// Shown until the next key.
    pub message: String,
    /// The first row shown, and how many there are and fit.
    pub offset: usize,
    pub rows: usize,
    pub height: usize,
}

/// What else is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Nothing,
    Look,
    Quit,
}

impl View {
    pub fn new(delay: Duration) -> View {
        View {
            sorting: Sorting::by(Column::Requests),
            delay,
            paused: false,
            help: false,
            prompt: None,
            message: String::new(),
            offset: 0,
            rows: 0,
            height: 0,
        }
    }

    pub fn press(&mut self, key: KeyEvent) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Action::Quit } else { Action::Nothing };
        }
        self.message.clear();
        if let Some(typed) = self.prompt.take() {
            return self.type_delay(typed, key.code);
        }
        if std::mem::take(&mut self.help) {
            return Action::Nothing;
        }
        match key.code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('h' | '?') => self.help = true,
            KeyCode::Char('r' | 'P' | 'p') => self.sorting.column = Column::Requests,
            KeyCode::Char('l' | 'L') => self.sorting.column = Column::Latency,
            KeyCode::Char('w' | 'W') => self.sorting.column = Column::Watches,
            KeyCode::Char('m' | 'M') => self.sorting.column = Column::Memory,
            KeyCode::Char('n' | 'N') => self.sorting.column = Column::Domid,
            KeyCode::Char('<') => self.sorting = self.sorting.moved(false),
            KeyCode::Char('>') => self.sorting = self.sorting.moved(true),
            KeyCode::Char('R') => self.sorting.reverse = !self.sorting.reverse,
            KeyCode::Char('d' | 's') => self.prompt = Some(String::new()),
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Enter => return Action::Look,
            KeyCode::Up => self.scroll(-1),
            KeyCode::Down => self.scroll(1),
            KeyCode::PageUp => self.scroll(-(self.height as isize)),
            KeyCode::PageDown => self.scroll(self.height as isize),
            KeyCode::Home => self.offset = 0,
            KeyCode::End => self.scroll(self.rows as isize),
            KeyCode::Char(other) => self.message = format!("no key '{other}'; h tells which there are"),
            _ => {}
        }
        Action::Nothing
    }

    fn type_delay(&mut self, mut typed: String, code: KeyCode) -> Action {
        match code {
            KeyCode::Esc => return Action::Nothing,
            KeyCode::Enter if typed.is_empty() => return Action::Nothing,
            KeyCode::Enter => {
                match delay(&typed) {
                    Ok(delay) => self.delay = delay,
                    Err(why) => self.message = format!("delay '{typed}': {why}"),
                }
                return Action::Nothing;
            }
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(letter) if typed.len() < 16 => typed.push(letter),
            _ => {}
        }
        self.prompt = Some(typed);
        Action::Nothing
    }

    fn scroll(&mut self, by: isize) {
        self.offset = self.offset.saturating_add_signed(by);
        self.fit(self.rows, self.height);
    }

    /// Takes up how many rows there are and fit, so that a page is full as long as there are rows for it.
    pub fn fit(&mut self, rows: usize, height: usize) {
        (self.rows, self.height) = (rows, height);
        self.offset = self.offset.min(rows.saturating_sub(height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(view: &mut View, keys: &str) -> Action {
        keys.chars().fold(Action::Nothing, |_, letter| {
            let code = if letter == '\n' { KeyCode::Enter } else { KeyCode::Char(letter) };
            view.press(KeyEvent::new(code, KeyModifiers::NONE))
        })
    }

    #[test]
    fn keys_sort() {
        let mut view = View::new(Duration::from_secs(2));
        for (keys, column, reverse) in [
            ("M", Column::Memory, false),
            ("N", Column::Domid, false),
            (">", Column::Name, false),
            ("<R", Column::Domid, true),
            ("rR", Column::Requests, false),
        ] {
            assert_eq!(press(&mut view, keys), Action::Nothing);
            assert_eq!(view.sorting, Sorting { column, reverse }, "{keys}");
        }
        assert_eq!(press(&mut view, "q"), Action::Quit);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.press(interrupt), Action::Quit);
    }

    #[test]
    fn the_delay_is_typed() {
        let mut view = View::new(Duration::from_secs(2));
        press(&mut view, "d0.5\n");
        assert_eq!((view.delay, view.prompt.as_deref()), (Duration::from_millis(500), None));
        press(&mut view, "sq\n");
        assert_eq!(view.delay, Duration::from_millis(500));
        assert_eq!(view.message, "delay 'q': 0.1 to 3600 seconds are possible");
        assert_eq!(press(&mut view, "hq"), Action::Nothing, "a key leaves the help");
        assert!(!view.help && view.message.is_empty());
    }

    #[test]
    fn scrolling_ends_with_a_full_page() {
        let mut view = View::new(Duration::from_secs(2));
        view.fit(25, 10);
        let at = |view: &mut View, code| {
            view.press(KeyEvent::new(code, KeyModifiers::NONE));
            view.offset
        };
        let codes =
            [KeyCode::PageDown, KeyCode::PageDown, KeyCode::Up, KeyCode::Home, KeyCode::Up, KeyCode::End];
        assert_eq!(codes.map(|code| at(&mut view, code)), [10, 15, 14, 0, 0, 15]);
        view.fit(12, 10);
        assert_eq!(view.offset, 2);
    }
}
