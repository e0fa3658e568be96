//! Memory that the store has reserved and never used, page by page: what is to outlast this image is written there.

use core::ops::Range;

use xenstore::server::PreparedNodes;
use xenstore::slots::Full;
use xenstore::state::{self, Sink};

use super::lodgers::PAGE;
use crate::image::{cpu, paging, watch};

/// As many ranges as there are arenas, and one more for those on both sides of the seam.
const RANGES: usize = 16;

/// The pages that are left, by their physical addresses.
pub struct Spare {
    ranges: heapless::Vec<Range<u64>, RANGES>,
}

impl Spare {
    /// What there is of whole pages in these ranges of addresses.
    #[inline(never)] // For all kinds.
    pub fn new(ranges: &mut dyn Iterator<Item = Range<usize>>) -> Spare {
        let ranges = ranges.map(|range| range.start as u64..range.end as u64);
        let ranges = ranges
            .flat_map(physical)
            .map(|range| range.start.next_multiple_of(PAGE)..range.end / PAGE * PAGE);
        Spare { ranges: ranges.filter(|range| range.start < range.end).take(RANGES).collect() }
    }

    #[inline(never)] // It is rare.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    fn take(&mut self) -> Option<u64> {
        let first = self.ranges.last_mut()?;
        let page = first.start;
        first.start += PAGE;
        if first.is_empty() {
            self.ranges.pop();
        }
        Some(page)
    }

    /// A page that the store comes to last.
    fn take_last(&mut self) -> Option<u64> {
        let last = self.ranges.last_mut()?;
        last.end -= PAGE;
        let page = last.end;
        if last.is_empty() {
            self.ranges.pop();
        }
        Some(page)
    }
}

/// Physical addresses of what lies at these: two ranges if that is on both sides of the seam.
pub fn physical(addresses: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let seam = paging::seam().min(addresses.end).max(addresses.start);
    let parts = [addresses.start..seam, seam..addresses.end].into_iter().filter(|part| !part.is_empty());
    parts.map(|part| {
        let start = paging::physical(part.start);
        start..start + (part.end - part.start)
    })
}

/// Bytes that are written to spare pages, which become lodgers.
pub struct Lodge {
    spare: Spare,
    map: *mut u32,
    /// Pages so far.
    pub pages: u32,
    /// Bytes of the latest that are written.
    at: u64,
    /// Pages are taken apart.
    apart: bool,
    /// Nodes that can be inserted, and how many pages are before theirs.
    nodes: PreparedNodes,
    first: u32,
}

impl Lodge {
    /// # Safety
    /// There is room for the number of each spare page at `map`, and it is nobody else's.
    pub unsafe fn new(spare: Spare, map: *mut u32) -> Lodge {
        Lodge { spare, map, pages: 0, at: PAGE, apart: false, nodes: PreparedNodes::default(), first: 0 }
    }

    /// The next page, all of it.
    fn take(&mut self) -> Option<()> {
        if self.apart {
            self.take_apart()?;
        } else {
            let page = self.spare.take()?;
            self.add(page);
        }
        self.at = 0;
        Some(())
    }

    /// Writes nodes apart from all else. They begin so many bytes behind the beginning of a page.
    pub fn write_nodes(
        &mut self,
        start: u64,
        save: impl FnOnce(&mut Self) -> Result<usize, Full>,
    ) -> PreparedNodes {
        let before = self.pages;
        self.apart = true;
        let saved = self.take().ok_or(Full).and_then(|()| {
            self.at = start;
            save(self)
        });
        let Ok(count) = saved else { return PreparedNodes::default() };
        PreparedNodes { pages: self.pages - before, count, start, end: self.at }
    }

    /// Has nodes ready that were written so, if they are where they would be written again. What is written before them ends as
    /// many bytes behind a multiple of eight as they begin.
    pub fn have_nodes(&mut self, nodes: PreparedNodes) {
        let before = self.pages;
        for _ in 0..nodes.pages {
            if self.take_apart().is_none_or(|(_, same)| !same) {
                self.pages = before;
                return;
            }
        }
        (self.nodes, self.first) = (nodes, before);
    }

    /// A page apart from the bytes, physical, and whether it was the same one the time before, with as many before it.
    pub fn take_apart(&mut self) -> Option<(u64, bool)> {
        let page = self.spare.take_last()?;
        // SAFETY: by `new`'s promise there is room for all of them.
        let before = unsafe { *self.map.add(self.pages as usize) };
        self.add(page);
        self.at = PAGE;
        Some((page, u64::from(before) == page / PAGE))
    }

    fn add(&mut self, page: u64) {
        watch::progress(cpu::tsc());
        // SAFETY: by `new`'s promise there is room for all of them.
        unsafe { *self.map.add(self.pages as usize) = (page / PAGE) as u32 };
        self.pages += 1;
    }
}

impl Sink for Lodge {
    /// The pages of the nodes come behind those that have been written so far, the last of which is filled up to there.
    fn insert_nodes(&mut self) -> Result<Option<usize>, Full> {
        let PreparedNodes { pages, count, start, end } = core::mem::take(&mut self.nodes);
        if pages == 0 {
            return Ok(None);
        }
        let beginning = state::filler(0).len() as u64;
        // That may take one page more.
        let page_end = if self.at + beginning <= PAGE { PAGE } else { 2 * PAGE };
        self.put(&state::filler((page_end + start - self.at - beginning) as usize))?;
        // SAFETY: by `new`'s promise the map has all pages, and nobody else looks at it.
        let map = unsafe { core::slice::from_raw_parts_mut(self.map, self.pages as usize) };
        // Those of the nodes and the others change places.
        let written = map.get_mut(self.first as usize..).unwrap_or_default();
        let (nodes, others) = written.split_at_mut_checked(pages as usize).unwrap_or_default();
        nodes.reverse();
        others.reverse();
        written.reverse();
        self.at = end;
        Ok(Some(count))
    }

    fn room(&self) -> u64 {
        self.spare.bytes() + PAGE - self.at
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.at == PAGE {
                self.take().ok_or(Full)?;
            }
            // SAFETY: `take` has put it there.
            let page = u64::from(unsafe { *self.map.add(self.pages as usize - 1) }) * PAGE;
            let (now, later) = rest.split_at(rest.len().min((PAGE - self.at) as usize));
            let target = (paging::address(page) + self.at) as *mut u8;
            // SAFETY: the page is memory that the store has reserved and never used, and what is written comes from
            // elsewhere.
            unsafe { core::ptr::copy_nonoverlapping(now.as_ptr(), target, now.len()) };
            self.at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}
