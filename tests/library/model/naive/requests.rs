//! Paths, watches, and carrying out each type of request.

use super::*;

impl Model {
    pub(super) fn path(&self, who: u16, path: &str, special: bool) -> Result<String> {
        let absolute = match path.as_bytes().first() {
            None => return Err("EINVAL"),
            Some(b'@') if !special => return Err("EINVAL"),
            Some(b'/' | b'@') => path.to_string(),
            Some(_) => format!("/local/domain/{who}/{path}"),
        };
        let ends = absolute != "/" && absolute.ends_with('/');
        // A home, whosever it is, does not count.
        let in_home = absolute.strip_prefix("/local/domain/").and_then(|rest| rest.split_once('/'));
        let counted = in_home.map_or(absolute.len(), |(_, rest)| rest.len());
        let long = self.exceeds(who, "path-max", counted);
        if ends || long || absolute.contains("//") { Err("EINVAL") } else { Ok(absolute) }
    }

    pub(super) fn watch(
        &mut self,
        who: u16,
        input: &str,
        token: &str,
        depth: Option<usize>,
    ) -> Result<String> {
        if depth.is_some() && !self.is_offered(who, WATCH_DEPTH) {
            return Err("EINVAL");
        }
        let path = self.path(who, input, true)?;
        let own = self.watches.iter().filter(|watch| watch.domid == who);
        if own.clone().any(|watch| watch.path == path && watch.token == token) {
            return Err("EEXIST");
        }
        if self.exceeds(who, "watches", own.count() + 1) {
            return Err("ENOSPC");
        }
        let relative = !input.starts_with(['/', '@']);
        self.watches.push(Watch { domid: who, path, token: token.into(), depth, relative });
        Ok("OK|".into())
    }

    pub(super) fn unwatch(&mut self, who: u16, path: &str, token: &str) -> Result<String> {
        let path = self.path(who, path, true)?;
        let same = |watch: &Watch| watch.domid == who && watch.path == path && watch.token == token;
        let at = self.watches.iter().position(same).ok_or("ENOENT")?;
        self.watches.remove(at);
        Ok("OK|".into())
    }

    /// Carries out a request and returns every message that it causes, in order.
    pub fn ask(&mut self, who: u16, tx: u32, request: &Request) -> Vec<Message> {
        let answer = self.dispatch(who, tx, request);
        let text = answer.clone().unwrap_or_else(|error| error.into());
        if let Some(open) = self.domain(who).open.get_mut(&tx)
            && !matches!(request, Request::Watch(..) | Request::Unwatch(..) | Request::Start)
        {
            open.log.push((request.clone(), text.clone()));
        }
        let reply = (who, text);
        if self.bug == Bug::EventsFollowTheReply {
            self.out.insert(0, reply);
        } else {
            self.out.push(reply);
        }
        if let (Request::Watch(path, token, _), Ok(_)) = (request, answer) {
            self.out.push((who, format!("ev {path},{token}")));
        }
        std::mem::take(&mut self.out)
    }

    pub(super) fn dispatch(&mut self, who: u16, tx: u32, request: &Request) -> Result<String> {
        use Request as R;
        let privileged = matches!(
            request,
            R::Introduce(_)
                | R::Release(_)
                | R::SetTarget(..)
                | R::SetQuota(..)
                | R::GetQuota(..)
                | R::SetFeature(..)
        );
        if privileged && who != 0 {
            return Err("EACCES");
        }
        let ignores_tx = matches!(request, R::Watch(..) | R::Unwatch(..));
        if !ignores_tx && tx != 0 && !self.domains[&who].open.contains_key(&tx) {
            return Err("ENOENT");
        }
        match request {
            R::Read(path) => self.path(who, path, false).and_then(|path| self.read(who, tx, &path)),
            R::Write(path, value) => {
                self.path(who, path, false).and_then(|path| self.write(who, tx, &path, value))
            }
            R::Mkdir(path) => self.path(who, path, false).and_then(|path| self.mkdir(who, tx, &path)),
            R::Rm(path) => self.path(who, path, false).and_then(|path| self.rm(who, tx, &path)),
            R::Directory(path) => self.path(who, path, false).and_then(|path| self.directory(who, tx, &path)),
            R::GetPerms(path) => self.path(who, path, true).and_then(|path| self.get_perms(who, tx, &path)),
            R::SetPerms(path, perms) => {
                if self.exceeds(who, "node-permissions", perms.len()) {
                    return Err("ENOSPC");
                }
                let owner = perms[0].1;
                // Only on dom0's word does a domain become known by being named as an owner.
                let known =
                    if who == 0 { self.know(owner).is_some() } else { self.domains.contains_key(&owner) };
                if !known {
                    return Err("ENOENT");
                }
                let path = self.path(who, path, true)?;
                self.change_perms(who, tx, &path, perms)
            }
            R::Watch(path, token, depth) => self.watch(who, path, token, *depth),
            R::Unwatch(path, token) => self.unwatch(who, path, token),
            R::ResetWatches => {
                self.drop_session(who);
                Ok("OK|".into())
            }
            R::Start => self.start(who, tx),
            R::End(commit) => self.end(who, tx, *commit),
            R::SetQuota(domid, name, value) => self.set_quota(*domid, name, value),
            R::GetQuota(domid, name) => self.get_quota(*domid, name),
            R::SetFeature(domid, value) => self.set_feature(*domid, value),
            R::GetFeature(domid) => self.get_feature(who, *domid),
            R::Introduce(domid) => self.introduce(*domid),
            R::Release(domid) => self.release(*domid),
            R::SetTarget(domid, target) => {
                self.epoch += 1;
                if !self.is_introduced(*domid) || !self.is_introduced(*target) {
                    return Err("ENOENT");
                }
                let life = self.domains[target].life;
                self.domain(*domid).target = Some(life);
                Ok("OK|".into())
            }
        }
    }
}
