//! What stands where on the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::columns::Column;
use super::keys::HELP;
use super::rates::{Row, Table};
use super::view::{Prompt, View};
use super::{heading, levels, refusals, sums};

/// `silent` is the seconds for which the store has not answered, if that is long; `domain` what was told of the one that is
/// looked into.
pub fn draw(
    frame: &mut Frame<'_>,
    view: &mut View,
    (table, domain): (Option<&mut Table>, Option<&[String]>),
    silent: Option<u64>,
) {
    if view.help {
        return draw_text(frame, view, frame.area(), &help());
    }
    let Some(table) = table else {
        let what = silent.map_or_else(|| "looking at the store".to_owned(), no_answer);
        return frame.render_widget(Paragraph::new(what), frame.area());
    };
    if let Some(domid) = view.domain {
        let name = table.name(domid).unwrap_or("");
        return draw_domain(frame, view, &format!("d{domid} {name}"), domain, silent);
    }
    let head = head(view, table, silent, frame.area());
    let [top, titles, rows] =
        Layout::vertical([Constraint::Length(head.len() as u16), Constraint::Length(1), Constraint::Min(0)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(head), top);
    frame.render_widget(Paragraph::new(title_line(view, name_width(titles))).reversed(), titles);
    let all = view.rows(table);
    view.fit(all.iter().map(|row| row.domid).collect(), usize::from(rows.height));
    let lines: Vec<Line<'_>> = all
        .into_iter()
        .skip(view.offset)
        .take(view.height)
        .map(|row| {
            let line = row_line(view, row, name_width(rows));
            if view.selected == Some(row.domid) { line.reversed() } else { line }
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), rows);
}

fn draw_domain(
    frame: &mut Frame<'_>,
    view: &mut View,
    title: &str,
    told: Option<&[String]>,
    silent: Option<u64>,
) {
    let [top, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    let paused = if view.paused { ", paused" } else { "" };
    let head = silent.map_or_else(|| format!("{title} - Esc: back{paused}"), no_answer);
    frame.render_widget(Paragraph::new(Line::from(head).bold()).reversed(), top);
    let Some(told) = told else { return frame.render_widget(Paragraph::new("looking at it"), rest) };
    draw_text(frame, view, rest, told);
}

/// Draws as many of the lines as fit, from the one on that has been scrolled to.
fn draw_text(frame: &mut Frame<'_>, view: &mut View, area: Rect, lines: &[String]) {
    let lines: Vec<String> = lines.iter().flat_map(|line| folded(line, area.width.into())).collect();
    view.fit(vec![0; lines.len()], usize::from(area.height));
    let shown = lines.into_iter().skip(view.offset).take(view.height).map(Line::from);
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), area);
}

/// A line in pieces of at most `width` letters, between words where there are any.
fn folded(line: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = line.chars().collect();
    let (mut rest, width) = (&letters[..], width.max(1));
    let mut pieces = Vec::new();
    while rest.len() > width {
        // The blank between two pieces belongs to the first, and may stand behind its last column.
        let blank = rest[..=width].iter().rposition(|letter| *letter == ' ').filter(|at| *at > 0);
        let (piece, more) = rest.split_at(blank.map_or(width, |at| at + 1));
        pieces.push(piece.iter().collect::<String>().trim_end().to_owned());
        rest = more;
    }
    pieces.push(rest.iter().collect());
    pieces
}

impl View {
    fn colored<'a>(&self, line: Line<'a>, color: Color) -> Line<'a> {
        if self.colors { line.fg(color) } else { line }
    }
}

/// The name has what the other columns leave of a line.
fn name_width(area: Rect) -> usize {
    let taken: usize = Column::ALL.iter().map(|column| column.width() + 1).sum();
    Column::Name.width() + (usize::from(area.width) + 1).saturating_sub(taken)
}

fn no_answer(seconds: u64) -> String {
    format!("the store has not answered for {seconds} s")
}

/// Lines beside the fill levels and the rows: two of sums, one of messages, one of titles.
const OTHERS: u16 = 4;

fn head<'a>(view: &View, table: &Table, silent: Option<u64>, area: Rect) -> Vec<Line<'a>> {
    let order = if view.sorting.reverse { ", reversed" } else { "" };
    let paused = if view.paused { ", paused" } else { "" };
    let (title, delay) = (view.sorting.column.title(), view.delay.as_secs_f64());
    let mut lines = vec![
        Line::from(format!("xs-trace top - {}, every {delay} s, by {title}{order}{paused}", heading(table))),
        Line::from(sums(table)).bold(),
    ];
    // The rows have as much of a small screen as the levels.
    let most = usize::from(area.height.saturating_sub(OTHERS).div_ceil(2));
    lines.extend(levels(table, area.width.into(), most).into_iter().map(Line::from));
    // One is enough to be looked into.
    lines.extend(
        refusals(table).into_iter().take(1).map(|refused| view.colored(Line::from(refused), Color::Yellow)),
    );
    lines.push(match (silent, &view.prompt) {
        (Some(seconds), None) => view.colored(Line::from(no_answer(seconds)).bold(), Color::Red),
        (_, Some(Prompt::Delay(typed))) => {
            Line::from(format!("delay in seconds (is {delay}): {typed}_")).bold()
        }
        (_, Some(Prompt::Filter(typed))) => Line::from(format!("only names with: {typed}_")).bold(),
        (None, None) if view.message.is_empty() && !view.filter.is_empty() => {
            Line::from(format!("only names with: {}; Esc: all", view.filter)).bold()
        }
        (None, None) => Line::from(view.message.clone()).bold(),
    });
    lines
}

fn title_line<'a>(view: &View, name_width: usize) -> Line<'a> {
    let cells = Column::ALL.iter().map(|column| {
        let style = if *column == view.sorting.column {
            Modifier::UNDERLINED | Modifier::BOLD
        } else {
            Modifier::empty()
        };
        let text = column.fit(column.title(), name_width);
        [Span::styled(text, Style::new().add_modifier(style)), Span::raw(" ")]
    });
    Line::from_iter(cells.flatten())
}

/// A domain that was in trouble just then stands out, one that did nothing steps back.
fn row_line<'a>(view: &View, row: &Row, name_width: usize) -> Line<'a> {
    let cells = Column::ALL.map(|column| column.fit(&column.cell(row), name_width));
    let line = Line::from(cells.join(" "));
    match (row.trouble, row.requests > 0.0) {
        (true, _) => view.colored(line.bold(), Color::Yellow),
        (false, true) => line,
        (false, false) => line.dim(),
    }
}

fn help() -> Vec<String> {
    let mut lines = vec!["xs-trace top: keys".to_owned()];
    lines.extend(HELP.map(|(keys, what)| format!("  {keys:<18}  {what}")));
    lines.push("columns".to_owned());
    lines.extend(Column::ALL.map(|column| format!("  {:<5}  {}", column.title(), column.meaning())));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_between_words() {
        for (line, width, pieces) in [
            ("", 5, &[""][..]),
            ("one two", 7, &["one two"]),
            ("one two three", 7, &["one two", "three"]),
            ("one two three", 6, &["one", "two", "three"]),
            ("  columns", 4, &["", "colu", "mns"]),
            ("abcdefg", 3, &["abc", "def", "g"]),
            ("µs µs", 2, &["µs", "µs"]),
            ("ab", 0, &["a", "b"]),
        ] {
            assert_eq!(folded(line, width), pieces, "{line}, {width}");
        }
    }

    /// On the usual terminal nothing of it is cut off or folded.
    #[test]
    fn the_help_has_the_width_of_a_terminal() {
        for line in help() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
