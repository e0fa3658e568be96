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
        rows[1..],
        [
            "| READ | 810 (0.10) | 790 (0.10) | 8,100 | 56,700 (7.00) |",
            "| | this server, cache lines of data |",
            "| READ | 40 |",
            "| table | goal | result |",
            "| 1 | this server at most 0.2 x C xenstored | met |",
            "| 1 | READ: this server at most 1.03 x this server, trace off | met |",
        ]
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
    let [.., ours, theirs, _, goal] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(ours, "| this server: READ | 1,000 | 1,050 (1.05) | 1,234 (1.23) |");
    assert_eq!(theirs, "| C xenstored: READ | 1,000 | 99,000 (99.00) |  |");
    let missed = "**missed** by this server: READ (1.234)";
    assert_eq!(goal, &format!("| 2 | this server: every one at most 1.1 x empty store | {missed} |"));
}

#[test]
fn limits_and_constants() {
    let figures = [
        (5, "a node with a short name and value", "this server", 89.0, "bytes"),
        (5, "guests in --memory 8", "this server", 219.0, "guests"),
        (6, "read 1", "this server", 110_000.0, I),
        (6, "read 1", "C xenstored, xenbus", 100_000.0, I),
        (6, "read 2000", "this server", 10_000.0, I),
        (6, "another", "this server", 1.0, I),
        (8, "read 1", "1 CPU, average", 200_000.0, I),
        (8, "read 1", "1 CPU, worst", 1_500_000.0, I),
    ];
    let (status, rows) = rows(&report(&[], &figures));
    assert_eq!(status, Some(1));
    let expected = [
        "| read 1 | 110,000 (1.10) | 100,000 | 182,248 (1.82) |",
        "| another | 1 |  |  |",
        "| a node with a short name and value | 89 |",
        "| 5 | guests in --memory 8: this server at least 220 | **missed** by guests in --memory 8 (219) |",
        "| 5 | a node: this server at most 88 | **missed** by a node with a short name and value (89) |",
        "| 6 | this server at most 0.75 x C xenstored, xenbus | **missed** by read 1 (1.100) |",
        "| 6 | this server at most 0.6 x C xenstored on Mini-OS | **missed** by read 1 (0.604), but met by 1 others |",
        "| 8 | 1 CPU, worst at most 10 x 1 CPU, average | met |",
    ];
    for row in expected {
        assert!(rows.iter().any(|line| line == row), "{row}\n{rows:#?}");
    }
}

/// Whatever is measured, no table is wider than a page.
#[test]
fn a_wide_table_stands_in_parts() {
    let columns = ["a", "b", "c", "this server", "C xenstored", "d", "e"];
    let figures = columns.map(|column| (1, "READ", column, 5.0, I));
    let (_, rows) = rows(&report(&[], &figures));
    let expected = [
        "| | this server | C xenstored |",
        "| READ | 5 (1.00) | 5 |",
        "| | a | b | c | d |",
        "| READ | 5 (1.00) | 5 (1.00) | 5 (1.00) | 5 (1.00) |",
        "| | e |",
        "| READ | 5 (1.00) |",
    ];
    assert_eq!(rows[..6], expected);
}

#[test]
fn the_page_begins_with_what_a_reader_gains() {
    let figures = [
        (11, "READ", "this server", 720.0, I),
        (11, "READ", "C xenstored", 7200.0, I),
        (13, "1 node", "this server", 2_500_000.0, I),
    ];
    let page = String::from_utf8(report(&[], &figures).stdout).expect("UTF-8");
    let start = page.find("In short:").expect("it is there");
    let gains: Vec<&str> = page[start..].lines().filter(|line| line.starts_with("- ")).collect();
    // Without C's figure there is nothing to compare.
    assert_eq!(
        gains,
        ["- a READ over a guest's ring takes 720 instructions, 0.10 times those of C xenstored;"]
    );
}

#[test]
fn the_page_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let about = folder.path().join("about");
    std::fs::write(&about, "commit 1; this machine\n").expect("written");
    let paths = [about.as_path(), folder.path()].map(|path| path.to_str().expect("plain"));
    let output = report(&["--about", paths[0], "--save", paths[1]], &[(1, "READ", "this server", 810.0, I)]);
    let page = std::fs::read(folder.path().join("performance.md")).expect("written");
    assert_eq!(page, output.stdout);
    assert!(String::from_utf8_lossy(&page).contains("| 1 | commit 1; this machine |\n"));
}

#[test]
fn one_table_is_made_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let about = folder.path().join("about");
    let paths = [about.as_path(), folder.path()].map(|path| path.to_str().expect("plain"));
    let save = ["--about", paths[0], "--save", paths[1]];
    let only_these = [&save[..], &["--only-these"]].concat();
    let run = |name: &str| std::fs::write(&about, format!("{name}\n")).expect("written");
    let kept = || std::fs::read_to_string(folder.path().join("performance.md")).expect("written");
    let node = |value| (5, "a node", "this server", value, "bytes");
    let updated = |value| (13, "28,000 nodes", "this server", value, I);
    run("commit 1");
    report(&save, &[node(80.0), (10, "RM", "without a look at others", 5.0, I)]);
    run("commit 2");
    for value in [3e7, 1e7] {
        let output = report(&only_these, &[updated(value)]);
        assert_eq!(output.status.code(), Some(i32::from(value > 2e7)));
    }
    let page = kept();
    for part in [
        "\n| a node | 80 |\n",
        "\n| 28,000 nodes | 10,000,000 |\n",
        "(performance-updates.svg)",
        "\n| 5, 10 | commit 1 |\n| 13 | commit 2 |\n",
        "\n3 goals met, 0 missed.\n",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    report(&only_these, &[]);
    assert_eq!(kept(), page, "the same figures make the same page");
    report(&only_these, &[node(150.0)]);
    assert!(kept().contains("| a node | 150 |") && kept().contains("| 28,000 nodes | 10,000,000 |"));
    assert!(kept().ends_with("\n2 goals met, 1 missed.\n"), "{}", kept());
}

#[test]
fn figures_become_drawings() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let save = ["--save", folder.path().to_str().expect("plain")];
    let figures = [
        (3, "1 guest", "this server", 3e6, I),
        (3, "100 guests", "this server", 3e6, I),
        (3, "1 guest", "this server, memory for each guest", 2e4, "bytes"),
        (11, "READ & more", "this server", 1500.0, I),
        (11, "READ & more", "C xenstored", 7200.0, I),
    ];
    report(&save, &figures);
    for (file, text) in
        [("guests", "start and end"), ("memory", "bytes of memory"), ("requests", "READ &amp; more")]
    {
        let drawing =
            std::fs::read_to_string(folder.path().join(format!("performance-{file}.svg"))).expect(file);
        assert!(drawing.contains(text) && drawing.contains("lower is better"), "{drawing}");
    }
}

#[test]
fn what_is_no_figure_is_refused() {
    let output = report(&[], &[(1, "READ", "this server", f64::NAN, I)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("bench: not a figure: {"));
}
