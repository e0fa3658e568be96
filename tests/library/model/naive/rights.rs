//! Who may do what, and who hears of a change.

use super::*;

impl Model {
    pub(super) fn names(&self, who: u16, perm: &Perm) -> bool {
        let (domain, target) = (&self.domains[&who], self.living_target(who));
        perm.life != NOBODY && (perm.life == domain.life || Some(perm.life) == target || perm.life == ANYBODY)
    }

    pub(super) fn living_target(&self, who: u16) -> Option<u32> {
        self.domains[&who].target.filter(|target| self.is_living(*target))
    }

    pub(super) fn access(&self, who: u16, perms: &[Perm]) -> u8 {
        if who == 0 || self.names(who, &perms[0]) {
            return READ | WRITE | OWNER;
        }
        let entry = perms[1..].iter().find(|perm| self.names(who, perm));
        bits(entry.unwrap_or(&perms[0]).letter)
    }

    pub(super) fn shown(&self, perms: &[Perm]) -> String {
        let visible = perms.iter().enumerate().filter(|(n, perm)| {
            *n == 0 || perm.life == NOBODY || perm.life == ANYBODY || self.is_living(perm.life)
        });
        visible.map(|(_, perm)| format!("{}{}|", perm.letter, perm.domid)).collect()
    }

    pub(super) fn exceeds(&self, who: u16, quota: &str, amount: usize) -> bool {
        let limit = self.domains[&who].limits[quota] as usize;
        // How long a path may be does not depend on when it is asked for.
        let limited = !self.unlimited || quota == "path-max";
        who != 0 && limited && limit != 0 && amount > limit
    }

    // Events.

    pub(super) fn fire(&mut self, path: &str, change: Change, lists: &[Vec<Perm>]) {
        let special = path.starts_with('@');
        let of_one_domain = path.split_once('/').filter(|_| special).map(|(general, _)| general.to_string());
        let mut told: Vec<(u16, bool, String)> = Vec::new();
        for watch in self.watches.clone() {
            let below = depth_below(path, &watch.path);
            let wanted = match (below, watch.depth) {
                (None, Some(depth)) => depth > 0 && of_one_domain.as_ref() == Some(&watch.path),
                (None, None) => false,
                (Some(below), _) if below > 0 && change == Change::Exact => false,
                (Some(_), None) => true,
                (Some(_), Some(_)) if special && change == Change::Exact => of_one_domain.is_some(),
                (Some(below), Some(depth)) => below <= depth,
            };
            let may_read = lists.iter().any(|list| self.access(watch.domid, list) & READ != 0);
            let key = (watch.domid, watch.relative, watch.token.clone());
            let twice = told.contains(&key) && !special;
            let all = self.bug == Bug::EveryoneHearsEverything;
            if wanted && !twice {
                told.push(key);
                if may_read || all {
                    let home = format!("/local/domain/{}/", watch.domid);
                    let shown = if watch.relative { path.strip_prefix(&home).unwrap_or(path) } else { path };
                    self.out.push((watch.domid, format!("ev {shown},{}", watch.token)));
                }
            }
        }
    }

    /// The event of a node that is there, and had the list `old` before.
    pub(super) fn fire_for_node(&mut self, path: &str, change: Change, old: Option<Vec<Perm>>) {
        let above = parent(path).unwrap_or("/");
        let lists = [Some(self.tree[path].perms.clone()), Some(self.tree[above].perms.clone()), old];
        self.fire(path, change, &lists.into_iter().flatten().collect::<Vec<_>>());
    }

    pub(super) fn fire_special(&mut self, general: &str, domid: u16) {
        let lists = [self.tree[general].perms.clone(), self.tree["/"].perms.clone()];
        self.fire(general, Change::Exact, &lists);
        self.fire(&format!("{general}/{domid}"), Change::Exact, &lists);
    }
}
