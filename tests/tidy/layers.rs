//! No import upwards, no circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::{House, is_root, module};

/// All that can be reached from a file.
fn reached<'a>(arrows: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        for next in arrows.get(file).into_iter().flatten() {
            if found.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    found
}

/// The sets of files of which each can be reached from every other.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|file| (file.as_str(), reached(arrows, file))).collect();
    let circle = |file: &str| -> BTreeSet<String> {
        let together = reached[file].iter().filter(|other| reached[**other].contains(file));
        together.map(|other| (*other).to_string()).collect()
    };
    arrows.keys().map(|file| circle(file)).filter(|circle| circle.len() > 1).collect()
}

/// The modules of the library in the order of their layers, as in the table of `src/lib.rs`.
fn layers(lib: &str) -> Vec<String> {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells
        .flat_map(|cell| cell.split(['[', '`', ']', ',', ' ']).filter(|name| !name.is_empty()))
        .map(String::from)
        .collect()
}

#[test]
fn a_layer_uses_only_those_above_it() {
    let house = House::new();
    let lib = &house.files["src/lib.rs"];
    let layers = layers(lib);
    let rooms: BTreeSet<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(rooms, layers.iter().map(String::as_str).collect(), "src/lib.rs: its table and its modules");
    let room = |file: &str| module(file).1.first().cloned();
    let floor = |room: &Option<String>| layers.iter().position(|layer| Some(layer) == room.as_ref());
    let mut upward = BTreeSet::new();
    for (file, others) in house.arrows() {
        for other in others {
            if let (Some(user), Some(used)) = (floor(&room(&file)), floor(&room(&other)))
                && module(&file).0 == "src/lib.rs"
                && used > user
            {
                upward.insert(format!("{file} uses {other}"));
            }
        }
    }
    assert_eq!(upward, BTreeSet::new(), "each uses what stands above it only");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut arrows = House::new().arrows();
    arrows.retain(|file, _| !is_root(file));
    arrows.values_mut().for_each(|others| others.retain(|file| !is_root(file)));
    let found = circles(&arrows);
    assert_eq!(found, BTreeSet::new(), "what is in a circle cannot be read or tested by itself");
}

#[test]
fn circles_are_found() {
    let arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")];
    let arrows = arrows.map(|(from, to)| (from.to_string(), BTreeSet::from([to.to_string()])));
    assert_eq!(circles(&BTreeMap::from(arrows)), BTreeSet::from([["b", "c"].map(String::from).into()]));
}
