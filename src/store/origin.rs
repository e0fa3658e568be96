//! Where nodes come from: the layers that the store began with, or clients since.

use heapless::Vec;

/// Longest name of a layer, bytes.
pub const NAME_MAX: usize = 31;

/// Most layers that are counted, those left out included.
pub const LAYERS_MAX: usize = 32;

pub type LayerName = Vec<u8, NAME_MAX>;

/// Where one node comes from, and whether a node below it is gone that was no client's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin(u8);

const GONE_BELOW: u8 = 1 << 7;

/// [`Origin::START`] in six bits.
const PACKED_START: u8 = 63;

const _: () = assert!(LAYERS_MAX < PACKED_START as usize);

impl Origin {
    /// A client has made it.
    pub const CLIENT: Origin = Origin(0);
    /// It is one of the first nodes of every store.
    pub const START: Origin = Origin(127);

    /// The layer with this number, from 0 on.
    pub fn layer(number: usize) -> Origin {
        Origin(number.min(LAYERS_MAX - 1) as u8 + 1)
    }

    /// The number of its layer.
    pub fn number(self) -> Option<usize> {
        usize::from(self.bits()).checked_sub(1).filter(|number| *number < LAYERS_MAX)
    }

    /// Whether a client has made it.
    pub fn is_client(self) -> bool {
        self.0 == 0
    }

    pub fn bits(self) -> u8 {
        self.0 & !GONE_BELOW
    }

    pub fn from_bits(bits: u8) -> Origin {
        Origin(bits & !GONE_BELOW)
    }

    /// In seven bits, with whether a node below it is gone.
    pub fn packed(self) -> u8 {
        self.bits().min(PACKED_START) | (self.0 & GONE_BELOW) >> 1
    }

    pub fn unpacked(packed: u8) -> Origin {
        let number = packed & PACKED_START;
        let number = if number == PACKED_START { Self::START.0 } else { number };
        Origin(number | packed << 1 & GONE_BELOW)
    }

    pub fn has_gone_below(self) -> bool {
        self.0 & GONE_BELOW != 0
    }

    pub fn note_gone_below(&mut self) {
        self.0 |= GONE_BELOW;
    }
}

/// A layer that the store has been given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layer {
    pub name: LayerName,
    /// Nodes that it states, and whiteouts and opaque nodes.
    pub nodes: u32,
    pub removals: u32,
    /// Why it was left out, and where: a number, line and column as in `layers::Trouble`; a number of 0 if it was not.
    pub left_out: (u8, u32, u32),
}

impl Layer {
    pub fn is_in(&self) -> bool {
        self.left_out.0 == 0
    }
}

/// The layers that the store has been given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origins {
    /// The lowest first.
    pub layers: Vec<Layer, LAYERS_MAX>,
    /// The store's generation when they had been fused. What has a later one was changed by clients.
    pub fused: u64,
}
