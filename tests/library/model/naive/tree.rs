//! Nodes outside any transaction.

use super::*;

impl Model {
    pub(super) fn add(&mut self, path: &str, value: String, perms: Vec<Perm>) {
        let now = self.tick();
        if let Some(above) = parent(path) {
            let sorted = self.bug == Bug::ChildrenAreSorted;
            let above = self.node(above);
            above.children.push(name(path).to_string());
            above.children_changed = now;
            if sorted {
                above.children.sort();
            }
        }
        let node = Node {
            value,
            perms,
            children: Vec::new(),
            value_changed: now,
            children_changed: now,
            owned_since: now,
        };
        self.tree.insert(path.to_string(), node);
    }

    pub(super) fn set_value(&mut self, path: &str, value: String) {
        let now = self.tick();
        let node = self.node(path);
        node.value = value;
        node.value_changed = now;
    }

    pub(super) fn set_perms(&mut self, path: &str, perms: Vec<Perm>) {
        let now = self.tick();
        let node = self.node(path);
        if node.perms[0] != perms[0] {
            node.owned_since = now;
        }
        node.perms = perms;
    }

    pub(super) fn drop_node(&mut self, path: &str) {
        let now = self.tick();
        self.tree.remove(path);
        if let Some(above) = parent(path) {
            let above = self.node(above);
            above.children.retain(|other| other != name(path));
            above.children_changed = now;
        }
    }

    /// The node and all below it, each above its children.
    pub(super) fn subtree(&self, top: &str) -> Vec<String> {
        let mut all = vec![top.to_string()];
        for name in &self.tree[top].children {
            all.extend(self.subtree(&child(top, name)));
        }
        all
    }

    /// The node and all below it, each after its children.
    pub(super) fn post_order(&self, top: &str) -> Vec<String> {
        let below = self.tree[top].children.iter().flat_map(|name| self.post_order(&child(top, name)));
        below.chain([top.to_string()]).collect()
    }

    pub(super) fn remove_tree(&mut self, top: &str) {
        for path in self.post_order(top) {
            let mut lists = vec![self.tree[&path].perms.clone()];
            lists.extend(parent(&path).map(|above| self.tree[above].perms.clone()));
            let change = if path == top { Change::Subtree } else { Change::Exact };
            self.fire(&path, change, &lists);
            self.drop_node(&path);
        }
    }
}
