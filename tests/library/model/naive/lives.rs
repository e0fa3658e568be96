//! Domains: which are known, introduced and dead, and what is removed with them.

use super::*;

impl Model {
    pub(super) fn owned(&self, life: u32) -> usize {
        self.tree.values().filter(|node| node.perms[0].life == life).count()
    }

    /// The life of a domain that is on record or alive.
    pub fn know(&mut self, domid: u16) -> Option<u32> {
        if !self.domains.contains_key(&domid) {
            if !self.alive.contains(&domid) {
                return None;
            }
            self.lives += 1;
            let domain = Domain {
                life: self.lives,
                introduced: false,
                target: None,
                limits: self.limits.clone(),
                features: FEATURES,
                open: BTreeMap::new(),
                last_tx: 0,
            };
            self.domains.insert(domid, domain);
        }
        Some(self.domains[&domid].life)
    }

    pub(super) fn is_living(&self, life: u32) -> bool {
        self.domains.values().any(|domain| domain.life == life)
    }

    pub fn create(&mut self, domid: u16) {
        self.alive.insert(domid);
    }

    /// The domain dies and vanishes.
    pub fn die(&mut self, domid: u16) -> Vec<Message> {
        self.alive.remove(&domid);
        if self.domains.contains_key(&domid) {
            self.destroy(domid);
        }
        std::mem::take(&mut self.out)
    }

    pub(super) fn introduce(&mut self, domid: u16) -> Result<String> {
        self.epoch += 1;
        if domid == 0 || !self.alive.contains(&domid) {
            return Err("EINVAL");
        }
        self.know(domid);
        if self.domain(domid).introduced {
            self.drop_session(domid);
        } else {
            self.domain(domid).introduced = true;
            self.fire_special("@introduceDomain", domid);
        }
        Ok("OK|".into())
    }

    pub(super) fn release(&mut self, domid: u16) -> Result<String> {
        match self.is_introduced(domid) {
            _ if domid == 0 => Err("EINVAL"),
            false => Err("ENOENT"),
            true => {
                self.destroy(domid);
                Ok("OK|".into())
            }
        }
    }

    /// The quotas of a domain that is on record or alive, or the defaults.
    fn limits_of(&mut self, domid: Option<u16>) -> Result<&mut Limits> {
        let Some(domid) = domid else { return Ok(&mut self.limits) };
        self.know(domid).ok_or("ENOENT")?;
        Ok(&mut self.domain(domid).limits)
    }

    pub(super) fn set_quota(&mut self, domid: Option<u16>, name: &str, value: &str) -> Result<String> {
        self.epoch += 1;
        let limit = self.limits_of(domid)?.get_mut(name).ok_or("EINVAL")?;
        *limit = value.parse().map_err(|_| "EINVAL")?;
        if self.bug == Bug::DefaultsBindWhoIsThere && domid.is_none() {
            let limits = self.limits.clone();
            self.domains.values_mut().for_each(|domain| domain.limits = limits.clone());
        }
        Ok("OK|".into())
    }

    pub(super) fn get_quota(&mut self, domid: Option<u16>, name: &str) -> Result<String> {
        self.limits_of(domid)?.get(name).map(|limit| format!("{limit}|")).ok_or("EINVAL")
    }

    pub(super) fn set_feature(&mut self, domid: u16, value: &str) -> Result<String> {
        self.epoch += 1;
        self.know(domid).ok_or("ENOENT")?;
        if self.is_introduced(domid) {
            return Err("EBUSY");
        }
        let features = value.parse().ok().filter(|features| *features <= FEATURES).ok_or("EINVAL")?;
        self.domain(domid).features = features;
        Ok("OK|".into())
    }

    pub(super) fn get_feature(&mut self, who: u16, domid: Option<u16>) -> Result<String> {
        if who != 0 && domid.is_some() {
            return Err("EACCES");
        }
        let domid = domid.unwrap_or(who);
        self.know(domid).ok_or("ENOENT")?;
        Ok(format!("{}|", self.domains[&domid].features))
    }

    pub(super) fn is_offered(&self, who: u16, feature: u32) -> bool {
        self.domains[&who].features & feature != 0 || self.bug == Bug::FeaturesDoNothing
    }

    pub(super) fn drop_session(&mut self, domid: u16) {
        self.watches.retain(|watch| watch.domid != domid);
        self.domain(domid).open.clear();
    }

    pub(super) fn destroy(&mut self, domid: u16) {
        self.epoch += 1;
        self.drop_session(domid);
        let life = self.domains[&domid].life;
        loop {
            let owned = self.tree.iter().filter(|(_, node)| node.perms[0].life == life);
            let first = owned.min_by_key(|(_, node)| node.owned_since);
            let Some(path) = first.map(|(path, _)| path.clone()) else { break };
            // These stay, and go to dom0.
            if parent(&path).is_none() {
                let now = self.tick();
                let dom0 = self.domains[&0].life;
                let node = self.node(&path);
                node.perms[0] = Perm { domid: 0, life: dom0, ..node.perms[0].clone() };
                node.owned_since = now;
                continue;
            }
            let mut top = path.as_str();
            let mut at = path.as_str();
            while let Some(above) = parent(at) {
                at = above;
                if self.tree[at].perms[0].life == life && at != "/" {
                    top = at;
                }
            }
            self.remove_tree(top);
        }
        let introduced = self.domains[&domid].introduced;
        self.dead.push(life);
        if self.bug != Bug::RightsOutliveADomain {
            self.domains.remove(&domid);
        } else {
            self.domain(domid).introduced = false;
        }
        if introduced {
            self.fire_special("@releaseDomain", domid);
        }
    }
}
