//! All that a store holds, to compare one with another.

use std::collections::BTreeMap;

use support::lives::{World, read_in_parts};
use xenstore::wire::{MessageType, TxId};

/// By path: the value, and the permissions.
pub type Tree = BTreeMap<Vec<u8>, [Vec<u8>; 2]>;

/// The nodes from the root on, as dom0 reads them.
pub fn tree(world: &mut impl World) -> Result<Tree, String> {
    let dom0 = world.dom0();
    let mut tree = Tree::new();
    let mut left = vec![b"/".to_vec()];
    while let Some(path) = left.pop() {
        let payload = [path.as_slice(), b"\0"].concat();
        let mut ask = |kind| {
            let answer = world.ask(dom0, kind, TxId::NONE, &payload)?;
            answer.error.map_or(Ok(answer.payload), |error| {
                Err(format!("{error} for {} of {}", kind.name(), path.escape_ascii()))
            })
        };
        tree.insert(path.clone(), [ask(MessageType::Read)?, ask(MessageType::GetPerms)?]);
        let names = read_in_parts(world, dom0, TxId::NONE, &payload)?;
        let above: &[u8] = if path == b"/" { b"" } else { &path };
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        left.extend(names.map(|name| [above, b"/", name].concat()));
    }
    Ok(tree)
}
