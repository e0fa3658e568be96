//! A program's instructions, as objdump prints them.

use std::collections::BTreeMap;

/// Where an instruction goes on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// To the next one.
    Plain,
    /// To the target, and from there to the next one.
    Call,
    /// To the target.
    Jump,
    /// To the target or to the next one.
    Branch,
    /// Nowhere that can be seen here: a return, or a wait for an interrupt.
    Stop,
    /// Nowhere: it is undefined.
    Trap,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Instruction {
    pub address: u64,
    pub kind: Kind,
    /// Where it may go, if the instruction itself says that.
    pub target: Option<u64>,
    /// It is its function's last.
    pub last: bool,
}

#[derive(Default)]
pub struct Code {
    /// In the order of their addresses.
    pub instructions: Vec<Instruction>,
    /// Functions by their first instruction's address.
    pub symbols: BTreeMap<u64, String>,
}

impl Code {
    pub fn parse(text: &str) -> Code {
        let mut code = Code::default();
        for line in text.lines() {
            if let Some((address, name)) = label(line) {
                code.end_function();
                code.symbols.insert(address, name);
            } else if let Some(instruction) = instruction(line) {
                code.instructions.push(instruction);
            }
        }
        code.end_function();
        code
    }

    fn end_function(&mut self) {
        if let Some(instruction) = self.instructions.last_mut() {
            instruction.last = true;
        }
    }

    /// The index of the instruction at an address.
    pub fn index_of(&self, address: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&address, |instruction| instruction.address).ok()
    }
}

/// A function's head: `0000000000201000 <core::panicking::panic::h0123456789abcdef>:`.
fn label(line: &str) -> Option<(u64, String)> {
    let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let is_hash = |hash: &str| !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = match name.rsplit_once("::h") {
        Some((before, hash)) if is_hash(hash) => before,
        _ => name,
    };
    Some((address, without_hashes(name)))
}

/// A name without the crates' hashes: `xenstore[0123456789abcdef]::ring` is `xenstore::ring`.
fn without_hashes(name: &str) -> String {
    let (mut plain, mut rest) = (String::new(), name);
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        match after.split_once(']') {
            Some((hash, behind)) if !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                rest = behind;
            }
            _ => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain + rest
}

/// One line: blanks, the address, a colon, a tab, the operation, its operands.
fn instruction(line: &str) -> Option<Instruction> {
    let (address, text) = line.strip_prefix(' ')?.split_once(":\t")?;
    let address = u64::from_str_radix(address.trim_start(), 16).ok()?;
    let mut words = text.split_whitespace();
    let mut operation = words.next().unwrap_or_default();
    if matches!(operation, "rep" | "repz" | "lock" | "bnd" | "notrack") {
        operation = words.next().unwrap_or_default();
    }
    let target = words.next().and_then(|word| u64::from_str_radix(word, 16).ok());
    let kind = match operation {
        _ if operation.starts_with("call") => Kind::Call,
        _ if operation.starts_with("jmp") => Kind::Jump,
        _ if operation.starts_with('j') || operation.starts_with("loop") => Kind::Branch,
        _ if ["ret", "iret", "hlt", "sysret"].iter().any(|stop| operation.starts_with(stop)) => Kind::Stop,
        _ if ["ud0", "ud1", "ud2"].iter().any(|trap| operation.starts_with(trap)) => Kind::Trap,
        _ => Kind::Plain,
    };
    Some(Instruction { address, kind, target, last: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_disassembly_are_read() {
        let kinds = [
            ("mov    %rsp,%rbp", Kind::Plain, None),
            ("callq  2010a0 <memcpy>", Kind::Call, Some(0x2010a0)),
            ("call   *0x10(%rax)", Kind::Call, None),
            ("jmp    201003 <f+0x3>", Kind::Jump, Some(0x201003)),
            ("notrack jmp *%rax", Kind::Jump, None),
            ("bnd jne 201003 <f+0x3>", Kind::Branch, Some(0x201003)),
            ("loop   201003 <f+0x3>", Kind::Branch, Some(0x201003)),
            ("rep stos %al,%es:(%rdi)", Kind::Plain, None),
            ("iretq", Kind::Stop, None),
            ("ret", Kind::Stop, None),
            ("ud2", Kind::Trap, None),
            ("", Kind::Plain, None),
        ];
        for (text, kind, target) in kinds {
            let read = instruction(&format!("  201000:\t{text}"));
            assert_eq!(read, Some(Instruction { address: 0x201000, kind, target, last: false }), "{text}");
        }
        for other in ["", "Disassembly of section .text:", "201000:\tret", "\t...", "  elf:\tret"] {
            assert_eq!(instruction(other), None, "{other}");
        }
    }

    #[test]
    fn functions_have_names_without_hashes_and_a_last_instruction() {
        let code = Code::parse(
            "0000000000201000 <<a[0b1]::B as c::D>::e::h0123456789abcdef>:\n  201000:\tret\n  201001:\tint3\n\n\
             0000000000201010 <f[]::h>:\n  201010:\tret\n",
        );
        let names = [(0x201000, "<a::B as c::D>::e"), (0x201010, "f[]::h")];
        assert_eq!(code.symbols, names.map(|(at, name)| (at, name.to_string())).into());
        let lasts = code.instructions.iter().map(|instruction| instruction.last).collect::<Vec<_>>();
        assert_eq!(lasts, [false, true, true]);
        assert_eq!([0x201001, 0x201002].map(|at| code.index_of(at)), [Some(1), None]);
    }
}
