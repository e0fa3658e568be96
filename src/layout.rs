//! Where the image's RAM goes: what has its place there, so that the rest is the store's. Plain numbers, which `src/image/`
//! puts into effect and tools reckon with. Addresses are physical.

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// Where every image begins. The heap has the RAM below, but for its first pages.
pub const IMAGE: u64 = 1 << 20;

/// The first page of event channels. What lies before it keeps its place, too, when another image takes over.
pub const EVENTS: u64 = 5 * PAGE;

/// Where what is kept above the images begins: tables and the map of a state's pages, and then the heap. A running image takes
/// no other that ends above its own, so it leaves room to those that come after it.
pub const KEPT: u64 = 0x1a_4000;

/// Bytes of heap that the store leaves free: the server itself, alignment, boot's own needs, the clients of a trial.
pub const RESERVE: u64 = 24 << 10;

/// Bytes of page tables that map all RAM, which ends there, by small pages.
pub const fn tables_for(ram_end: u64) -> u64 {
    const PART: u64 = 2 << 20;
    ram_end / PART * PAGE
}

/// Of RAM that ends there: where the map begins, and where the heap does.
pub const fn kept(ram_end: u64) -> (u64, u64) {
    let map = KEPT + tables_for(ram_end);
    (map, map + (ram_end / PAGE * 4).next_multiple_of(PAGE))
}

/// Bytes of heap in RAM that ends there, with so many pages of event channels. 0 if it is too little for an image.
pub const fn heap(ram_end: u64, event_pages: u64) -> u64 {
    let (_, start) = kept(ram_end);
    (ram_end + IMAGE).saturating_sub(start + EVENTS + event_pages * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_lays_the_image_out_like_this() {
        let script = include_str!("../linker.ld");
        for line in [format!("    . = {IMAGE:#x};"), format!("ASSERT(image_end <= {KEPT:#x}, ")] {
            assert!(script.contains(&line), "linker.ld has no line like: {line}");
        }
    }

    #[test]
    fn all_of_ram_is_the_heaps_or_has_a_use() {
        for (mib, event_pages) in [(3, 1), (8, 1), (1370, 33)] {
            let (ram, pages) = (mib << 20, mib * 256);
            // A table for each 2 MiB, four bytes for each page; what images may fill; the first pages.
            let (tables, map) = (mib / 2 * PAGE, (pages * 4).next_multiple_of(PAGE));
            let images = 656 << 10;
            assert_eq!(heap(ram, event_pages), ram - tables - map - images - (5 + event_pages) * PAGE);
        }
        assert_eq!(heap(PAGE, 1), 0);
    }
}
