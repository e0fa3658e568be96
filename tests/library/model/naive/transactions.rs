//! Transactions: what makes one fail, and its effects.

use super::*;

impl Model {
    pub(super) fn start(&mut self, who: u16, tx: u32) -> Result<String> {
        if tx != 0 {
            return Err("EBUSY");
        }
        let count = self.domains[&who].open.len();
        if self.exceeds(who, "transactions", count + 1) {
            return Err("ENOSPC");
        }
        let (epoch, deaths) = (self.epoch, self.dead.len());
        let domain = self.domain(who);
        domain.last_tx += 1;
        domain.open.insert(domain.last_tx, Transaction { epoch, deaths, ..Transaction::default() });
        Ok(format!("{}|", domain.last_tx))
    }

    pub(super) fn end(&mut self, who: u16, tx: u32, commit: bool) -> Result<String> {
        let open = self.domain(who).open.remove(&tx).ok_or("ENOENT")?;
        if !commit {
            return Ok("OK|".into());
        }
        if open.failed {
            return Err("ENOMEM");
        }
        let lent_no_more = open.lent.is_some() && open.lent != self.living_target(who);
        if lent_no_more {
            return Err("EAGAIN");
        }
        for path in &open.looked_at {
            let copy = &open.copies[path];
            if self.conflicts(path, copy, open.deaths) {
                return Err("EAGAIN");
            }
            self.may_grow(who, path, copy)?;
        }
        let mut after = self.clone();
        after.apply(&open);
        let full = |domid: &u16| {
            let life = self.domains[domid].life;
            let (before, after) = (self.owned(life), after.owned(life));
            after > before && self.exceeds(*domid, "nodes", after)
        };
        if who != 0 && self.domains.keys().any(full) {
            return Err("ENOSPC");
        }
        if open.epoch == self.epoch && self.bug == Bug::None {
            after.complaint = self.do_again(who, &open, &after).err();
        }
        let before = std::mem::replace(self, after).tree;
        let mut order = open.looked_at.clone();
        if self.bug == Bug::CommitFiresInOrderOfPaths {
            order.sort();
        }
        for path in order {
            let copy = &open.copies[&path];
            let Some(change) = copy.fires else { continue };
            // What was there was last as others have left it.
            let old = copy.seen.as_ref().map(|seen| {
                let first = self.bug == Bug::RightsAtFirstLookLast && copy.now.is_some();
                let last = if first { seen } else { &before[&path] };
                last.perms.clone()
            });
            match (&copy.now, old) {
                (Some(_), old) => self.fire_for_node(&path, change, old),
                (None, Some(old)) => self.fire(&path, change, &[old]),
                (None, None) => {}
            }
        }
        Ok("OK|".into())
    }

    /// What others have put there counts, too, beside what the transaction has written or added.
    fn may_grow(&self, who: u16, path: &str, copy: &Copy) -> Result<()> {
        let (Some(seen), Some(now), false) = (&copy.seen, &copy.now, copy.made) else { return Ok(()) };
        let before = bytes_of(&seen.children);
        let wrote = copy.wrote_value || copy.wrote_perms;
        if !(wrote || copy.names > before) || self.bug == Bug::CommitsMakeNodesTooLarge {
            return Ok(());
        }
        let there = &self.tree[path];
        let value = if copy.wrote_value { &now.value } else { &there.value };
        let names = (bytes_of(&there.children) + copy.names).saturating_sub(before);
        self.fits(who, now.perms.len(), value.len(), names)
    }

    /// Permissions have changed, too, if one whom they name has died after so many deaths: before the transaction began.
    pub(super) fn conflicts(&self, path: &str, copy: &Copy, deaths: usize) -> bool {
        let changed = match (&copy.seen, self.tree.get(path)) {
            (None, None) => false,
            (Some(seen), Some(node)) => {
                (copy.read_value && seen.value_changed != node.value_changed)
                    || (copy.read_children && seen.children_changed != node.children_changed)
                    || (copy.read_perms && seen.perms != node.perms)
            }
            _ => true,
        };
        let read = copy.seen.as_ref().filter(|_| copy.read_perms);
        let died =
            read.is_some_and(|node| node.perms.iter().any(|perm| self.dead[deaths..].contains(&perm.life)));
        let given = copy.now.as_ref().filter(|_| copy.wrote_perms);
        changed || died || given.is_some_and(|node| !self.is_living(node.perms[0].life))
    }

    pub(super) fn apply(&mut self, open: &Transaction) {
        for path in &open.looked_at {
            let copy = &open.copies[path];
            if !self.tree.contains_key(path) {
                continue;
            }
            match &copy.now {
                Some(node) if !copy.made => {
                    if copy.wrote_value {
                        self.set_value(path, node.value.clone());
                    }
                    if copy.wrote_perms {
                        self.set_perms(path, node.perms.clone());
                    }
                }
                _ => {
                    for path in self.post_order(path) {
                        self.drop_node(&path);
                    }
                }
            }
        }
        for path in &open.made {
            let node = open.copies[path].now.clone().expect("what was made is there");
            self.add(path, node.value, node.perms);
        }
    }

    /// Asserts that a successful transaction is as if all its requests had been made at its end: same answers, same
    /// tree.
    pub(super) fn do_again(
        &self,
        who: u16,
        open: &Transaction,
        after: &Model,
    ) -> std::result::Result<(), String> {
        if open.log.iter().any(|(_, answer)| answer == "ENOSPC") {
            return Ok(());
        }
        let mut again = self.clone();
        again.unlimited = true;
        for (request, answer) in &open.log {
            let told = again.ask(who, 0, request);
            let reply = told.iter().rfind(|(to, text)| *to == who && !text.starts_with("ev "));
            let reply = reply.map_or("", |(_, text)| text);
            if reply != answer {
                return Err(format!("done at once, {request} is answered {reply}"));
            }
        }
        let (once, apart) = (again.dump(), after.dump());
        if once == apart {
            Ok(())
        } else {
            Err(format!("done at once, the tree is\n{once:?}\nnot\n{apart:?}"))
        }
    }
}
