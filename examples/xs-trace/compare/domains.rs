//! Which domains of two reports are the same. A guest that was started anew has another number, so names count where both
//! reports have them; of a domain that only one report has a name for its number does.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A report's domains by their numbers, with their names where it has them.
type Known<'a> = BTreeMap<u16, Option<&'a str>>;

pub struct Domains<'a> {
    /// Of each report: what domains are called in both, by what the report calls them.
    called: [BTreeMap<Cow<'a, str>, String>; 2],
    /// Of each report: names by numbers that the two reports do not share.
    moved: [BTreeMap<u16, &'a str>; 2],
}

impl<'a> Domains<'a> {
    /// Of what the two reports call theirs: `d5 web`, or `d5` without a name.
    pub fn matched(labels: [impl Iterator<Item = &'a str>; 2]) -> Domains<'a> {
        let known: [Known<'a>; 2] = labels.map(|labels| labels.filter_map(parsed).collect());
        let [old, new] = known.each_ref().map(numbers);
        let mut domains = Domains { called: Default::default(), moved: Default::default() };
        for (name, were) in &old {
            let Some(are) = new.get(name).filter(|are| *are != were) else { continue };
            let called = format!("{}, now {} {name}", listed(were), listed(are));
            for (place, numbers) in [were, are].into_iter().enumerate() {
                for number in numbers {
                    domains.called[place].insert(label(*number, Some(name)), called.clone());
                    domains.moved[place].insert(*number, name);
                }
            }
        }
        for (place, other) in [(0, 1), (1, 0)] {
            for number in known[place].iter().filter(|(_, name)| name.is_none()).map(|(number, _)| *number) {
                let name = known[other].get(&number).copied().flatten();
                // One that both have by its name is not this one as well.
                let name = name.filter(|name| !(old.contains_key(name) && new.contains_key(name)));
                domains.called[place].insert(label(number, None), label(number, name).into_owned());
            }
        }
        domains
    }

    /// What a domain of a report is called in both.
    pub fn called<'t>(&'t self, place: usize, label: &'t str) -> &'t str {
        self.called[place].get(label).map_or(label, String::as_str)
    }

    /// A path of a report, with such domains' names where it has numbers that the two do not share.
    pub fn path(&self, place: usize, path: &str) -> String {
        let words: Vec<&str> = path.split('/').collect();
        let named = words.iter().enumerate().map(|(at, word)| {
            let before = |steps: usize| at.checked_sub(steps).map_or("", |at| words[at]);
            let is_domid = matches!(before(1), "domain" | "libxl" | "device-model") || before(2) == "backend";
            let name = is_domid.then(|| self.moved[place].get(&word.parse().ok()?)).flatten();
            name.map_or_else(|| (*word).to_owned(), |name| format!("<{name}>"))
        });
        named.collect::<Vec<_>>().join("/")
    }

    /// The names of those that have another number than before.
    pub fn renumbered(&self) -> BTreeSet<&'a str> {
        self.moved.iter().flat_map(BTreeMap::values).copied().collect()
    }
}

fn parsed(label: &str) -> Option<(u16, Option<&str>)> {
    let label = label.strip_prefix('d')?;
    let (number, name) = label.split_once(' ').map_or((label, None), |(number, name)| (number, Some(name)));
    Some((number.parse().ok()?, name))
}

fn label<'a>(number: u16, name: Option<&str>) -> Cow<'a, str> {
    name.map_or_else(|| format!("d{number}"), |name| format!("d{number} {name}")).into()
}

fn numbers<'a>(known: &Known<'a>) -> BTreeMap<&'a str, BTreeSet<u16>> {
    let mut numbers: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for (number, name) in known {
        if let Some(name) = name {
            numbers.entry(name).or_default().insert(*number);
        }
    }
    numbers
}

fn listed(numbers: &BTreeSet<u16>) -> String {
    numbers.iter().map(|number| format!("d{number}")).collect::<Vec<_>>().join(" ")
}
