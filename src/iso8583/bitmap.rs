//! Which elements a message carries (ISO 8583, clause "bit map"): up to three blocks of 64 bits.
//!
//! Bit 1 is the highest bit of the first byte and says that a second block follows; where the blocks
//! lie and how they are written belongs to the spec. Element numbers run from 1 to 192; bits 1, 65
//! and 129 never stand for an element here, save 65 in a dialect that defines one.

/// The highest element number.
pub const LAST_ELEMENT: u8 = 192;

/// A set of element numbers, 1 to 192.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bitmap([u64; 3]);

impl Bitmap {
    /// No element.
    pub const fn new() -> Self {
        Self([0; 3])
    }

    /// From up to three blocks as they stand on the wire; the missing ones are zero.
    pub(crate) const fn from_blocks(blocks: [u64; 3]) -> Self {
        Self(blocks)
    }

    /// The three blocks, highest bit first.
    pub const fn blocks(&self) -> [u64; 3] {
        self.0
    }

    /// Whether the bit of `element` is set; numbers outside 1..=192 never are.
    pub const fn has(&self, element: u8) -> bool {
        match Self::place(element) {
            Some((block, bit)) => self.0[block] & bit != 0,
            None => false,
        }
    }

    /// Sets the bit of `element`; numbers outside 1..=192 are ignored.
    pub const fn insert(&mut self, element: u8) {
        if let Some((block, bit)) = Self::place(element) {
            self.0[block] |= bit;
        }
    }

    /// Clears the bit of `element`.
    pub const fn remove(&mut self, element: u8) {
        if let Some((block, bit)) = Self::place(element) {
            self.0[block] &= !bit;
        }
    }

    /// Clears all bits from `element` on.
    pub(crate) fn keep_below(&mut self, element: u8) {
        for (block, bits) in self.0.iter_mut().enumerate() {
            let below = usize::from(element.saturating_sub(1)).saturating_sub(64 * block);
            *bits &= !u64::MAX.checked_shr(below as u32).unwrap_or(0);
        }
    }

    /// How many bits are set.
    pub const fn len(&self) -> usize {
        (self.0[0].count_ones() + self.0[1].count_ones() + self.0[2].count_ones()) as usize
    }

    /// Whether no bit is set.
    pub const fn is_empty(&self) -> bool {
        self.0[0] | self.0[1] | self.0[2] == 0
    }

    /// How many set bits stand before `element`: its place in a table of the present ones.
    pub(crate) const fn rank(&self, element: u8) -> usize {
        let Some((block, bit)) = Self::place(element) else {
            return 0;
        };
        let above = !(bit | (bit - 1));
        let mut rank = (self.0[block] & above).count_ones();
        if block > 0 {
            rank += self.0[0].count_ones();
        }
        if block > 1 {
            rank += self.0[1].count_ones();
        }
        rank as usize
    }

    /// The set numbers in ascending order.
    pub const fn iter(&self) -> Elements {
        Elements(*self)
    }

    const fn place(element: u8) -> Option<(usize, u64)> {
        if element == 0 || element > LAST_ELEMENT {
            return None;
        }
        let index = element as usize - 1;
        Some((index / 64, 1 << (63 - index % 64)))
    }
}

impl IntoIterator for Bitmap {
    type Item = u8;
    type IntoIter = Elements;

    fn into_iter(self) -> Elements {
        self.iter()
    }
}

/// The element numbers of a bitmap, ascending.
#[derive(Clone, Copy, Debug)]
pub struct Elements(Bitmap);

impl Elements {
    /// Adds the third block, which some dialects tell only when the second is half walked.
    pub(crate) fn add_third(&mut self, block: u64) {
        self.0.0[2] = block;
    }
}

impl Iterator for Elements {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        for (block, bits) in self.0.0.iter_mut().enumerate() {
            if *bits != 0 {
                let zeros = bits.leading_zeros();
                *bits &= !(1 << (63 - zeros));
                return Some((block * 64) as u8 + zeros as u8 + 1);
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Elements {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_in_ascending_order_and_know_their_rank() {
        let mut bitmap = Bitmap::new();
        for element in [128, 2, 192, 65, 64, 0, 193, 255] {
            bitmap.insert(element);
        }
        let elements: Vec<u8> = bitmap.iter().collect();
        assert_eq!(elements, [2, 64, 65, 128, 192]);
        for (rank, element) in elements.iter().enumerate() {
            assert_eq!(bitmap.rank(*element), rank);
        }
        let mut low = bitmap;
        low.keep_below(128);
        assert_eq!(low.iter().collect::<Vec<_>>(), [2, 64, 65]);
        low.keep_below(2);
        assert!(low.is_empty());
        bitmap.remove(65);
        assert!(!bitmap.has(65) && bitmap.has(64) && !bitmap.has(0) && !bitmap.has(255));
        assert_eq!(bitmap.len(), 4);
    }
}
