//! Metrics as text: OpenMetrics 1.0, and the format of Prometheus that node_exporter and older scrapers read
//! (text/plain; version=0.0.4). Both have the same samples; they name a counter's family with or without `_total`.

use std::fmt::Write;

/// What a family's samples are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Gauge,
    /// It only grows, but for a new start of what counts.
    Counter,
    /// It is always 1; what it says are its labels.
    Info,
}

/// One metric, with all its samples.
pub struct Family {
    /// Without `_total` and `_info`.
    pub name: &'static str,
    pub help: &'static str,
    /// The unit in which the name ends; empty if it counts things.
    pub unit: &'static str,
    pub kind: Kind,
    pub samples: Vec<(Labels, f64)>,
}

pub type Labels = Vec<(&'static str, String)>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    OpenMetrics,
    Text,
}

impl Form {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

pub fn text(families: &[Family], form: Form) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        // Into a string nothing fails.
        let _ = write_family(&mut text, family, form);
    }
    if form == Form::OpenMetrics {
        text += "# EOF\n";
    }
    text
}

fn write_family(out: &mut String, family: &Family, form: Form) -> std::fmt::Result {
    let suffix = match family.kind {
        Kind::Gauge => "",
        Kind::Counter => "_total",
        Kind::Info => "_info",
    };
    let Family { name, help, unit, .. } = family;
    let (title, kind) = match (form, family.kind) {
        (Form::OpenMetrics, Kind::Info) => (name.to_string(), "info"),
        (Form::Text, Kind::Info) => (format!("{name}{suffix}"), "gauge"),
        (Form::OpenMetrics, Kind::Counter) => (name.to_string(), "counter"),
        (Form::Text, Kind::Counter) => (format!("{name}{suffix}"), "counter"),
        (_, Kind::Gauge) => (name.to_string(), "gauge"),
    };
    writeln!(out, "# HELP {title} {help}")?;
    writeln!(out, "# TYPE {title} {kind}")?;
    if form == Form::OpenMetrics && !unit.is_empty() {
        writeln!(out, "# UNIT {title} {unit}")?;
    }
    for (labels, value) in &family.samples {
        write!(out, "{name}{suffix}")?;
        let mut before = '{';
        for (label, value) in labels {
            write!(out, "{before}{label}=\"{}\"", escape(value))?;
            before = ',';
        }
        writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" })?;
    }
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_differ_in_the_names_of_families() {
        let labels = vec![("type", "a \"b\\\n".to_owned())];
        let family = |name, unit, kind, samples| Family { name, help: "Some.", unit, kind, samples };
        let families = [
            family("x_seconds", "seconds", Kind::Counter, vec![(labels, 1.5)]),
            family("x", "", Kind::Info, vec![(vec![], 1.0)]),
            family("none", "", Kind::Gauge, vec![]),
        ];
        let sample = r#"x_seconds_total{type="a \"b\\\n"} 1.5"#;
        assert_eq!(
            text(&families, Form::OpenMetrics),
            format!(
                "# HELP x_seconds Some.\n# TYPE x_seconds counter\n# UNIT x_seconds seconds\n{sample}\n\
                 # HELP x Some.\n# TYPE x info\nx_info 1\n# EOF\n"
            )
        );
        assert_eq!(
            text(&families, Form::Text),
            format!(
                "# HELP x_seconds_total Some.\n# TYPE x_seconds_total counter\n{sample}\n\
                 # HELP x_info Some.\n# TYPE x_info gauge\nx_info 1\n"
            )
        );
    }
}
