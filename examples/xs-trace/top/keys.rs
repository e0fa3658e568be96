//! The keys and their effects.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::columns::Column;
use super::view::{Prompt, View};
use store_client::seconds;

pub const HELP: [(&str, &str); 11] = [
    ("q", "quit"),
    ("h ?", "this help; any key but those that scroll leaves it"),
    ("P L W M N", "sort by requests, latency, watches, memory, domid"),
    ("< >", "sort by the column to the left, to the right"),
    ("R", "the other way round"),
    ("/", "domains with this in their name or as number; Esc: all"),
    ("Up Down", "mark a domain"),
    ("Enter", "its requests, errors, watches, transactions; Esc: back"),
    ("PgUp PgDn Home End", "scroll"),
    ("d s", "change the delay"),
    ("space", "pause, and go on"),
];

/// Longest text that is typed.
const TYPED: usize = 32;

/// What else is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Nothing,
    Look,
    Quit,
}

impl View {
    pub fn press(&mut self, key: KeyEvent) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Action::Quit } else { Action::Nothing };
        }
        self.message.clear();
        if let Some(typed) = self.prompt.take() {
            self.type_into(typed, key.code);
            return Action::Nothing;
        }
        if self.help {
            if !self.scrolls(key.code) {
                (self.help, self.offset) = (false, 0);
            }
            return Action::Nothing;
        }
        if self.domain.is_some() {
            return self.press_in_domain(key.code);
        }
        match key.code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('h' | '?') => (self.help, self.offset) = (true, 0),
            KeyCode::Char('r' | 'P' | 'p') => self.sorting.column = Column::Requests,
            KeyCode::Char('l' | 'L') => self.sorting.column = Column::Latency,
            KeyCode::Char('w' | 'W') => self.sorting.column = Column::Watches,
            KeyCode::Char('m' | 'M') => self.sorting.column = Column::Memory,
            KeyCode::Char('n' | 'N') => self.sorting.column = Column::Domid,
            KeyCode::Char('<') => self.sorting = self.sorting.moved(false),
            KeyCode::Char('>') => self.sorting = self.sorting.moved(true),
            KeyCode::Char('R') => self.sorting.reverse = !self.sorting.reverse,
            KeyCode::Char('d' | 's') => self.prompt = Some(Prompt::Delay(String::new())),
            KeyCode::Char('/') => self.prompt = Some(Prompt::Filter(self.filter.clone())),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Enter => {
                self.enter();
                return Action::Look;
            }
            KeyCode::Up => self.step(false),
            KeyCode::Down => self.step(true),
            KeyCode::PageUp | KeyCode::PageDown | KeyCode::Home | KeyCode::End => {
                self.scrolls(key.code);
            }
            KeyCode::Char(other) => self.message = format!("no key '{other}'; h tells which there are"),
            _ => {}
        }
        Action::Nothing
    }

    fn press_in_domain(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Char('q') => self.leave(),
            KeyCode::Char('h' | '?') => (self.help, self.offset) = (true, 0),
            KeyCode::Char(' ') => self.paused = !self.paused,
            _ => {
                self.scrolls(code);
            }
        }
        Action::Nothing
    }

    /// Whether the key has moved to another part of a text.
    fn scrolls(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Up => self.scroll(-1),
            KeyCode::Down => self.scroll(1),
            KeyCode::PageUp => self.scroll(-(self.height as isize)),
            KeyCode::PageDown => self.scroll(self.height as isize),
            KeyCode::Home => self.offset = 0,
            KeyCode::End => self.scroll_to_end(),
            _ => return false,
        }
        true
    }

    fn type_into(&mut self, mut prompt: Prompt, code: KeyCode) {
        let (Prompt::Delay(typed) | Prompt::Filter(typed)) = &mut prompt;
        match code {
            KeyCode::Esc => return,
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(letter) if typed.len() < TYPED => typed.push(letter),
            KeyCode::Enter => return self.typed(prompt),
            _ => {}
        }
        self.prompt = Some(prompt);
    }

    fn typed(&mut self, prompt: Prompt) {
        match prompt {
            Prompt::Delay(typed) if typed.is_empty() => {}
            Prompt::Delay(typed) => match seconds(&typed) {
                Ok(delay) => self.delay = delay,
                Err(why) => self.message = format!("delay '{typed}': {why}"),
            },
            Prompt::Filter(typed) => (self.filter, self.offset) = (typed, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::columns::Sorting;
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
        assert!(view.delay == Duration::from_millis(500) && view.prompt.is_none());
        press(&mut view, "sq\n");
        assert_eq!(view.delay, Duration::from_millis(500));
        assert_eq!(view.message, "delay 'q': 0.1 to 3600 seconds are possible");
        assert_eq!(press(&mut view, "hq"), Action::Nothing, "a key leaves the help");
        assert!(!view.help && view.message.is_empty());
        press(&mut view, "h");
        view.press(KeyEvent::new(KeyCode::PageDown, KeyModifiers::NONE));
        assert!(view.help, "a screen may be too small for all of it");
    }

    #[test]
    fn scrolling_ends_with_a_full_page() {
        let mut view = View::new(Duration::from_secs(2));
        view.fit((0..25).collect(), 10);
        let at = |view: &mut View, code| {
            view.press(KeyEvent::new(code, KeyModifiers::NONE));
            view.offset
        };
        let codes =
            [KeyCode::PageDown, KeyCode::PageDown, KeyCode::Up, KeyCode::Home, KeyCode::Up, KeyCode::End];
        assert_eq!(codes.map(|code| at(&mut view, code)), [10, 15, 14, 0, 0, 15]);
        view.fit((0..12).collect(), 10);
        assert_eq!(view.offset, 2);
    }

    #[test]
    fn a_filter_is_typed_and_given_up() {
        let mut view = View::new(Duration::from_secs(2));
        press(&mut view, "/web-q\n");
        assert_eq!(view.filter, "web-q");
        // What is typed goes on from what there is.
        press(&mut view, "/1");
        view.press(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
        assert_eq!(view.filter, "web-q");
        view.press(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
        assert_eq!(view.filter, "");
    }

    #[test]
    fn enter_looks_into_a_domain() {
        let mut view = View::new(Duration::from_secs(2));
        view.fit(vec![7, 8], 10);
        assert_eq!((press(&mut view, "\n"), view.domain), (Action::Look, Some(7)));
        assert_eq!(press(&mut view, "M"), Action::Nothing);
        assert_eq!(view.sorting.column, Column::Requests);
        assert_eq!((press(&mut view, "q"), view.domain), (Action::Nothing, None), "back, and not out");
        assert_eq!(press(&mut view, "q"), Action::Quit);
    }
}
