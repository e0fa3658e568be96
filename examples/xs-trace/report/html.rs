//! A report as one page that needs nothing else.

use std::collections::BTreeSet;

use super::plots::{BROAD, Legend, NARROW, latency, over_time};
use super::{Report, Table};
use store_client::{Problem, plural};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The columns whose cells lead to the row that is about the same: by its table's title.
const LINKED: [(&str, &str); 2] = [("domain", "Who asked for what"), ("type", "Requests by type")];

const OVER_TIME: &str = "Requests over time, by domain";
const LATENCY: &str = "Latency by type";

/// The whole page.
pub fn page(report: &Report<'_>) -> Result<String, Problem> {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>xenstore: flight recorder</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>xenstore: what the flight recorder saw</h1>\n<dl>\n"
    );
    for (name, value) in &report.facts {
        page += &format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value));
    }
    let drawings = if report.requests.is_empty() { &[][..] } else { &[OVER_TIME, LATENCY] };
    let titles = drawings.iter().copied().chain(report.filled().map(|table| table.title));
    let links = titles.map(|title| format!("<a href=\"#{}\">{title}</a>\n", name(title)));
    page += &format!("</dl>\n<nav>\n{}</nav>\n", links.collect::<String>());
    if !report.requests.is_empty() {
        page += &drawn(report).map_err(|error| Problem::new(format!("a drawing failed: {error}")))?;
    }
    let targets: BTreeSet<String> = report.filled().flat_map(rows_named).collect();
    for table in report.filled() {
        page += &section(table.title, &rows(table, &targets));
    }
    page += &format!("<p class=\"more\">{}</p>\n<p id=\"tip\" hidden></p>\n", report.nothing_of());
    page += &format!("<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    Ok(page)
}

/// Each drawing for a screen and for a phone, of which the style shows one.
fn drawn(report: &Report<'_>) -> Result<String, Box<dyn std::error::Error>> {
    let both = |broad: &str, narrow: &str| {
        format!("<div class=\"broad\">{broad}</div>\n<div class=\"narrow\">{narrow}</div>\n")
    };
    let (broad, chips) = over_time(report, &BROAD)?;
    let (narrow, _) = over_time(report, &NARROW)?;
    let (rows, most) = latency(report, &BROAD)?;
    let scale = format!(
        "<p class=\"more\">Of all rows, the full height is {}; heights are logarithmic.</p>\n",
        plural(most as u64, "request")
    );
    let latency = both(&rows, &latency(report, &NARROW)?.0) + &scale;
    Ok(section(OVER_TIME, &(legend(&chips) + &both(&broad, &narrow))) + &section(LATENCY, &latency))
}

fn section(title: &str, content: &str) -> String {
    format!("<section id=\"{}\">\n<h2>{title}</h2>\n{content}</section>\n", name(title))
}

/// A title as a name of HTML.
fn name(title: &str) -> String {
    let words = title.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// The row about what a cell says: a domain's number, or a type.
fn target(text: &str) -> String {
    format!("about-{}", escape(text.split(' ').next().unwrap_or("")))
}

/// The names of a table's rows, if cells lead to them.
fn rows_named(table: &Table) -> Vec<String> {
    let linked = LINKED.iter().any(|(_, title)| *title == table.title);
    let first = table.rows.iter().filter(|_| linked).filter_map(|row| row.first());
    first.map(|cell| target(&cell.to_string())).collect()
}

fn legend(chips: &Legend) -> String {
    let chips = chips.iter().map(|(name, (red, green, blue))| {
        let name = escape(name);
        format!("<span><i style=\"background: rgb({red}, {green}, {blue})\"></i>{name}</span>")
    });
    format!("<p class=\"legend\">{}</p>\n", chips.collect::<String>())
}

fn rows(table: &Table, targets: &BTreeSet<String>) -> String {
    let class = |column| if table.is_numeric(column) { " class=\"number\"" } else { "" };
    let classes: Vec<&str> = (0..table.columns.len()).map(class).collect();
    let mut html = "<div class=\"wide\"><table>\n<thead><tr>".to_string();
    for (name, class) in table.columns.iter().zip(&classes) {
        html += &format!("<th{class}><button>{name}</button></th>");
    }
    html += "</tr></thead>\n<tbody>\n";
    let mut names = rows_named(table).into_iter();
    for row in &table.rows {
        let named = names.next();
        html += &named.as_ref().map_or("<tr>".to_string(), |name| format!("<tr id=\"{name}\">"));
        for ((cell, class), column) in row.iter().zip(&classes).zip(&table.columns) {
            let text = cell.to_string();
            let link = LINKED.iter().any(|(linked, _)| linked == column) && named.is_none();
            let shown = match target(&text) {
                target if link && targets.contains(&target) => {
                    format!("<a href=\"#{target}\">{}</a>", escape(&text))
                }
                _ => escape(&text),
            };
            let value = cell.weight().map_or(String::new(), |value| format!(" data-v=\"{value}\""));
            html += &format!("<td{class}{value}>{shown}</td>");
        }
        html += "</tr>\n";
    }
    html += "</tbody>\n</table></div>\n";
    table.rest().into_iter().for_each(|rest| html += &format!("<p class=\"more\">{rest}</p>\n"));
    html
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
