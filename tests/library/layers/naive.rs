//! The rules of fusing as one would write them down, without a store: what the properties compare it with.

use super::Tree;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Whiteout(String),
    Opaque(String),
    Node(String, Option<String>, Option<String>),
}

/// A layer: what it says, in order.
pub type Layer = Vec<Said>;

pub fn text(name: &str, layer: &Layer) -> String {
    let line = |said: &Said| match said {
        Said::Whiteout(path) => format!("whiteout {path}\n"),
        Said::Opaque(path) => format!("opaque {path}\n"),
        Said::Node(path, value, permissions) => {
            let value = value.as_ref().map_or(":".to_string(), |value| format!(" = \"{value}\""));
            let permissions = permissions.as_ref().map_or(String::new(), |list| format!("   ({list})"));
            format!("{path}{value}{permissions}\n")
        }
    };
    format!("layer {name}\n") + &layer.iter().map(line).collect::<String>()
}

pub fn module(layers: &[&Layer]) -> String {
    let texts = layers.iter().enumerate().map(|(n, layer)| text(&format!("l{n}"), layer));
    texts.collect::<String>() + "end\n"
}

/// Whether a path is that one or below it.
fn is_within(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty())
}

/// Whether the layer says that the lower layers' node is not there.
fn removes(layer: &Layer, path: &str) -> bool {
    layer.iter().any(|said| match said {
        Said::Whiteout(top) => is_within(path, top),
        Said::Opaque(top) => path != top && is_within(path, top),
        Said::Node(..) => false,
    })
}

fn make(tree: &mut Tree, path: &str) {
    if tree.contains_key(path) {
        return;
    }
    let permissions = match parent(path) {
        Some(above) => {
            make(tree, above);
            tree[above].1.clone()
        }
        None => "n0".to_string(),
    };
    tree.insert(path.to_string(), (String::new(), permissions));
}

/// Lays a layer over a tree: first what it removes, then its nodes in order.
pub fn lay(tree: &mut Tree, layer: &Layer) {
    tree.retain(|path, _| !removes(layer, path));
    for said in layer {
        let Said::Node(path, value, permissions) = said else { continue };
        make(tree, path);
        let node = tree.get_mut(path).expect("just made");
        node.0 = value.clone().unwrap_or(node.0.clone());
        node.1 = permissions.clone().unwrap_or(node.1.clone());
    }
}

/// The one layer that does what the two do, the first below the second.
pub fn compose(low: &Layer, up: &Layer) -> Layer {
    let mut both: Layer =
        low.iter().chain(up).filter(|said| !matches!(said, Said::Node(..))).cloned().collect();
    for said in low {
        let Said::Node(path, ..) = said else { continue };
        if !removes(up, path) {
            both.push(said.clone());
            continue;
        }
        // What it has made above itself stays.
        let mut above = parent(path);
        while let Some(path) = above {
            if !removes(up, path) {
                both.push(Said::Node(path.to_string(), None, None));
                break;
            }
            above = parent(path);
        }
    }
    both.extend(up.iter().filter(|said| matches!(said, Said::Node(..))).cloned());
    both
}
