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

/// `nodes`: how many there are in the tree.
#[cold]
#[inline(never)]
pub fn save(writer: &mut Writer<'_>, store: &Store, nodes: usize) -> Result<(), Full> {
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
    writer.end()?;
    // All slots in use are nodes of the tree, or some are gone.
    if store.in_use().nodes == nodes {
        return Ok(());
    }
    let mut buf = PathBuf::new();
    for (id, _) in store.gone() {
        let path = store.path_of(id, &mut buf).map_err(|_| Full)?.as_bytes();
        writer.begin_with(GONE, &Gone { len: path.len() as u16, ..Gone::default() }, path.len())?;
        writer.bytes(path)?;
        writer.end()?;
    }
    Ok(())
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
