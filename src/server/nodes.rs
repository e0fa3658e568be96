//! READ, WRITE, MKDIR, RM, DIRECTORY, DIRECTORY_PART, GET_PERMS, SET_PERMS. xenstore.txt, "Read, etc.".

use core::fmt::Write;

use super::Server;
use super::operations::{Outcome, Request};
use super::scratch::Reply;
use crate::abi::{DomId, ServerFeatures};
use crate::connection::Cursor;
use crate::path::{Path, PathBuf, Special};
use crate::perms::{Access, Entry, Life, letter, parse};
use crate::platform::Platform;
use crate::quota::Quota;
use crate::store::{AclBuf, AclId, Change, DomainId, NodeId, Place, Start, Subject, View};
use crate::wire::{PAYLOAD_MAX, XsError, number, strings, terminated};

impl<P: Platform> Server<P> {
    /// What the request is about.
    pub(super) fn subject<'a>(
        &mut self,
        request: &Request<'_>,
        input: &'a [u8],
        special: Special,
        buf: &'a mut PathBuf,
    ) -> Result<Subject<'a>, XsError> {
        let View { caller, quotas, .. } = request.view;
        let max = (!caller.privileged && quotas.path_max != 0).then_some(quotas.path_max);
        let subject = self.store.subject(input, caller.domid, max, special, buf)?;
        if !caller.privileged {
            let largest = &mut self.store.current.largest;
            largest.path_max = largest.path_max.max(subject.path.relative_to_home().len() as u32);
        }
        Ok(subject)
    }

    pub(super) fn read(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut buf = PathBuf::new();
        let subject = self.subject(request, terminated(request.payload)?, Special::Refused, &mut buf)?;
        let place = self.store.seek(&request.view, subject, Access::READ)?;
        let value = self.store.value_at(place);
        value.pieces(&self.store.blobs).try_for_each(|piece| reply.push(piece))?;
        Ok(Outcome::Data)
    }

    pub(super) fn write(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut args = strings(request.payload);
        let input = args.required()?;
        let mut buf = PathBuf::new();
        let subject = self.subject(request, input, Special::Refused, &mut buf)?;
        let place = match self.store.seek(&request.view, subject, Access::WRITE) {
            Ok(place) => {
                self.store.write_at(&request.view, place, args.rest())?;
                place
            }
            Err(XsError::ENOENT) => self.store.create_at(&request.view, subject.path, args.rest())?,
            Err(error) => return Err(error),
        };
        self.changed(place, subject.path, None);
        Ok(Outcome::Ok)
    }

    pub(super) fn mkdir(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut buf = PathBuf::new();
        let subject = self.subject(request, terminated(request.payload)?, Special::Refused, &mut buf)?;
        let place = match self.store.seek(&request.view, subject, Access::WRITE) {
            Ok(_) => return Ok(Outcome::Ok),
            Err(XsError::ENOENT) => self.store.create_at(&request.view, subject.path, &[])?,
            Err(error) => return Err(error),
        };
        self.changed(place, subject.path, None);
        Ok(Outcome::Ok)
    }

    pub(super) fn rm(&mut self, _: &mut P, request: &Request<'_>, _: &mut Reply) -> Result<Outcome, XsError> {
        let mut buf = PathBuf::new();
        let subject = self.subject(request, terminated(request.payload)?, Special::Refused, &mut buf)?;
        let found = self.store.seek(&request.view, subject, Access::WRITE);
        if found.is_ok() {
            // The store will not know what it was called.
            self.store.names.note(subject.hash, subject.path.as_bytes());
        }
        match found {
            Ok(_) if subject.path.is_root() => Err(XsError::EINVAL),
            Ok(Place::Node(id)) => self.remove_tree(id, Some(subject.path)).map(|()| Outcome::Ok),
            Ok(Place::Copy(id)) => {
                self.store.remove_copies(&request.view, id, subject.path).map(|()| Outcome::Ok)
            }
            // Nothing to remove is fine if the place where it could be is there.
            Err(XsError::ENOENT) => {
                let parent = subject.path.parent().ok_or(XsError::EINVAL)?;
                self.store.find(&request.view, parent)?.ok_or(XsError::ENOENT).map(|_| Outcome::Ok)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a node and all below it, deepest first, each with its event. `known` is the path of the
    /// topmost, if the caller has it.
    pub(super) fn remove_tree(&mut self, top: NodeId, known: Option<Path<'_>>) -> Result<(), XsError> {
        let mut buf = PathBuf::new();
        let mut next = Some(self.store.first_leaf(top));
        while let Some(at) = next {
            next = self.store.next_in_postorder(top, at);
            let node = self.store.node(at);
            let (parent, hash) = (node.parent, node.hash);
            // Most nodes are watched by nobody, and finding out their path takes longer than removing them.
            if at == top || self.store.is_watched(at) {
                let path = match known.filter(|_| at == top) {
                    Some(path) => path,
                    None => {
                        let path = self.store.path_of(at, &mut buf)?;
                        // No request has named it, and the store will not know what it was called.
                        self.store.names.note(hash, path.as_bytes());
                        path
                    }
                };
                let above = parent.and_then(|parent| self.store.acl(parent));
                let change = if at == top { Change::Subtree } else { Change::Exact };
                self.fire(path, Some(at), change, &[self.store.acl(at), above]);
            }
            self.store.remove_leaf(at)?;
        }
        Ok(())
    }

    /// Fires the event of a node that was created or changed outside a transaction; in one, its copy has
    /// taken note already.
    fn changed(&mut self, place: Place, path: Path<'_>, old: Option<AclId>) {
        if let Place::Node(id) = place {
            self.fire_for_node(id, path, Change::Subtree, old);
        }
    }

    pub(super) fn directory(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut buf = PathBuf::new();
        let subject = self.subject(request, terminated(request.payload)?, Special::Refused, &mut buf)?;
        let place = self.store.seek(&request.view, subject, Access::READ)?;
        let (_, len) = self.store.list_at(place);
        if len > PAYLOAD_MAX {
            return Err(XsError::E2BIG);
        }
        self.store.for_each_child(place, Start::First, |_, name| reply.push_string(name))?;
        Ok(Outcome::Data)
    }

    /// Answers with the node's generation and the names from a byte offset on; an empty name ends the
    /// list. xenstore.txt, DIRECTORY_PART.
    pub(super) fn directory_part(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut args = strings(request.payload);
        if args.remaining() != 2 {
            return Err(XsError::EINVAL);
        }
        let mut buf = PathBuf::new();
        let subject = self.subject(request, args.required()?, Special::Refused, &mut buf)?;
        let offset = number(args.required()?);
        let place = self.store.seek(&request.view, subject, Access::READ)?;
        let (generation, len) = self.store.list_at(place);
        write!(reply, "{generation}\0").map_err(|_| XsError::E2BIG)?;
        let room = PAYLOAD_MAX - reply.len() - 1;
        match usize::try_from(offset).ok().filter(|offset| *offset < len) {
            None => reply.push(b"\0")?,
            Some(offset) => self.part(
                request.from,
                place,
                Cursor { generation, offset, start: Start::First },
                room,
                reply,
            )?,
        }
        Ok(Outcome::Data)
    }

    /// Answers with the names from the offset of `wanted` on, as many as have room.
    fn part(
        &mut self,
        from: DomainId,
        place: Place,
        wanted: Cursor,
        room: usize,
        reply: &mut Reply,
    ) -> Result<(), XsError> {
        // Going on where the last part stopped makes reading a whole list linear in its length.
        let unchanged = match place {
            Place::Node(_) => true,
            Place::Copy(id) => self.store.has_seen_list(id),
        };
        let Cursor { generation, offset, .. } = wanted;
        let known = self
            .links
            .get_mut(from)
            .and_then(|connection| connection.cursor)
            .filter(|cursor| unchanged && cursor.generation == generation && cursor.offset == offset);
        let (mut at, start) = known.map_or((0, Start::First), |cursor| (cursor.offset, cursor.start));
        let before = reply.len();
        let end = self.store.for_each_child(place, start, |start, name| {
            let fits = part(reply, before, room, offset.saturating_sub(at), name).map_err(Err)?;
            if !fits {
                return Err(Ok(start));
            }
            at += name.len() + 1;
            Ok(())
        });
        match end {
            Ok(()) => reply.push(b"\0"),
            Err(Ok(start)) => {
                if let Some(connection) = self.links.get_mut(from) {
                    connection.cursor = Some(Cursor { generation, offset: at, start });
                }
                Ok(())
            }
            Err(Err(error)) => Err(error),
        }
    }

    pub(super) fn get_perms(
        &mut self,
        _: &mut P,
        request: &Request<'_>,
        reply: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let mut buf = PathBuf::new();
        let subject = self.subject(request, terminated(request.payload)?, Special::Allowed, &mut buf)?;
        let place = self.store.seek(&request.view, subject, Access::READ)?;
        let acl = self.store.acl_at(place).ok_or(XsError::EIO)?;
        for (n, entry) in self.store.acls.entries(&self.store.blobs, acl).enumerate() {
            if n == 0 || self.is_shown(entry) {
                write!(reply, "{}{}\0", char::from(letter(entry.access)), entry.domid)
                    .map_err(|_| XsError::E2BIG)?;
            }
        }
        Ok(Outcome::Data)
    }

    /// Entries of domains that are gone are gone too; those that never named anybody are kept as written.
    fn is_shown(&self, entry: Entry) -> bool {
        match entry.life {
            Life::NONE | Life::ANY => true,
            _ => self.store.domains.owner(entry).is_some(),
        }
    }

    pub(super) fn set_perms(
        &mut self,
        platform: &mut P,
        request: &Request<'_>,
        _: &mut Reply,
    ) -> Result<Outcome, XsError> {
        let view = &request.view;
        let mut args = strings(request.payload);
        let count = args.remaining().checked_sub(1).filter(|count| *count > 0).ok_or(XsError::EINVAL)?;
        view.check(Quota::NODE_PERMISSIONS, count)?;
        let input = args.required()?;
        let mut entries = AclBuf::new();
        let mut owner = Entry::NOBODY;
        // All spelling is checked before any domain is looked up.
        for string in args {
            parse(string)?;
        }
        for (n, string) in args.enumerate() {
            let (access, domid) = parse(string)?;
            let life = self.life_of(platform, request.from, domid, n == 0)?;
            let entry = Entry { access, domid, life };
            if n == 0 {
                owner = entry;
            }
            entries.extend_from_slice(&entry.to_bytes()).map_err(|_| XsError::ENOSPC)?;
        }
        let mut buf = PathBuf::new();
        let subject = self.subject(request, input, Special::Allowed, &mut buf)?;
        let place = self.store.seek(view, subject, Access::WRITE | Access::OWNER)?;
        let old = self.store.acl_at(place).ok_or(XsError::EIO)?;
        let present = self.store.acls.owner(old);
        if !view.caller.privileged && present.life != owner.life {
            return Err(XsError::EPERM);
        }
        self.store.check_acl_size(view, place, count)?;
        // The old list decides with the new one who hears of the change, so it is held until then.
        self.store.acls.retain(old)?;
        let set = self.store.set_acl_at(view, place, &entries);
        if set.is_ok() {
            self.changed(place, subject.path, Some(old));
        }
        self.store.acls.release(&mut self.store.blobs, old)?;
        set.map(|()| Outcome::Ok)
    }

    /// The life that a permission entry naming `domid` is about. ENOENT if the owner does not exist.
    fn life_of(
        &mut self,
        platform: &mut P,
        from: DomainId,
        domid: DomId,
        is_owner: bool,
    ) -> Result<Life, XsError> {
        if domid == DomId::ANY && !is_owner {
            return Ok(if self.offers(from, ServerFeatures::DOMID_ANY) { Life::ANY } else { Life::NONE });
        }
        match self.know(platform, domid) {
            Some(id) => Ok(self.store.domains.get(id).life),
            None if is_owner => Err(XsError::ENOENT),
            None => Ok(Life::NONE),
        }
    }
}

/// Appends a name to a part, without its first `skip` bytes. False if there is no room left for it.
fn part(reply: &mut Reply, start: usize, room: usize, skip: usize, name: &[u8]) -> Result<bool, XsError> {
    if skip > name.len() {
        return Ok(true);
    }
    let name = name.get(skip..).unwrap_or_default();
    if reply.len() - start + name.len() + 1 > room {
        return Ok(false);
    }
    reply.push_string(name)?;
    Ok(true)
}
