//! ORIGINS: the layers that the store began with. Which of them each node comes from is in GENERATIONS. GONE: a node that
//! one of them had.

use super::fault::Fault;
use super::format::{Fixed, GONE, Gone, ORIGINS, Origin, Origins};
use super::reader::Reader;
use super::writer::Writer;
use crate::path::{Path, PathBuf};
use crate::slots::Full;
use crate::store::{self, Layer, LayerName, Store};
use crate::wire::XsError;

/// Bytes as which a slot counts in which a node may be that is gone.
const SLOT: usize = 4;

#[cold]
#[inline(never)]
pub fn save(writer: &mut Writer<'_>, store: &Store) -> Result<(), Full> {
    let store::Origins { layers, fused } = &store.origins;
    let names: usize = layers.iter().map(|layer| Origin::SIZE + layer.name.len()).sum();
    let head = Origins { generation: *fused, layers: layers.len() as u16, ..Origins::default() };
    writer.begin_with(ORIGINS, &head, names)?;
    for Layer { name, nodes, removals, left_out: (fault, line, column) } in layers {
        writer.part(&Origin {
            nodes: *nodes,
            removals: *removals,
            line: *line,
            column: *column,
            fault: *fault,
            name: name.len() as u8,
            ..Origin::default()
        })?;
        writer.bytes(name)?;
    }
    writer.end()
}

/// What is gone, from a slot on in which such a node may be. The result is the next slot, none if there is none.
#[cold]
#[inline(never)]
pub fn save_gone(writer: &mut Writer<'_>, store: &Store, from: usize) -> Result<Option<usize>, Full> {
    let mut buf = PathBuf::new();
    for slot in from.. {
        let Some(id) = store.nth_node(slot) else { break };
        if writer.is_much() {
            return Ok(Some(slot));
        }
        writer.count(SLOT);
        if store.is_gone(id) {
            let path = store.path_of(id, &mut buf).map_err(|_| Full)?.as_bytes();
            writer.begin_with(GONE, &Gone { len: path.len() as u16, ..Gone::default() }, path.len())?;
            writer.bytes(path)?;
            writer.end()?;
        }
    }
    Ok(None)
}

#[cold]
#[inline(never)]
pub fn restore(reader: &mut Reader<'_>, store: &mut Store) -> Result<(), Fault> {
    let Origins { generation, layers, .. } = reader.part()?;
    store.origins.layers.clear();
    for _ in 0..layers {
        let Origin { nodes, removals, line, column, fault, name, .. } = reader.part()?;
        let mut text = LayerName::new();
        reader.gather(name.into(), &mut text, Fault::LongPath)?;
        let layer = Layer { name: text, nodes, removals, left_out: (fault, line, column) };
        store.origins.layers.push(layer).map_err(|_| Fault::TooManyLayers)?;
    }
    store.origins.fused = generation;
    Ok(())
}

#[cold]
#[inline(never)]
pub fn restore_gone(reader: &mut Reader<'_>, store: &mut Store, buf: &mut PathBuf) -> Result<(), Fault> {
    let Gone { len, .. } = reader.part()?;
    reader.gather(len.into(), buf, Fault::BadPath)?;
    let path = Path::absolute(buf).ok_or(Fault::BadPath)?;
    store.restore_gone(path).map_err(|error| match error {
        XsError::EINVAL => Fault::NoParent,
        XsError::EEXIST => Fault::NodeTwice,
        _ => Fault::NoRoom,
    })
}
