//! One client's view of the nodes, in a transaction or not.

use super::*;

impl Model {
    pub(super) fn copy(&mut self, who: u16, tx: u32, path: &str) -> &mut Copy {
        let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
        open.copies.get_mut(path).expect("it was looked at")
    }

    pub(super) fn look(&mut self, who: u16, tx: u32, path: &str) -> Result<()> {
        let count = self.domains[&who].open[&tx].looked_at.len();
        if self.domains[&who].open[&tx].copies.contains_key(path) {
            return Ok(());
        }
        if self.exceeds(who, "transaction-nodes", count + 1) {
            self.domain(who).open.get_mut(&tx).expect("an open transaction").failed = true;
            return Err("ENOSPC");
        }
        let seen = self.tree.get(path).cloned();
        let copy = Copy {
            names: seen.as_ref().map_or(0, |node| bytes_of(&node.children)),
            now: seen.clone(),
            seen,
            made: false,
            read_value: false,
            read_perms: false,
            read_children: false,
            wrote_value: false,
            wrote_perms: false,
            fires: None,
        };
        let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
        open.copies.insert(path.to_string(), copy);
        open.looked_at.push(path.to_string());
        Ok(())
    }

    pub(super) fn exists(&mut self, who: u16, tx: u32, path: &str) -> Result<bool> {
        if tx == 0 {
            return Ok(self.tree.contains_key(path));
        }
        self.look(who, tx, path)?;
        Ok(self.copy(who, tx, path).now.is_some())
    }

    pub(super) fn nearest(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        let mut at = path;
        while !self.exists(who, tx, at)? {
            at = parent(at).ok_or("ENOENT")?;
        }
        Ok(at.to_string())
    }

    pub(super) fn perms_at(&mut self, who: u16, tx: u32, path: &str) -> Vec<Perm> {
        if tx == 0 {
            return self.tree[path].perms.clone();
        }
        let copy = self.copy(who, tx, path);
        copy.read_perms |= !copy.wrote_perms;
        copy.now.as_ref().expect("it exists").perms.clone()
    }

    /// How large a node is: entries, bytes of the value, of the children's names.
    pub(super) fn parts(&mut self, who: u16, tx: u32, path: &str) -> (usize, usize, usize) {
        if tx == 0 {
            let node = &self.tree[path];
            return (node.perms.len(), node.value.len(), bytes_of(&node.children));
        }
        let copy = self.copy(who, tx, path);
        let node = copy.now.as_ref().expect("it exists");
        (node.perms.len(), node.value.len(), copy.names)
    }

    pub(super) fn fits(&self, who: u16, entries: usize, value: usize, names: usize) -> Result<()> {
        let large = self.exceeds(who, "node-size", 16 + 8 * entries + value + names);
        if large { Err("ENOSPC") } else { Ok(()) }
    }

    pub(super) fn access_at(&mut self, who: u16, tx: u32, path: &str) -> u8 {
        if who == 0 {
            return READ | WRITE | OWNER;
        }
        if let (Some(target), 1..) = (self.living_target(who), tx) {
            let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
            open.lent = Some(if open.lent.is_none_or(|lent| lent == target) { target } else { NOBODY });
        }
        let perms = self.perms_at(who, tx, path);
        self.access(who, &perms)
    }

    /// The node is there and `who` has all of `needed`; else the error that says so.
    pub(super) fn seek(&mut self, who: u16, tx: u32, path: &str, needed: u8) -> Result<()> {
        if self.exists(who, tx, path)? {
            return if self.access_at(who, tx, path) & needed == needed { Ok(()) } else { Err("EACCES") };
        }
        if who == 0 {
            return Err("ENOENT");
        }
        // Above special names there is the root.
        let above = parent(path).unwrap_or("/");
        let nearest = self.nearest(who, tx, above)?;
        Err(if self.access_at(who, tx, &nearest) & needed != 0 { "ENOENT" } else { "EACCES" })
    }

    pub(super) fn create_at(&mut self, who: u16, tx: u32, path: &str, value: &str) -> Result<()> {
        let above = parent(path).ok_or("EINVAL")?;
        let nearest = self.nearest(who, tx, above)?;
        let mut perms = self.perms_at(who, tx, &nearest);
        let count = depth_below(path, &nearest).expect("it is above");
        let owned = self.owned(self.domains[&who].life);
        let spare = usize::from(self.bug == Bug::OneNodeTooMany);
        if tx == 0 && self.exceeds(who, "nodes", (owned + count).saturating_sub(spare)) {
            return Err("ENOSPC");
        }
        if who != 0 && self.bug != Bug::GuestsInheritTheOwner {
            perms[0] = Perm { domid: who, life: self.domains[&who].life, ..perms[0].clone() };
        }
        let mut missing: Vec<&str> =
            std::iter::successors(Some(path), |path| parent(path)).take_while(|at| *at != nearest).collect();
        missing.reverse();
        let (_, mut beside, mut names) = self.parts(who, tx, &nearest);
        for at in &missing {
            self.fits(who, perms.len(), beside, names + name(at).len() + 1)?;
            (beside, names) = (0, 0);
        }
        self.fits(who, perms.len(), value.len(), 0)?;
        for at in missing {
            let value = if at == path { value } else { "" };
            if tx == 0 {
                self.add(at, value.to_string(), perms.clone());
                continue;
            }
            let now = self.tick();
            let copy = self.copy(who, tx, at);
            copy.now = Some(Node {
                value: value.to_string(),
                perms: perms.clone(),
                children: Vec::new(),
                value_changed: now,
                children_changed: now,
                owned_since: now,
            });
            (copy.made, copy.wrote_value, copy.wrote_perms) = (true, true, true);
            copy.names = 0;
            if at == path {
                copy.fires = Some(Change::Subtree);
            }
            let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
            open.made.push(at.to_string());
            let above = parent(at).expect("it is below the root");
            self.copy(who, tx, above).names += name(at).len() + 1;
        }
        Ok(())
    }
}
