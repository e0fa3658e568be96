//! Requests about nodes.

use super::*;

impl Model {
    pub(super) fn write(&mut self, who: u16, tx: u32, path: &str, value: &str) -> Result<String> {
        let found = self.seek(who, tx, path, WRITE);
        if found.is_ok() {
            let (entries, _, names) = self.parts(who, tx, path);
            self.fits(who, entries, value.len(), names)?;
        }
        match found {
            Ok(()) if tx == 0 => self.set_value(path, value.to_string()),
            Ok(()) => {
                let conflicts = self.bug == Bug::BlindWritesConflict;
                let copy = self.copy(who, tx, path);
                copy.now.as_mut().expect("it exists").value = value.to_string();
                copy.wrote_value = true;
                copy.read_value |= conflicts;
                copy.fires = Some(Change::Subtree);
            }
            Err("ENOENT") => self.create_at(who, tx, path, value)?,
            Err(error) => return Err(error),
        }
        if tx == 0 {
            self.fire_for_node(path, Change::Subtree, None);
        }
        Ok("OK|".into())
    }

    pub(super) fn mkdir(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        match self.seek(who, tx, path, WRITE) {
            Ok(()) => {}
            Err("ENOENT") => {
                self.create_at(who, tx, path, "")?;
                if tx == 0 {
                    self.fire_for_node(path, Change::Subtree, None);
                }
            }
            Err(error) => return Err(error),
        }
        Ok("OK|".into())
    }

    pub(super) fn rm(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        match self.seek(who, tx, path, WRITE) {
            Ok(()) if path == "/" => return Err("EINVAL"),
            Ok(()) if tx == 0 => self.remove_tree(path),
            Ok(()) => self.remove_copies(who, tx, path)?,
            Err("ENOENT") => {
                if !self.exists(who, tx, parent(path).ok_or("EINVAL")?)? {
                    return Err("ENOENT");
                }
            }
            Err(error) => return Err(error),
        }
        Ok("OK|".into())
    }

    pub(super) fn remove_copies(&mut self, who: u16, tx: u32, top: &str) -> Result<()> {
        if let Some(above) = parent(top) {
            self.look(who, tx, above)?;
        }
        let below = if self.tree.contains_key(top) { self.subtree(top) } else { Vec::new() };
        for path in below {
            self.look(who, tx, &path)?;
            self.copy(who, tx, &path).read_children = true;
        }
        if let Some(above) = parent(top) {
            let above = self.copy(who, tx, above);
            above.names = above.names.saturating_sub(name(top).len() + 1);
        }
        let open = self.domain(who).open.get_mut(&tx).expect("an open transaction");
        open.made.retain(|path| depth_below(path, top).is_none());
        for (path, copy) in &mut open.copies {
            if copy.now.is_some() && depth_below(path, top).is_some() {
                (copy.now, copy.names) = (None, 0);
                (copy.made, copy.wrote_value, copy.wrote_perms) = (false, true, true);
                if copy.fires != Some(Change::Subtree) {
                    copy.fires = Some(if path == top { Change::Subtree } else { Change::Exact });
                }
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        self.seek(who, tx, path, READ)?;
        if tx == 0 {
            return Ok(self.tree[path].value.clone());
        }
        let forgets = self.bug == Bug::ReadsDoNotConflict;
        let copy = self.copy(who, tx, path);
        copy.read_value |= !copy.wrote_value && !forgets;
        Ok(copy.now.as_ref().expect("it exists").value.clone())
    }

    pub(super) fn directory(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        self.seek(who, tx, path, READ)?;
        let mut here = self.tree.get(path).map(|node| node.children.clone()).unwrap_or_default();
        if tx == 0 {
            return Ok(here.iter().map(|name| format!("{name}|")).collect());
        }
        let copy = self.copy(who, tx, path);
        copy.read_children = true;
        // What others have put since where nothing was is another node's.
        if copy.seen.is_none() {
            here.clear();
        }
        let open = &self.domains[&who].open[&tx];
        let kept = here.iter().filter(|name| {
            open.copies.get(&child(path, name)).is_none_or(|copy| copy.now.is_some() && !copy.made)
        });
        let made = open.made.iter().filter(|made| parent(made) == Some(path));
        Ok(kept.map(|name| format!("{name}|")).chain(made.map(|path| format!("{}|", name(path)))).collect())
    }

    pub(super) fn get_perms(&mut self, who: u16, tx: u32, path: &str) -> Result<String> {
        self.seek(who, tx, path, READ)?;
        let perms = self.perms_at(who, tx, path);
        Ok(self.shown(&perms))
    }

    /// The list as it will be kept. Domains that it names become known.
    fn named(&mut self, who: u16, perms: &[(char, u16)]) -> Vec<Perm> {
        let perm = |(n, (letter, domid)): (usize, &(char, u16))| {
            let life = match self.know(*domid) {
                _ if *domid == ANY && n > 0 && self.is_offered(who, NAMES_ANY) => ANYBODY,
                Some(life) => life,
                None => NOBODY,
            };
            Perm { letter: *letter, domid: *domid, life }
        };
        perms.iter().enumerate().map(perm).collect()
    }

    pub(super) fn change_perms(
        &mut self,
        who: u16,
        tx: u32,
        path: &str,
        perms: &[(char, u16)],
    ) -> Result<String> {
        self.seek(who, tx, path, WRITE | OWNER)?;
        let old = self.perms_at(who, tx, path);
        if who != 0 && old[0].domid != perms[0].1 {
            return Err("EPERM");
        }
        let perms = self.named(who, perms);
        let (_, value, names) = self.parts(who, tx, path);
        self.fits(who, perms.len(), value, names)?;
        if tx == 0 {
            self.set_perms(path, perms);
            self.fire_for_node(path, Change::Subtree, Some(old));
        } else {
            let copy = self.copy(who, tx, path);
            copy.now.as_mut().expect("it exists").perms = perms;
            copy.wrote_perms = true;
            copy.fires = Some(Change::Subtree);
        }
        Ok("OK|".into())
    }
}
