//! What the user has chosen to see, and which rows are on the screen.

use std::time::Duration;

use super::columns::{Column, Sorting};
use super::rates::{Row, Table};

pub struct View {
    /// Unless NO_COLOR says otherwise (no-color.org). A terminal would take a color that it leaves out for the end of bold.
    pub colors: bool,
    pub sorting: Sorting,
    pub delay: Duration,
    pub paused: bool,
    pub help: bool,
    pub prompt: Option<Prompt>,
    /// Shown until the next key.
    pub message: String,
    /// Only domains whose name has this in it, or whose number it is; empty for all.
    pub filter: String,
    /// The domain that is looked into.
    pub domain: Option<u16>,
    /// The one whose row is marked.
    pub selected: Option<u16>,
    /// The first row or line shown, and how many fit.
    pub offset: usize,
    pub height: usize,
    /// The domains of all rows, in their order; or as many zeros as there are lines.
    shown: Vec<u16>,
}

/// What is being typed.
pub enum Prompt {
    Delay(String),
    Filter(String),
}

impl View {
    pub fn new(delay: Duration) -> View {
        View {
            colors: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            sorting: Sorting::by(Column::Requests),
            delay,
            paused: false,
            help: false,
            prompt: None,
            message: String::new(),
            filter: String::new(),
            domain: None,
            selected: None,
            offset: 0,
            height: 0,
            shown: Vec::new(),
        }
    }

    /// The rows that the filter lets pass, sorted.
    pub fn rows<'a>(&self, table: &'a mut Table) -> Vec<&'a Row> {
        self.sorting.sort(&mut table.rows);
        let filter = self.filter.to_lowercase();
        let passes = |row: &&Row| {
            row.name.to_lowercase().contains(&filter) || row.domid.to_string() == filter || filter.is_empty()
        };
        table.rows.iter().filter(passes).collect()
    }

    /// Takes up what there is and how much of it fits, so that a page is full as long as there is something for it.
    pub fn fit(&mut self, shown: Vec<u16>, height: usize) {
        self.offset = self.offset.min(shown.len().saturating_sub(height));
        (self.shown, self.height) = (shown, height);
    }

    /// Domains that are on the screen.
    pub fn visible(&self) -> &[u16] {
        let end = (self.offset + self.height).min(self.shown.len());
        self.shown.get(self.offset..end).unwrap_or_default()
    }

    pub fn scroll(&mut self, by: isize) {
        self.offset = self.offset.saturating_add_signed(by);
        self.offset = self.offset.min(self.shown.len().saturating_sub(self.height));
    }

    pub fn scroll_to_end(&mut self) {
        self.scroll(self.shown.len() as isize);
    }

    /// Marks the row above or below the marked one; where none on the screen is marked, the next one that comes in there.
    pub fn step(&mut self, down: bool) {
        let marked = self.visible().iter().position(|domid| Some(*domid) == self.selected);
        let next = match (marked, down) {
            (Some(row), true) => self.offset + row + 1,
            (Some(row), false) => (self.offset + row).saturating_sub(1),
            (None, true) => self.offset,
            (None, false) => self.offset.saturating_sub(1),
        };
        let next = next.min(self.shown.len().saturating_sub(1));
        self.selected = self.shown.get(next).copied();
        self.offset = self.offset.min(next).max((next + 1).saturating_sub(self.height));
    }

    /// Looks into the domain that is marked, or the first on the screen.
    pub fn enter(&mut self) {
        let first = self.visible().first().copied();
        self.domain = self.selected.filter(|domid| self.shown.contains(domid)).or(first);
        self.selected = self.domain;
        self.offset = 0;
    }

    pub fn leave(&mut self) {
        self.domain = None;
        self.offset = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Counts;
    use super::*;

    fn view() -> View {
        let mut view = View::new(Duration::from_secs(2));
        view.fit((1..=25).collect(), 10);
        view
    }

    #[test]
    fn the_marked_row_stays_on_the_screen() {
        let mut view = view();
        let mut step = |down| {
            view.step(down);
            (view.selected, view.offset)
        };
        assert_eq!([step(true), step(true), step(false)], [(Some(1), 0), (Some(2), 0), (Some(1), 0)]);
        for _ in 0..14 {
            step(true);
        }
        assert_eq!([step(true), step(false)], [(Some(16), 6), (Some(15), 6)]);
        for _ in 0..30 {
            step(true);
        }
        assert_eq!(step(true), (Some(25), 15));
        // What is marked is a domain, wherever its row goes.
        view.fit((1..=25).rev().collect(), 10);
        view.scroll(-99);
        view.step(true);
        assert_eq!(view.selected, Some(24));
    }

    #[test]
    fn a_domain_is_entered_and_left() {
        let mut view = view();
        view.scroll(5);
        view.enter();
        assert_eq!((view.domain, view.offset), (Some(6), 0));
        view.leave();
        view.fit(vec![3, 6, 9], 10);
        view.step(true);
        view.enter();
        assert_eq!(view.domain, Some(9));
        // One that is there no more is not.
        view.leave();
        view.fit(vec![3], 10);
        view.enter();
        assert_eq!(view.domain, Some(3));
        view.leave();
        view.fit(vec![], 10);
        view.enter();
        assert_eq!(view.domain, None);
    }

    #[test]
    fn the_filter_is_a_part_of_the_name_or_the_number() {
        let row = |(domid, name): (u16, &str)| Row {
            domid,
            name: name.to_owned(),
            requests: 0.0,
            events: 0.0,
            latency: None,
            total: Counts::default(),
            trouble: false,
        };
        let rows = [(0, "Domain-0"), (1, "web-1"), (10, "web-2"), (2, "")].map(row).to_vec();
        let table = Table::between(&Default::default(), &Default::default(), &Default::default());
        let mut table = Table { rows, ..table };
        let mut view = view();
        for (filter, found) in
            [("", &[0, 1, 2, 10][..]), ("WEB", &[1, 10]), ("1", &[1]), ("2", &[2, 10]), ("x", &[])]
        {
            view.filter = filter.to_owned();
            let domids: Vec<u16> = view.rows(&mut table).iter().map(|row| row.domid).collect();
            assert_eq!(domids, found, "{filter}");
        }
    }
}
