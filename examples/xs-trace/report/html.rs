//! A report as one page that needs nothing else.

use super::plots::{Legend, latency, over_time};
use super::{Report, Table};
use store_client::Problem;

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>xenstore: flight recorder</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff; max-width: 1040px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; }
h2 { font-size: 1.15em; margin: 2em 0 .5em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15em 1.5em; }
dt { color: #666; }
dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .2em .9em .2em 0; border-bottom: 1px solid #e4e4e4; }
th { color: #666; font-weight: 500; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child { white-space: nowrap; }
.more { color: #666; }
svg { max-width: 100%; height: auto; }
.legend span { display: inline-block; margin-right: 1.2em; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
</style>
</head>
<body>
<h1>xenstore: what the flight recorder saw</h1>
";

/// The whole page.
pub fn page(report: &Report<'_>) -> Result<String, Problem> {
    let mut page = HEAD.to_string();
    page += "<dl>\n";
    for (name, value) in &report.facts {
        page += &format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value));
    }
    page += "</dl>\n";
    if !report.requests.is_empty() {
        let drawn = |error: Box<dyn std::error::Error>| Problem::new(format!("a drawing failed: {error}"));
        let (svg, chips) = over_time(report).map_err(drawn)?;
        page += &format!("<h2>Requests over time, by domain</h2>\n{}{svg}\n", legend(&chips));
        page += &format!("<h2>Latency by type</h2>\n{}\n", latency(report).map_err(drawn)?);
    }
    for table in report.filled() {
        page += &format!("<h2>{}</h2>\n{}", table.title, rows(table));
    }
    page += &format!("<p class=\"more\">{}</p>\n", report.nothing_of());
    page += "</body>\n</html>\n";
    Ok(page)
}

fn legend(chips: &Legend) -> String {
    let chips = chips.iter().map(|(name, (red, green, blue))| {
        let name = escape(name);
        format!("<span><i style=\"background: rgb({red}, {green}, {blue})\"></i>{name}</span>")
    });
    format!("<p class=\"legend\">{}</p>\n", chips.collect::<String>())
}

fn rows(table: &Table) -> String {
    let class = |column| if table.is_numeric(column) { " class=\"number\"" } else { "" };
    let classes: Vec<&str> = (0..table.columns.len()).map(class).collect();
    let mut html = "<div class=\"wide\"><table>\n<tr>".to_string();
    for (name, class) in table.columns.iter().zip(&classes) {
        html += &format!("<th{class}>{name}</th>");
    }
    for row in &table.rows {
        html += "</tr>\n<tr>";
        for (cell, class) in row.iter().zip(&classes) {
            html += &format!("<td{class}>{}</td>", escape(&cell.to_string()));
        }
    }
    html += "</tr>\n</table></div>\n";
    table.rest().into_iter().for_each(|rest| html += &format!("<p class=\"more\">{rest}</p>\n"));
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
