//! A table as a drawing: how its columns grow with the numbers that its rows begin with.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::goals::{Plot, Table};
use crate::report::number;
use measure::figure::{Figure, leading_number};

/// Pixels.
const SIZE: (u32, u32) = (720, 440);

const FONT: (&str, u32) = ("sans-serif", 15);

/// Blue, vermillion, green, orange, as Okabe and Ito have them: also who is colour-blind can tell them apart.
const COLORS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(230, 159, 0)];

/// A column's figures by the number of their row.
struct Line<'a> {
    column: &'a str,
    points: Vec<(f64, f64)>,
}

/// Draws the table's figures, one line for each column, both axes logarithmic. False if there are none.
pub fn draw(table: &Table, plot: &Plot, figures: &[Figure], file: &Path) -> Result<bool, Box<dyn Error>> {
    let lines: Vec<Line<'_>> = plot.columns.iter().map(|column| line(table, column, figures)).collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    if points().next().is_none() {
        return Ok(false);
    }
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (x, y) = (range(&mut points().map(|point| point.0)), range(&mut points().map(|point| point.1)));

    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(table.title, ("sans-serif", 20))
        .margin(12)
        .margin_right(40)
        .x_label_area_size(50)
        .y_label_area_size(110)
        .build_cartesian_2d((x.0..x.1).log_scale(), (y.0 / 2.0..y.1 * 2.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(plot.x)
        .y_desc(plot.y)
        .label_style(FONT)
        .x_label_formatter(&|x| number(*x))
        .y_label_formatter(&|y| number(*y))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (n, line) in lines.iter().enumerate() {
        let color = COLORS[n % COLORS.len()];
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(line.column)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(FONT)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(true)
}

fn line<'a>(table: &Table, column: &'a str, figures: &[Figure]) -> Line<'a> {
    let figures = figures.iter().filter(|figure| figure.table == table.number && figure.column == column);
    let points = figures.filter_map(|figure| Some((leading_number(&figure.row)?, figure.value)));
    Line { column, points: points.collect() }
}
