//! Lists and queues that are linked through their members.
//!
//! The members are in an arena. The list itself is two handles, which its owner keeps. A slot may be a member of
//! several lists at once, so a type `L` without values names each list. Invariant: links change in attempts only, so
//! one that fails leaves every list as it was. For the same reason the two handles must be in a slot, too.

use core::iter::{from_fn, successors};
use core::marker::PhantomData;

use super::arena::{Arena, Full, Slot};
use super::id::{Id, Links};
use super::table::{Chained, Table};

/// Slots that change in attempts: an arena or a table.
pub trait Slots<T> {
    fn get(&self, id: Id<T>) -> &T;
    fn modify(&mut self, id: Id<T>) -> Result<&mut T, Full>;
    fn relink(&mut self, id: Id<T>, links: fn(&mut T) -> &mut Links<T>) -> Result<&mut Links<T>, Full>;
}

impl<T: Slot> Slots<T> for Arena<T> {
    fn get(&self, id: Id<T>) -> &T {
        self.get(id)
    }
    fn modify(&mut self, id: Id<T>) -> Result<&mut T, Full> {
        self.modify(id)
    }
    #[inline(always)]
    fn relink(&mut self, id: Id<T>, links: fn(&mut T) -> &mut Links<T>) -> Result<&mut Links<T>, Full> {
        self.relink(id, links)
    }
}

impl<T: Chained> Slots<T> for Table<T> {
    fn get(&self, id: Id<T>) -> &T {
        self.get(id)
    }
    fn modify(&mut self, id: Id<T>) -> Result<&mut T, Full> {
        self.modify(id)
    }
    #[inline(always)]
    fn relink(&mut self, id: Id<T>, links: fn(&mut T) -> &mut Links<T>) -> Result<&mut Links<T>, Full> {
        self.relink(id, links)
    }
}

/// A slot that can be a member of a list `L`.
pub trait Linked<L>: Slot {
    fn links(&self) -> &Links<Self>;
    fn links_mut(&mut self) -> &mut Links<Self>;
}

/// A slot's neighbours in a list `L`, for changing.
#[inline(never)] // One function for each list: inlined, it would be 3 KB of the image.
fn relink<T: Linked<L>, L>(slots: &mut impl Slots<T>, id: Id<T>) -> Result<&mut Links<T>, Full> {
    slots.relink(id, T::links_mut)
}

/// Members that know both their neighbours, so that any of them can leave.
pub struct List<T, L> {
    first: Option<Id<T>>,
    last: Option<Id<T>>,
    list: PhantomData<fn() -> L>,
}

impl<T, L> Clone for List<T, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, L> Copy for List<T, L> {}

impl<T, L> List<T, L> {
    pub const EMPTY: Self = List { first: None, last: None, list: PhantomData };

    pub fn first(&self) -> Option<Id<T>> {
        self.first
    }

    pub fn last(&self) -> Option<Id<T>> {
        self.last
    }
}

impl<T: Linked<L>, L> List<T, L> {
    /// Makes a slot the last member. It must not be in such a list already.
    pub fn append(&mut self, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        let prev = self.last.replace(id);
        *relink::<T, L>(slots, id)? = Links { next: None, prev };
        match prev {
            Some(prev) => relink::<T, L>(slots, prev)?.next = Some(id),
            None => self.first = Some(id),
        }
        Ok(())
    }

    /// As `append`, outside attempts: a slot that is about to be taken, whose neighbours are the result.
    #[inline(always)] // Of each node that a state has.
    pub fn append_fresh(&mut self, slots: &mut Table<T>, id: Id<T>) -> Links<T>
    where
        T: Chained,
    {
        let prev = self.last.replace(id);
        match prev {
            Some(prev) => slots.update(prev).links_mut().next = Some(id),
            None => self.first = Some(id),
        }
        Links { next: None, prev }
    }

    /// Takes a member off.
    pub fn remove(&mut self, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        let Links { next, prev } = *slots.get(id).links();
        match prev {
            Some(prev) => relink::<T, L>(slots, prev)?.next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => relink::<T, L>(slots, next)?.prev = prev,
            None => self.last = prev,
        }
        Ok(())
    }

    /// Whether a slot's neighbours, of which the next one is a member by `is_member`, and the ends of the list link to it; for
    /// the consistency check.
    pub fn has(&self, slots: &impl Slots<T>, id: Id<T>, is_member: impl Fn(&T) -> bool) -> bool {
        let Links { next, prev } = *slots.get(id).links();
        let before = prev.map_or(self.first, |prev| slots.get(prev).links().next);
        let after = next.map(|next| slots.get(next));
        let behind = after.map_or(self.last, |after| after.links().prev);
        (before, behind) == (Some(id), Some(id)) && after.is_none_or(is_member)
    }

    /// The members, first to last.
    pub fn iter(self, slots: &impl Slots<T>) -> impl Iterator<Item = (Id<T>, &T)> {
        Self::iter_from(slots, self.first)
    }

    /// A member and those after it.
    pub fn iter_from(slots: &impl Slots<T>, from: Option<Id<T>>) -> impl Iterator<Item = (Id<T>, &T)> {
        successors(from, |id| slots.get(*id).links().next).map(|id| (id, slots.get(id)))
    }
}

/// A list that is one handle, of its last member: behind that stands the first one again, before which there is none. So it takes
/// one handle less.
pub struct Ring<T, L> {
    last: Option<Id<T>>,
    list: PhantomData<fn() -> L>,
}

impl<T, L> Clone for Ring<T, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, L> Copy for Ring<T, L> {}

impl<T, L> Ring<T, L> {
    pub const EMPTY: Self = Ring { last: None, list: PhantomData };

    pub fn last(&self) -> Option<Id<T>> {
        self.last
    }

    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }
}

impl<T: Linked<L>, L> Ring<T, L> {
    #[inline(always)]
    pub fn first(&self, slots: &impl Slots<T>) -> Option<Id<T>> {
        // Behind an only member there may be none.
        slots.get(self.last?).links().next.or(self.last)
    }

    /// The member behind another one.
    pub fn after(slots: &impl Slots<T>, member: &T) -> Option<Id<T>> {
        member.links().next.filter(|next| slots.get(*next).links().prev.is_some())
    }

    /// The neighbours that a slot begins with that is to be appended next.
    #[inline(always)]
    pub fn links_of_next(&self, slots: &impl Slots<T>) -> Links<T> {
        Links { next: self.first(slots), prev: self.last }
    }

    /// Makes a slot the last member that was taken with such neighbours, see [`Ring::links_of_next`].
    #[inline(always)]
    pub fn append(&mut self, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        if let Some(last) = self.last.replace(id) {
            relink::<T, L>(slots, last)?.next = Some(id);
        }
        Ok(())
    }

    /// Has a slot that is about to be taken be the last member, outside attempts. The result is which was before.
    #[inline(always)] // As the next one.
    pub fn replace_last(&mut self, id: Id<T>) -> Option<Id<T>> {
        self.last.replace(id)
    }

    /// The neighbours of that slot, which the one that was the last is told of.
    #[inline(always)] // Of each node that a state has.
    pub fn follow(slots: &mut Table<T>, last: Option<Id<T>>, id: Id<T>) -> Links<T>
    where
        T: Chained,
    {
        let first = last.and_then(|last| slots.update(last).links_mut().next.replace(id));
        Links { next: first.or(last), prev: last }
    }

    /// Takes a member off.
    pub fn remove(&mut self, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        let Links { next, prev } = *slots.get(id).links();
        let (mut before, last) = (prev, self.last);
        if last == Some(id) {
            self.last = prev;
        } else if let Some(next) = next {
            relink::<T, L>(slots, next)?.prev = prev;
            before = prev.or(last);
        }
        if let Some(before) = before {
            relink::<T, L>(slots, before)?.next = next;
        }
        Ok(())
    }

    /// The members, first to last.
    pub fn iter(self, slots: &impl Slots<T>) -> impl Iterator<Item = (Id<T>, &T)> {
        self.iter_from(slots, self.first(slots))
    }

    /// A member and those after it.
    #[inline(always)]
    pub fn iter_from(self, slots: &impl Slots<T>, from: Option<Id<T>>) -> impl Iterator<Item = (Id<T>, &T)> {
        let mut next = from;
        from_fn(move || {
            let id = next?;
            let slot = slots.get(id);
            next = if next == self.last { None } else { slot.links().next };
            Some((id, slot))
        })
    }
}

/// A slot that can be a member of a queue `L`.
pub trait Queued<L>: Slot {
    fn next(&self) -> Option<Id<Self>>;
    fn set_next(&mut self, next: Option<Id<Self>>);
}

/// Members that know only the next one. They leave from the front, or by the member before
/// them.
pub struct Queue<T, L> {
    first: Option<Id<T>>,
    last: Option<Id<T>>,
    queue: PhantomData<fn() -> L>,
}

impl<T, L> Clone for Queue<T, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, L> Copy for Queue<T, L> {}

impl<T: 'static, L: 'static> Slot for Queue<T, L> {
    const EMPTY: Self = Queue::EMPTY;
}

impl<T, L> Queue<T, L> {
    pub const EMPTY: Self = Queue { first: None, last: None, queue: PhantomData };

    pub fn first(&self) -> Option<Id<T>> {
        self.first
    }

    pub fn last(&self) -> Option<Id<T>> {
        self.last
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Forgets the members before this one.
    pub fn drop_before(&mut self, first: Id<T>) {
        self.first = Some(first);
    }
}

impl<T: Queued<L>, L> Queue<T, L> {
    /// Makes a slot the last member. It must have no next one.
    pub fn append(&mut self, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        match self.last.replace(id) {
            Some(last) => slots.modify(last)?.set_next(Some(id)),
            None => self.first = Some(id),
        }
        Ok(())
    }

    /// Makes a slot the first member.
    pub fn prepend(&mut self, slots: &mut impl Slots<T>, id: Id<T>) -> Result<(), Full> {
        slots.modify(id)?.set_next(self.first);
        self.first = Some(id);
        self.last = self.last.or(Some(id));
        Ok(())
    }

    /// Takes off the member after `before`, or the first one, and returns it.
    pub fn remove_after(
        &mut self,
        slots: &mut impl Slots<T>,
        before: Option<Id<T>>,
    ) -> Result<Option<Id<T>>, Full> {
        let removed = match before {
            Some(before) => slots.get(before).next(),
            None => self.first,
        };
        let Some(id) = removed else { return Ok(None) };
        let next = slots.get(id).next();
        match before {
            Some(before) => slots.modify(before)?.set_next(next),
            None => self.first = next,
        }
        if self.last == Some(id) {
            self.last = before;
        }
        Ok(Some(id))
    }

    /// The members, first to last.
    pub fn iter(self, slots: &impl Slots<T>) -> impl Iterator<Item = (Id<T>, &T)> {
        successors(self.first, |id| slots.get(*id).next()).map(|id| (id, slots.get(id)))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::super::attempt::Attempt;
    use super::super::claim::Claim;
    use super::*;

    enum Own {}

    #[derive(Clone, Copy)]
    struct Member {
        links: Links<Member>,
        next: Option<Id<Member>>,
    }

    impl Slot for Member {
        const EMPTY: Member = Member { links: Links::NONE, next: None };
    }

    impl Linked<Own> for Member {
        fn links(&self) -> &Links<Member> {
            &self.links
        }
        fn links_mut(&mut self) -> &mut Links<Member> {
            &mut self.links
        }
    }

    impl Queued<Own> for Member {
        fn next(&self) -> Option<Id<Member>> {
            self.next
        }
        fn set_next(&mut self, next: Option<Id<Member>>) {
            self.next = next;
        }
    }

    /// An arena in an attempt, which goes on to the end of the test.
    fn arena(capacity: usize) -> Arena<Member> {
        let attempt = Attempt::new();
        attempt.begin(Claim::Answer);
        Arena::new(&attempt, capacity, 8, 8)
    }

    /// The members' places in the arena, forwards, after a look at the list from its other end.
    fn members(list: List<Member, Own>, arena: &Arena<Member>) -> Vec<usize> {
        let forwards: Vec<usize> = list.iter(arena).map(|(id, _)| id.index()).collect();
        let mut backwards: Vec<usize> =
            successors(list.last(), |id| arena.get(*id).links.prev).map(Id::index).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        forwards
    }

    #[test]
    fn any_member_leaves_a_list() {
        for (leaves, rest) in [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])] {
            let mut arena = arena(3);
            let mut list = List::<Member, Own>::EMPTY;
            let ids = [(); 3].map(|()| arena.alloc(Member::EMPTY).unwrap());
            for id in ids {
                list.append(&mut arena, id).unwrap();
            }
            list.remove(&mut arena, ids[leaves]).unwrap();
            assert_eq!(members(list, &arena), rest);
            list.append(&mut arena, ids[leaves]).unwrap();
            assert_eq!(members(list, &arena), [rest[0], rest[1], leaves]);
            for id in ids {
                list.remove(&mut arena, id).unwrap();
            }
            assert_eq!((list.first(), list.last()), (None, None));
        }
    }

    #[test]
    fn any_member_leaves_a_ring() {
        for leaves in 0..3 {
            let mut arena = arena(3);
            let mut ring = Ring::<Member, Own>::EMPTY;
            let members = |ring: Ring<Member, Own>, arena: &Arena<Member>| -> Vec<usize> {
                let members: Vec<_> = ring.iter(arena).collect();
                let mut before = None;
                for (n, (id, member)) in members.iter().enumerate() {
                    assert_eq!(member.links.prev, before);
                    let after = members.get(n + 1).map(|(id, _)| *id);
                    assert_eq!(Ring::<Member, Own>::after(arena, member), after);
                    before = Some(*id);
                }
                assert_eq!((ring.last(), ring.is_empty()), (before, before.is_none()));
                members.iter().map(|(id, _)| id.index()).collect()
            };
            let ids = [(); 3].map(|()| arena.alloc(Member::EMPTY).unwrap());
            let append = |ring: &mut Ring<Member, Own>, arena: &mut Arena<Member>, id| {
                *arena.relink(id, Member::links_mut).unwrap() = ring.links_of_next(arena);
                ring.append(arena, id).unwrap();
            };
            for (n, id) in ids.iter().enumerate() {
                append(&mut ring, &mut arena, *id);
                assert_eq!(members(ring, &arena), Vec::from_iter(0..=n));
            }
            let mut rest = Vec::from_iter((0..3).filter(|n| *n != leaves));
            ring.remove(&mut arena, ids[leaves]).unwrap();
            assert_eq!(members(ring, &arena), rest);
            append(&mut ring, &mut arena, ids[leaves]);
            rest.push(leaves);
            assert_eq!(members(ring, &arena), rest);
            for left in (0..3).rev() {
                let first = ring.first(&arena).unwrap();
                ring.remove(&mut arena, first).unwrap();
                assert_eq!(members(ring, &arena).len(), left);
            }
            assert_eq!((ring.first(&arena), ring.last()), (None, None));
        }
    }

    #[test]
    fn a_failed_attempt_leaves_the_list_as_it_was() {
        let attempt = Attempt::new();
        attempt.begin(Claim::Privileged);
        let mut arena = Arena::<Member>::new(&attempt, 4, 4, 4);
        let mut list = List::<Member, Own>::EMPTY;
        let ids = [(); 4].map(|()| arena.alloc(Member::EMPTY).unwrap());
        for id in &ids[..3] {
            list.append(&mut arena, *id).unwrap();
        }
        arena.commit();
        attempt.end();
        attempt.begin(Claim::Privileged);
        let mut changed = list;
        changed.remove(&mut arena, ids[1]).unwrap();
        changed.append(&mut arena, ids[3]).unwrap();
        assert_eq!(members(changed, &arena), [0, 2, 3]);
        arena.rollback();
        assert_eq!(members(list, &arena), [0, 1, 2]);
    }

    #[test]
    fn members_leave_a_queue_from_behind_another() {
        for (before, rest) in [(None, [1, 2]), (Some(0), [0, 2]), (Some(1), [0, 1])] {
            let mut arena = arena(4);
            let mut queue = Queue::<Member, Own>::EMPTY;
            let ids = [(); 4].map(|()| arena.alloc(Member::EMPTY).unwrap());
            for id in &ids[..3] {
                queue.append(&mut arena, *id).unwrap();
            }
            queue.remove_after(&mut arena, before.map(|before: usize| ids[before])).unwrap();
            queue.append(&mut arena, ids[3]).unwrap();
            let left: Vec<usize> = queue.iter(&arena).map(|(id, _)| id.index()).collect();
            assert_eq!(left, [rest[0], rest[1], 3]);
        }
    }

    #[test]
    fn the_last_of_a_queue_has_none_after_it() {
        let mut arena = arena(1);
        let mut queue = Queue::<Member, Own>::EMPTY;
        let id = arena.alloc(Member::EMPTY).unwrap();
        queue.append(&mut arena, id).unwrap();
        assert_eq!(queue.remove_after(&mut arena, Some(id)), Ok(None));
        assert_eq!(queue.remove_after(&mut arena, None), Ok(Some(id)));
        assert!(queue.is_empty());
    }
}
