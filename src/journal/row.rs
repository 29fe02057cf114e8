//! One row of the journal: a format number, a checksum, what kind of thing it holds, and the thing.
//!
//! Format 1 is `01`, CRC-32 (four bytes, big-endian), one byte of kind, the content. The checksum covers the sequence
//! number too, so that a row read under another's number is noticed. SQLite checks pages in the WAL but not in the
//! file behind it; this does.

use crate::switch::NumberBlock;
use crate::transaction::{self, Record, RecordError};
use minicbor::{Decode, Encode};

const FORMAT: u8 = 1;
const RECORD: u8 = 1;
const NUMBERS: u8 = 2;

/// A row with its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Place in the journal of this node, from 1 without gaps.
    pub sequence: i64,
    /// What it holds.
    pub content: Content,
}

/// What a row can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A record of a payment.
    Record(Record),
    /// Numbers reserved for use.
    Numbers(NumberBlock),
}

/// Why a stored row cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// It ends too early.
    #[error("it is cut short")]
    Short,
    /// Written by a later version of this program.
    #[error("row format {0} is not known to this version")]
    Format(u8),
    /// The bytes are not those that were written, or not in this place.
    #[error("its checksum is wrong")]
    Checksum,
    /// A kind of row that a later version writes.
    #[error("row kind {0} is not known to this version")]
    Kind(u8),
    /// The record in it.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The number block in it.
    #[error("it holds no number block")]
    Numbers,
}

#[derive(Encode, Decode)]
struct StoredNumbers {
    #[n(0)]
    acquirer: String,
    #[n(1)]
    stans: u64,
    #[n(2)]
    rrns: u64,
}

impl Row {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut stored = vec![FORMAT, 0, 0, 0, 0];
        match &self.content {
            Content::Record(record) => {
                stored.push(RECORD);
                stored.extend(transaction::encode(record));
            }
            Content::Numbers(block) => {
                stored.push(NUMBERS);
                minicbor::encode(StoredNumbers::from(block), &mut stored).expect("writing to a Vec does not fail");
            }
        }
        let sum = checksum(self.sequence, &stored[5..]).to_be_bytes();
        stored[1..5].copy_from_slice(&sum);
        stored
    }

    /// Reads what stands under a sequence number.
    pub fn decode(sequence: i64, stored: &[u8]) -> Result<Row, RowError> {
        let (format, rest) = stored.split_first().ok_or(RowError::Short)?;
        if *format != FORMAT {
            return Err(RowError::Format(*format));
        }
        let (sum, body) = rest.split_first_chunk().ok_or(RowError::Short)?;
        if checksum(sequence, body) != u32::from_be_bytes(*sum) {
            return Err(RowError::Checksum);
        }
        let (kind, content) = body.split_first().ok_or(RowError::Short)?;
        let content = match *kind {
            RECORD => Content::Record(transaction::decode(content)?),
            NUMBERS => Content::Numbers(numbers_of(content)?),
            other => return Err(RowError::Kind(other)),
        };
        Ok(Row { sequence, content })
    }

    /// The record, where it holds one.
    pub fn record(&self) -> Option<&Record> {
        match &self.content {
            Content::Record(record) => Some(record),
            Content::Numbers(_) => None,
        }
    }
}

fn checksum(sequence: i64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_be_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn numbers_of(content: &[u8]) -> Result<NumberBlock, RowError> {
    let stored: StoredNumbers = minicbor::decode(content).map_err(|_| RowError::Numbers)?;
    Ok(NumberBlock { acquirer: stored.acquirer.as_str().into(), stans: stored.stans, rrns: stored.rrns })
}

impl From<&NumberBlock> for StoredNumbers {
    fn from(block: &NumberBlock) -> StoredNumbers {
        StoredNumbers { acquirer: block.acquirer.as_str().to_owned(), stans: block.stans, rrns: block.rrns }
    }
}
