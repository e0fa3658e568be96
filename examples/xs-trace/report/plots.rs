//! The drawings of a report.

use std::collections::BTreeMap;
use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use xenstore::abi::DomId;

use super::Report;
use super::cell::duration;
use super::html::escape;
use store_client::plural;

/// Names and their colors.
pub type Legend = Vec<(String, (u8, u8, u8))>;

/// How large a drawing is, in pixels.
pub struct Size {
    width: u32,
    font: u32,
    /// Names of the axes of counts, and of rows.
    axis: u32,
    names: u32,
    /// Names along the axis of time.
    labels: usize,
}

/// For a screen, and for a phone.
pub const BROAD: Size = Size { width: 1000, font: 17, axis: 80, names: 240, labels: 8 };
pub const NARROW: Size = Size { width: 400, font: 13, axis: 60, names: 175, labels: 5 };

const HEIGHT: u32 = 320;
/// Of one type's row.
const ROW: u32 = 46;

/// Columns over time.
const COLUMNS: usize = 100;

/// Colors of the busiest domains; all others share one.
const COLORS: [RGBColor; 8] = [
    RGBColor(0x3b, 0x75, 0xaf),
    RGBColor(0xe8, 0x8b, 0x33),
    RGBColor(0x51, 0x9e, 0x4b),
    RGBColor(0xc4, 0x4e, 0x52),
    RGBColor(0x8c, 0x6b, 0xb1),
    RGBColor(0x8a, 0x64, 0x55),
    RGBColor(0xd9, 0x86, 0xbc),
    RGBColor(0x45, 0xb5, 0xc4),
];
const OTHERS: RGBColor = RGBColor(0xaa, 0xaa, 0xaa);

/// Nanoseconds of a column, at least.
const COLUMN_MIN: u64 = 10_000;

/// Steps of the latency histogram for each power of ten.
const STEPS: f64 = 8.0;

/// Least time that is drawn, microseconds.
const LEAST: f64 = 0.1;

const FACE: &str = "sans-serif";
const GREY: RGBColor = RGBColor(0x88, 0x88, 0x88);

type Drawn<T> = Result<T, Box<dyn Error>>;

/// How many requests there were in each of equal spans of time, domain upon domain.
pub fn over_time(report: &Report<'_>, size: &Size) -> Drawn<(String, Legend)> {
    let times: Vec<(u64, u16)> =
        report.requests.iter().map(|request| (request.time(report.dump).0, request.ended.domid.0)).collect();
    let first = times.iter().map(|(at, _)| *at).min().unwrap_or(0);
    let last = times.iter().map(|(at, _)| *at).max().unwrap_or(0);
    let width = ((last - first) / COLUMNS as u64 + 1).max(COLUMN_MIN);

    let (legend, places) = domains(report, &times);
    let mut counts = vec![vec![0_u32; legend.len()]; COLUMNS];
    for (at, domid) in times {
        let column = ((at - first) / width) as usize;
        counts[column.min(COLUMNS - 1)][places[&domid]] += 1;
    }
    let most = counts.iter().map(|column| column.iter().sum::<u32>()).max().unwrap_or(1);
    let seconds = |column: usize| (first as f64 + column as f64 * width as f64) / 1e9;

    let (mut svg, mut tips) = (String::new(), Vec::new());
    {
        let area = SVGBackend::with_string(&mut svg, (size.width, HEIGHT)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .margin_right(30)
            .x_label_area_size(50)
            .y_label_area_size(size.axis)
            .build_cartesian_2d(seconds(0)..seconds(COLUMNS), 0_f64..f64::from(most) * 1.05)?;
        let span = (seconds(COLUMNS) - seconds(0)).max(1e-6);
        let digits = (2.0 - span.log10()).ceil().clamp(0.0, 7.0) as usize;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(size.labels)
            .y_labels(5)
            .x_desc("seconds since the server's start")
            .y_desc(format!("requests in {}", duration(width).replace(".0 ", " ")))
            .label_style((FACE, size.font))
            .x_label_formatter(&|x| format!("{x:.digits$}"))
            .y_label_formatter(&|y| if y.fract() == 0.0 { format!("{y}") } else { String::new() })
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (column, parts) in counts.iter().enumerate() {
            let mut base = 0;
            for (count, (name, (red, green, blue))) in parts.iter().zip(&legend) {
                let top = base + count;
                let corners = [(seconds(column), f64::from(base)), (seconds(column + 1), f64::from(top))];
                if *count > 0 {
                    chart.draw_series([Rectangle::new(corners, RGBColor(*red, *green, *blue).filled())])?;
                    tips.push(format!(
                        "{name}: {}, from {:.digits$} s on",
                        requests(*count),
                        seconds(column)
                    ));
                }
                base = top;
            }
        }
        area.present()?;
    }
    Ok((with_tips(&svg, &tips), legend))
}

/// The busiest domains with their colors, and which of them, or the rest, each domain is.
fn domains(report: &Report<'_>, times: &[(u64, u16)]) -> (Legend, BTreeMap<u16, usize>) {
    let mut counts = BTreeMap::new();
    times.iter().for_each(|(_, domid)| *counts.entry(*domid).or_insert(0_usize) += 1);
    let mut busiest: Vec<(u16, usize)> = counts.into_iter().collect();
    busiest.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut legend: Legend = busiest
        .iter()
        .zip(COLORS)
        .map(|((domid, _), color)| (report.dump.domain(DomId(*domid)), color.rgb()))
        .collect();
    if busiest.len() > COLORS.len() {
        legend.push((format!("{} others", busiest.len() - COLORS.len()), OTHERS.rgb()));
    }
    let places = busiest.iter().enumerate().map(|(n, (domid, _))| (*domid, n.min(COLORS.len()))).collect();
    (legend, places)
}

fn requests(count: u32) -> String {
    plural(count.into(), "request")
}

/// Bars have what they stand for as their titles: they are the only rectangles, in the order in which they were drawn.
fn with_tips(svg: &str, tips: &[String]) -> String {
    let mut parts = svg.split("<rect ");
    let mut all = parts.next().unwrap_or_default().to_owned();
    for (part, tip) in parts.zip(tips) {
        let (bar, rest) = part.split_once("/>").unwrap_or((part, ""));
        all += &format!("<rect {bar}><title>{}</title></rect>{rest}", escape(tip));
    }
    all
}

/// A row for each type, with how often its requests took how long, and the count that is a row's full height. Heights are
/// logarithmic, since READs can be a thousand times as many as all others.
pub fn latency(report: &Report<'_>, size: &Size) -> Drawn<(String, u32)> {
    let step = |micros: f64| (micros.max(LEAST).log10() * STEPS).floor() as i32;
    let mut types: BTreeMap<&str, BTreeMap<i32, u32>> = BTreeMap::new();
    for request in &report.requests {
        let micros = request.time(report.dump).1 as f64 / 1e3;
        *types.entry(request.ended.type_name()).or_default().entry(step(micros)).or_insert(0) += 1;
    }
    let mut types: Vec<_> =
        types.into_iter().map(|(name, steps)| (name, steps.values().sum::<u32>(), steps)).collect();
    types.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
    let steps = || types.iter().flat_map(|(_, _, steps)| steps.keys());
    let low = f64::from(*steps().min().unwrap_or(&0)) / STEPS;
    let high = f64::from(steps().max().unwrap_or(&0) + 1) / STEPS;
    // Two powers of ten at least, so that only those are named.
    let (low, high) = (low.floor(), high.ceil().max(low.floor() + 2.0));
    let (low, high) = (10_f64.powf(low), 10_f64.powf(high));

    let rows = types.len() as u32;
    let most = types.iter().flat_map(|(_, _, steps)| steps.values()).max().copied().unwrap_or(1);
    let height = |count: u32| 0.85 * f64::from(count + 1).ln() / f64::from(most + 1).ln();
    let (mut svg, mut tips) = (String::new(), Vec::new());
    {
        let area = SVGBackend::with_string(&mut svg, (size.width, rows * ROW + 75)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .margin_right(30)
            .x_label_area_size(50)
            .y_label_area_size(size.names)
            .build_cartesian_2d((low..high).log_scale(), f64::from(rows)..0_f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc("time that a request took")
            .label_style((FACE, size.font))
            .x_label_formatter(&|x| duration((*x * 1e3) as u64).replace(".0 ", " "))
            .light_line_style(BLACK.mix(0.05))
            .draw()?;
        let style = (FACE, size.font).into_text_style(&area).pos(Pos::new(HPos::Right, VPos::Bottom));
        for (row, (name, count, steps)) in types.iter().enumerate() {
            let base = row as f64 + 1.0;
            for (step, count) in steps {
                let edge = |step: i32| 10_f64.powf(f64::from(step) / STEPS);
                let (from, to) = (edge(*step), edge(step + 1));
                let corners = [(from, base - height(*count)), (to, base)];
                chart.draw_series([Rectangle::new(corners, COLORS[0].filled())])?;
                let [from, to] = [from, to].map(|micros| duration((micros * 1e3) as u64));
                tips.push(format!("{name}: {} of {from} to {to}", requests(*count)));
            }
            chart.draw_series([PathElement::new([(low, base), (high, base)], GREY)])?;
            let (x, y) = chart.backend_coord(&(low, base));
            area.draw(&Text::new(format!("{name}  {count}"), (x - 12, y - 6), &style))?;
        }
        area.present()?;
    }
    Ok((with_tips(&svg, &tips), most))
}
