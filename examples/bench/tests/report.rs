//! The report of scripts/bench: figures become tables, and a missed goal is seen.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// What the program prints for these figures: table, row, column, value, unit.
fn report(options: &[&str], figures: &[(u64, &str, &str, f64, &str)]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("report")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut input = child.stdin.take().expect("piped");
    for (table, row, column, value, unit) in figures {
        let line =
            serde_json::json!({"table": table, "row": row, "column": column, "value": value, "unit": unit});
        writeln!(input, "{line}").expect("it reads");
    }
    drop(input);
    child.wait_with_output().expect("it ends")
}

/// Its status and the rows of its tables.
fn rows(output: &Output) -> (Option<i32>, Vec<String>) {
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    (output.status.code(), rows.map(str::to_string).collect())
}

const I: &str = "instructions";

#[test]
fn goals_that_are_met() {
    let figures = [
        (1, "READ", "this server", 810.0, I),
        (1, "READ", "this server, trace off", 790.0, I),
        (1, "READ", "C xenstored", 8100.0, I),
        (1, "READ", "oxenstored", 56_700.0, I),
        (1, "READ", "this server, cache lines of data", 40.0, "cache lines"),
    ];
    let output = report(&[], &figures);
    let (status, rows) = rows(&output);
    assert_eq!(status, Some(0));
    assert_eq!(
        rows.last().expect("a row"),
        "| READ | 810 (0.10) | 790 (0.10) | 8,100 | 56,700 (7.00) | 40 | met: 0.100 | met: 1.025 |"
    );
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("2 goals met, 0 missed.\n"));
}

#[test]
fn a_missed_goal_is_told_and_fails() {
    let figures = [
        (2, "this server: READ", "empty store", 1000.0, I),
        (2, "this server: READ", "10,000 watches", 1050.0, I),
        (2, "this server: READ", "10,000 nodes", 1234.0, I),
        (2, "C xenstored: READ", "empty store", 1000.0, I),
        (2, "C xenstored: READ", "10,000 watches", 99_000.0, I),
    ];
    let (status, rows) = rows(&report(&[], &figures));
    assert_eq!(status, Some(1));
    let [.., ours, theirs] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(ours, "| this server: READ | 1,000 | 1,050 (1.05) | 1,234 (1.23) | **missed**: 1.234 |");
    assert_eq!(theirs, "| C xenstored: READ | 1,000 | 99,000 (99.00) |  |  |", "theirs has no goal");
}

#[test]
fn limits_and_constants() {
    let figures = [
        (5, "a node with a short name and value", "this server", 129.0, "bytes"),
        (6, "read 1", "this server", 110_000.0, I),
        (6, "read 1", "C xenstored, xenbus", 100_000.0, I),
        (6, "another", "this server", 1.0, I),
        (8, "read 1", "1 CPU, average", 200_000_000.0, "ns"),
        (8, "read 1", "1 CPU, worst", 1_500_000_000.0, "ns"),
    ];
    let (status, rows) = rows(&report(&[], &figures));
    assert_eq!(status, Some(1));
    let read =
        "| read 1 | 110,000 (1.10) | 100,000 | 182,248 (1.82) | **missed**: 1.100 | **missed**: 0.604 |";
    assert!(rows.iter().any(|row| row == read), "{rows:#?}");
    assert!(rows.iter().any(|row| row == "| another | 1 |  |  |  |  |"), "{rows:#?}");
    let node = "| a node with a short name and value | 129 | **missed**: 129 |";
    assert!(rows.iter().any(|row| row.starts_with(node)), "{rows:#?}");
    let timed = "| read 1 | 200,000,000 | 1,500,000,000 | met: 7.500 |  |  | **missed**: 1,500,000,000 |";
    assert!(rows.iter().any(|row| row == timed), "{rows:#?}");
}

#[test]
fn the_page_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let about = folder.path().join("about");
    std::fs::write(&about, "| machine | this one |\n").expect("written");
    let paths = [about.as_path(), folder.path()].map(|path| path.to_str().expect("plain"));
    let figures = [(1, "READ", "this server", 810.0, I)];
    let output = report(&["--about", paths[0], "--save", paths[1]], &figures);
    let page = std::fs::read(folder.path().join("performance.md")).expect("written");
    assert_eq!(page, output.stdout);
    assert!(String::from_utf8_lossy(&page).contains("| machine | this one |\n"));
}

#[test]
fn one_table_is_made_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let about = folder.path().join("about");
    std::fs::write(&about, "| this server | commit 1 |\n| machine | this one |\n").expect("written");
    let paths = [about.as_path(), folder.path()].map(|path| path.to_str().expect("plain"));
    let save = ["--about", paths[0], "--save", paths[1]];
    let kept = || std::fs::read_to_string(folder.path().join("performance.md")).expect("written");
    let node = |table, value| (table, "a node", "this server", value, "bytes");
    let updated = |value| (13, "28,000 nodes", "this server", value, I);
    report(&save, &[node(5, 120.0), (10, "RM", "without a look at others", 5.0, I)]);
    let before = kept();
    for value in [3e7, 1e7] {
        let output = report(&[&save[..], &["--only-these"]].concat(), &[updated(value)]);
        assert_eq!(output.status.code(), Some(i32::from(value > 2e7)));
    }
    let new = kept();
    let section = new.find("## 13. ").expect("it is there");
    assert_eq!(new[..section].trim_end(), before.trim_end().rsplit_once('\n').expect("goals").0.trim_end());
    let section = &new[section..];
    assert!(section.contains("| 28,000 nodes | 10,000,000 |"), "{section}");
    assert!(section.contains("Of a run of its own: commit 1; this one.\n"), "{section}");
    assert!(section.contains("(performance-updates.svg)"), "{section}");
    assert!(new.ends_with("\n3 goals met, 0 missed.\n"), "{section}");
    report(&[&save[..], &["--only-these"]].concat(), &[node(5, 150.0)]);
    assert!(kept().contains("| a node | 150 |") && kept().contains("| 28,000 nodes | 10,000,000 |"));
    assert!(kept().ends_with("\n2 goals met, 1 missed.\n"), "{}", kept());
}

#[test]
fn what_is_no_figure_is_refused() {
    let output = report(&[], &[(1, "READ", "this server", f64::NAN, I)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("bench: not a figure: {"));
}
