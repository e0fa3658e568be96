//! Where a program cannot avoid its end any more.
//!
//! An instruction is doomed if every way from it leads to an end; so is a function whose first one is doomed, all of
//! it. Elsewhere a site is a branch that has the choice: one of its two ways is doomed. What is doomed but behind no
//! such branch (a jump table) is a site by itself, and so is each call of what ends the image deliberately: the
//! condition before it may be anywhere.

use std::collections::BTreeMap;

use crate::code::{Code, Kind};

/// Where every end of the image begins: core's panics, and what the image itself calls.
const ENDS: [&str; 4] = ["core::panicking::", "rust_begin_unwind", "__rustc::rust_begin_unwind", DELIBERATE];
const DELIBERATE: &str = "xenstore_stubdom::image::fatal::stop";

/// What an undefined instruction is called: the compiler has proved that nothing gets there.
const TRAP: &str = "ud2";

/// A place where it is decided that the program ends.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Site {
    pub address: u64,
    /// What is called there.
    pub end: String,
}

/// All sites, those of branches first.
pub fn sites(code: &Code) -> Result<Vec<Site>, String> {
    let doom = Doom::of(code)?;
    let mut search = Search {
        doom: &doom,
        seen: vec![false; code.instructions.len()],
        waiting: Vec::new(),
        sites: Vec::new(),
    };
    let ends = search.skip_ends();
    search.branches();
    search.deliberate_calls(&ends);
    search.rest();
    Ok(search.sites)
}

struct Doom<'a> {
    code: &'a Code,
    /// What instructions lead to, by index; none for those from which some way goes on.
    ends: Vec<Option<&'a str>>,
}

impl<'a> Doom<'a> {
    fn of(code: &'a Code) -> Result<Doom<'a>, String> {
        let is_end = |name: &str| ENDS.iter().any(|end| name.starts_with(end));
        let named: BTreeMap<usize, &str> = code
            .symbols
            .iter()
            .filter(|(_, name)| is_end(name))
            .filter_map(|(address, name)| Some((code.index_of(*address)?, name.as_str())))
            .collect();
        if named.is_empty() {
            return Err("no end of the image is known by its name".to_string());
        }
        let mut doom = Doom { code, ends: vec![None; code.instructions.len()] };
        for (index, name) in &named {
            doom.ends[*index] = Some(name);
        }
        loop {
            let mut changed = false;
            for index in (0..code.instructions.len()).rev().filter(|index| !named.contains_key(index)) {
                let fate = doom.fate(index);
                changed |= fate != doom.ends[index];
                doom.ends[index] = fate;
            }
            if !changed {
                return Ok(doom);
            }
        }
    }

    /// What the instruction behind one leads to.
    fn after(&self, index: usize) -> Option<&'a str> {
        if self.code.instructions[index].last { None } else { *self.ends.get(index + 1)? }
    }

    /// What a way to an address ends in, as its caller sees it.
    fn way(&self, target: Option<u64>) -> Option<&'a str> {
        let end = self.ends[self.code.index_of(target?)?]?;
        Some(self.code.symbols.get(&target?).map_or(end, String::as_str))
    }

    fn fate(&self, index: usize) -> Option<&'a str> {
        let instruction = self.code.instructions[index];
        let (there, behind) = (self.way(instruction.target), self.after(index));
        match instruction.kind {
            Kind::Trap => Some(TRAP),
            Kind::Stop => None,
            Kind::Jump => there,
            Kind::Plain => behind,
            // What the compiler puts behind a call that does not return says nothing about the call.
            Kind::Call => there.or(behind.filter(|end| *end != TRAP)),
            Kind::Branch => there.filter(|_| behind.is_some()),
        }
    }
}

struct Search<'a> {
    doom: &'a Doom<'a>,
    /// Instructions that belong to a site that was found, or to an end.
    seen: Vec<bool>,
    /// The targets of doomed branches.
    waiting: Vec<usize>,
    sites: Vec<Site>,
}

impl Search<'_> {
    fn found(&mut self, index: usize, end: &str) {
        let address = self.doom.code.instructions[index].address;
        self.sites.push(Site { address, end: end.to_string() });
    }

    /// Marks all that is behind a site, up to the end.
    fn walk(&mut self, from: usize) {
        let code = self.doom.code;
        let mut index = from;
        while self.seen.get(index) == Some(&false) && self.doom.ends[index].is_some() {
            self.seen[index] = true;
            let instruction = code.instructions[index];
            let target = instruction.target.and_then(|target| code.index_of(target));
            match (instruction.kind, target) {
                (Kind::Jump, Some(target)) => {
                    index = target;
                    continue;
                }
                (Kind::Branch, Some(target)) => self.waiting.push(target),
                (Kind::Call, _) if self.doom.way(instruction.target).is_some() => return,
                (Kind::Trap, _) => return,
                _ => {}
            }
            if instruction.last {
                return;
            }
            index += 1;
        }
    }

    /// Marks the functions that are ends themselves; their instructions.
    fn skip_ends(&mut self) -> Vec<bool> {
        let code = self.doom.code;
        for first in code.symbols.keys().filter_map(|address| code.index_of(*address)) {
            if self.doom.ends[first].is_some() {
                let length =
                    code.instructions[first..].iter().take_while(|instruction| !instruction.last).count();
                self.seen[first..=first + length].fill(true);
            }
        }
        self.seen.clone()
    }

    /// The branches with a doomed way.
    fn branches(&mut self) {
        for (index, instruction) in self.doom.code.instructions.iter().enumerate() {
            if instruction.kind != Kind::Branch || self.doom.ends[index].is_some() || self.seen[index] {
                continue;
            }
            let there = instruction.target.and_then(|target| self.doom.code.index_of(target));
            let ways =
                [(self.doom.way(instruction.target), there), (self.doom.after(index), Some(index + 1))];
            for (end, first) in ways {
                if let (Some(end), Some(first)) = (end, first) {
                    if !end.starts_with(DELIBERATE) {
                        self.found(index, end);
                    }
                    self.walk(first);
                }
            }
        }
        while let Some(index) = self.waiting.pop() {
            self.walk(index);
        }
    }

    fn deliberate_calls(&mut self, ends: &[bool]) {
        let code = self.doom.code;
        for (index, instruction) in code.instructions.iter().enumerate().filter(|(index, _)| !ends[*index]) {
            let is_function = instruction.target.is_some_and(|target| code.symbols.contains_key(&target));
            if matches!(instruction.kind, Kind::Call | Kind::Jump)
                && is_function
                && let Some(end) = self.doom.way(instruction.target).filter(|end| end.starts_with(DELIBERATE))
            {
                self.found(index, end);
            }
        }
    }

    /// What is doomed behind no branch.
    fn rest(&mut self) {
        for index in 0..self.seen.len() {
            if let Some(end) = self.doom.ends[index].filter(|_| !self.seen[index] && self.reaches(index)) {
                self.found(index, end);
                self.walk(index);
            }
        }
    }

    /// Whether an end is called from here. Padding, and what stands behind an end, is never executed.
    fn reaches(&self, from: usize) -> bool {
        let rest = &self.doom.code.instructions[from..];
        let next = rest.iter().find(|instruction| instruction.kind != Kind::Plain || instruction.last);
        next.is_some_and(|next| {
            matches!(next.kind, Kind::Call | Kind::Jump) && self.doom.way(next.target).is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends that every program here has.
    const PANIC: &str = "900 <core::panicking::panic>:\n 900:\thlt\n";
    const STOP: &str = "980 <xenstore_stubdom::image::fatal::stop>:\n 980:\thlt\n";

    /// The sites of a program, each as its address and what is called.
    fn found(program: &str) -> Vec<String> {
        let text = format!("{program}\n{PANIC}{STOP}");
        let sites = sites(&Code::parse(&text)).expect("it has ends");
        sites.iter().map(|site| format!("{:x} {}", site.address, site.end)).collect()
    }

    #[test]
    fn a_branch_over_a_panic_is_a_site() {
        let over = "100 <f>:\n 100:\tje 110\n 102:\tmov %rax,%rdi\n 104:\tcall 900\n 109:\tud2\n 110:\tret\n";
        assert_eq!(found(over), ["100 core::panicking::panic"]);
        let to = "100 <f>:\n 100:\tje 110\n 102:\tret\n 110:\tcall 900\n";
        assert_eq!(found(to), ["100 core::panicking::panic"]);
        let neither = "100 <f>:\n 100:\tje 110\n 102:\tcall 110\n 107:\tret\n110 <g>:\n 110:\tret\n";
        assert_eq!(found(neither), [""; 0]);
    }

    #[test]
    fn what_always_panics_is_an_end_with_its_own_name() {
        let program =
            "100 <f>:\n 100:\tjne 110\n 102:\tret\n110 <fails>:\n 110:\tmov $1,%edi\n 115:\tjmp 900\n";
        assert_eq!(found(program), ["100 fails"]);
        let nested =
            "100 <f>:\n 100:\tjne 106\n 102:\tret\n 106:\tje 110\n 108:\tcall 900\n 110:\tcall 900\n";
        assert_eq!(found(nested), ["100 core::panicking::panic"], "one decision, however it goes on");
    }

    #[test]
    fn an_undefined_instruction_is_an_end_but_for_the_call_before_it() {
        assert_eq!(found("100 <f>:\n 100:\tje 106\n 102:\tret\n 106:\tud2\n"), ["100 ud2"]);
        let call = "100 <f>:\n 100:\tje 106\n 102:\tret\n 106:\tcall 110\n 10b:\tud2\n110 <g>:\n 110:\tret\n";
        assert_eq!(found(call), [""; 0]);
    }

    #[test]
    fn deliberate_ends_are_their_calls() {
        let program =
            "100 <f>:\n 100:\tje 106\n 102:\tret\n 106:\tmov $1,%edi\n 10b:\tcall 980\n 110:\tud2\n";
        assert_eq!(found(program), ["10b xenstore_stubdom::image::fatal::stop"]);
    }

    #[test]
    fn what_only_a_table_leads_to_is_a_site_by_itself() {
        let table = "100 <f>:\n 100:\tjmp *0x200(,%rax,8)\n 107:\tret\n 108:\tmov $1,%edi\n 10d:\tcall 900\n 112:\tint3\n";
        assert_eq!(found(table), ["108 core::panicking::panic"]);
        let padding = "100 <f>:\n 100:\tret\n 101:\tnop\n 102:\tud2\n";
        assert_eq!(found(padding), [""; 0]);
    }

    #[test]
    fn a_circle_does_not_end() {
        assert_eq!(found("100 <f>:\n 100:\tje 104\n 102:\tjmp 100\n 104:\tjmp 104\n"), [""; 0]);
    }

    #[test]
    fn a_program_without_a_known_end_cannot_be_judged() {
        assert!(sites(&Code::parse("100 <f>:\n 100:\tud2\n")).is_err());
    }
}
