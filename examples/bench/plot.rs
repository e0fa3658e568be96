//! A table as a drawing: how its columns grow with the numbers that its rows begin with, or its rows side by side.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::goals::{Plot, Shape, Table};
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
    name: &'a str,
    points: Vec<(f64, f64)>,
}

/// Draws the table's figures. False if there are none.
pub fn draw(table: &Table, plot: &Plot, figures: &[Figure], file: &Path) -> Result<bool, Box<dyn Error>> {
    match plot.shape {
        Shape::Lines => draw_lines(table, plot, figures, file),
        Shape::Bars => draw_bars(table, plot, figures, file),
    }
}

fn draw_lines(table: &Table, plot: &Plot, figures: &[Figure], file: &Path) -> Result<bool, Box<dyn Error>> {
    let lines: Vec<Line<'_>> =
        plot.columns.iter().map(|(column, name)| line(table, column, name, figures)).collect();
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
            .label(line.name)
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

fn line<'a>(table: &Table, column: &str, name: &'a str, figures: &[Figure]) -> Line<'a> {
    let figures = figures.iter().filter(|figure| figure.table == table.number && figure.column == column);
    let points = figures.filter_map(|figure| Some((leading_number(&figure.row)?, figure.value)));
    Line { name, points: points.collect() }
}

fn draw_bars(table: &Table, plot: &Plot, figures: &[Figure], file: &Path) -> Result<bool, Box<dyn Error>> {
    let at = |row: &str, column: &str| {
        let is_it =
            |figure: &&Figure| figure.table == table.number && figure.row == row && figure.column == column;
        figures.iter().find(is_it).map(|figure| figure.value)
    };
    let Some((ours, _)) = plot.columns.first() else { return Ok(false) };
    let rows: Vec<&str> = figures
        .iter()
        .filter(|figure| figure.table == table.number && figure.column == *ours)
        .map(|figure| figure.row.as_str())
        .collect();
    let drawn = rows.iter().flat_map(|row| plot.columns.iter().filter_map(|(column, _)| at(row, column)));
    let Some(highest) = drawn.max_by(f64::total_cmp) else { return Ok(false) };

    // A row's bars take four fifths of its place, one below the other, so that its name can be read.
    let (count, thick) = (rows.len() as f64, 0.8 / plot.columns.len() as f64);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(table.title, ("sans-serif", 20))
        .margin(12)
        .margin_right(40)
        .x_label_area_size(50)
        .y_label_area_size(270)
        .build_cartesian_2d(0.0..highest * 1.1, count..0.0)?;
    chart
        .configure_mesh()
        .x_desc(plot.y)
        .label_style(FONT)
        .x_label_formatter(&|x| number(*x))
        .disable_y_mesh()
        .y_labels(0)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (n, (column, name)) in plot.columns.iter().enumerate() {
        let color = COLORS[n % COLORS.len()];
        let bars = rows.iter().enumerate().filter_map(|(place, row)| {
            let value = at(row, column)?;
            let top = place as f64 + 0.1 + n as f64 * thick;
            Some(Rectangle::new([(0.0, top), (value, top + thick)], color.filled()))
        });
        chart
            .draw_series(bars)?
            .label(*name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], color.filled()));
    }
    let (left, _) = chart.plotting_area().get_pixel_range();
    for (place, row) in rows.iter().enumerate() {
        let (_, y) = chart.backend_coord(&(0.0, place as f64 + 0.5));
        let style = FONT.into_font().into_text_style(&area).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw_text(row, &style, (left.start - 8, y))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(FONT)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(true)
}
