//! The BER tags of a divided element, found at once.
//!
//! Chip data comes with each card payment and has a tag for every three or four bytes, so finding what a tag means
//! is what dividing it costs. A search in the sorted list takes seven steps; here it is one look, or a few where tags
//! share a place. The table is at most half full, and no tag is zero.

use super::spec::Index;

/// What each known tag is, and what any other is.
#[derive(Clone, Debug, Default)]
pub(crate) struct TagTable {
    /// A power of two of places; tag 0 where there is none.
    places: Box<[(u32, Index)]>,
    unknown: Option<Index>,
}

impl TagTable {
    pub(crate) fn new(known: &[(u32, Index)], unknown: Option<Index>) -> Self {
        let mut table = Self { places: vec![(0, 0); (2 * known.len().max(1)).next_power_of_two()].into(), unknown };
        for (tag, index) in known {
            let place = table.place_of(*tag);
            table.places[place] = (*tag, *index);
        }
        table
    }

    /// What the tag is, where the spec knows it or takes unknown ones.
    #[inline(always)]
    pub(crate) fn find(&self, tag: u32) -> Option<Index> {
        match self.places.get(self.place_of(tag)) {
            Some((found, index)) if *found == tag => Some(*index),
            _ => self.unknown,
        }
    }

    /// Where the tag is, or where it would be.
    #[inline(always)]
    fn place_of(&self, tag: u32) -> usize {
        let mask = self.places.len().wrapping_sub(1);
        // The upper half of the product depends on all bits of the tag.
        let mut place = (tag.wrapping_mul(0x9E37_79B1) >> 16) as usize & mask;
        while let Some((other, _)) = self.places.get(place)
            && *other != tag
            && *other != 0
        {
            place = (place + 1) & mask;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso8583::emv::emv_tags;

    #[test]
    fn every_known_tag_is_found_and_no_other() {
        let known: Vec<(u32, Index)> = emv_tags().0.iter().map(|(tag, _)| *tag).zip(1..).collect();
        for unknown in [None, Some(999)] {
            let table = TagTable::new(&known, unknown);
            for tag in 1..=0xFFFF {
                let expected = known.iter().find(|(other, _)| *other == tag).map(|(_, index)| *index);
                assert_eq!(table.find(tag), expected.or(unknown), "{tag:X}");
            }
        }
        assert_eq!(TagTable::new(&[], Some(3)).find(0x9F26), Some(3));
        assert_eq!(TagTable::default().find(0x9F26), None);
    }
}
