//! One row of the journal: a format number, a checksum, what kind of thing it holds, and the thing.
//!
//! Format 1 is `01`, CRC-32 (four bytes, big-endian), one byte of kind, the content. The checksum covers the sequence
//! number too, so that a row read under another's number is noticed. SQLite checks pages in the WAL but not in the
//! file behind it; this does.
//!
//! Kinds: 1 a record of a payment; 2 numbers reserved for use; 3 how a host stands (its business days and what operators
//! let it and its links do; the last one counts), written at each cutover and before the host that announced it is
//! answered; 4 an operator's order with who and why, written before it is carried out.

use crate::payment::{BusinessDate, Wall};
use crate::switch::{AuditEntry, DayMark, HostMark, HostMode, LinkRest, NumberBlock};
use crate::transaction::{self, Record, RecordError};
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;

const FORMAT: u8 = 1;
const RECORD: u8 = 1;
const NUMBERS: u8 = 2;
const HOST: u8 = 3;
const AUDIT: u8 = 4;

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
    /// How a host stands from here on.
    Host(HostMark),
    /// An operator's order.
    Audit(AuditEntry),
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
    /// The state of a host in it.
    #[error("it holds no state of a host")]
    Host,
    /// The operator's order in it.
    #[error("it holds no operator's order")]
    Audit,
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

#[derive(Encode, Decode)]
struct StoredAudit {
    #[n(0)]
    at: i64,
    #[n(1)]
    who: String,
    #[n(2)]
    why: String,
    #[n(3)]
    order: String,
}

#[derive(Encode, Decode)]
struct StoredHost {
    #[n(0)]
    host: String,
    #[n(1)]
    day: Option<StoredDay>,
    /// 1 maintenance, 2 down; absent where it is up.
    #[n(2)]
    mode: Option<u8>,
    /// Links off the line by their place, 1 signed off, 2 closed; absent where there are none.
    #[n(3)]
    links: Option<BTreeMap<u16, u8>>,
    /// The day that began by us and that the host does not know of.
    #[n(4)]
    untold: Option<String>,
}

#[derive(Encode, Decode)]
struct StoredDay {
    #[n(0)]
    current: String,
    #[n(1)]
    since: i64,
    #[n(2)]
    named: bool,
    #[n(3)]
    open: Vec<String>,
    #[n(4)]
    seen_to_begin: bool,
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
            Content::Host(mark) => {
                stored.push(HOST);
                stored.extend(encode_host(mark));
            }
            Content::Audit(audit) => {
                stored.push(AUDIT);
                let AuditEntry { at, who, why, order } = audit.clone();
                let audit = StoredAudit { at: at.0, who, why, order };
                minicbor::encode(audit, &mut stored).expect("writing to a Vec does not fail");
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
            HOST => Content::Host(decode_host(content)?),
            AUDIT => Content::Audit(audit_of(content)?),
            other => return Err(RowError::Kind(other)),
        };
        Ok(Row { sequence, content })
    }

    /// The record, where it holds one.
    pub fn record(&self) -> Option<&Record> {
        match &self.content {
            Content::Record(record) => Some(record),
            Content::Numbers(_) | Content::Host(_) | Content::Audit(_) => None,
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

fn audit_of(content: &[u8]) -> Result<AuditEntry, RowError> {
    let StoredAudit { at, who, why, order } = minicbor::decode(content).map_err(|_| RowError::Audit)?;
    Ok(AuditEntry { at: Wall(at), who, why, order })
}

/// The stored form of a host's state; its view keeps it so.
pub(super) fn encode_host(mark: &HostMark) -> Vec<u8> {
    let day = mark.day.as_ref().map(|day| StoredDay {
        current: day.current.to_string(),
        since: day.since.0,
        named: day.named,
        seen_to_begin: day.seen_to_begin,
        open: day.open.iter().map(ToString::to_string).collect(),
    });
    let mode = match mark.mode {
        HostMode::Up => None,
        HostMode::Maintenance => Some(1),
        HostMode::Down => Some(2),
    };
    let rest = |rest: &LinkRest| match rest {
        LinkRest::SignedOff => 1,
        LinkRest::Closed => 2,
    };
    let links: BTreeMap<u16, u8> = mark.links.iter().map(|(place, how)| (*place, rest(how))).collect();
    let links = Some(links).filter(|links| !links.is_empty());
    let untold = mark.untold.map(|day| day.to_string());
    let stored = StoredHost { host: mark.host.as_str().to_owned(), day, mode, links, untold };
    minicbor::to_vec(stored).expect("writing to a Vec does not fail")
}

/// Reads the stored form of a host's state.
pub(super) fn decode_host(content: &[u8]) -> Result<HostMark, RowError> {
    let stored: StoredHost = minicbor::decode(content).map_err(|_| RowError::Host)?;
    let date = |text: &String| BusinessDate::parse(text).ok_or(RowError::Host);
    let day = |day: StoredDay| -> Result<DayMark, RowError> {
        let open = day.open.iter().map(date).collect::<Result<_, _>>()?;
        let StoredDay { current, since, named, seen_to_begin, .. } = day;
        Ok(DayMark { current: date(&current)?, since: Wall(since), named, seen_to_begin, open })
    };
    let mode = match stored.mode {
        None => HostMode::Up,
        Some(1) => HostMode::Maintenance,
        Some(2) => HostMode::Down,
        Some(_) => return Err(RowError::Host),
    };
    let rest = |(place, rest): (u16, u8)| match rest {
        1 => Ok((place, LinkRest::SignedOff)),
        2 => Ok((place, LinkRest::Closed)),
        _ => Err(RowError::Host),
    };
    let links = stored.links.unwrap_or_default().into_iter().map(rest).collect::<Result<_, _>>()?;
    let untold = stored.untold.as_ref().map(date).transpose()?;
    let day = stored.day.map(day).transpose()?;
    Ok(HostMark { host: stored.host.as_str().into(), day, mode, links, untold })
}

impl From<&NumberBlock> for StoredNumbers {
    fn from(block: &NumberBlock) -> StoredNumbers {
        StoredNumbers { acquirer: block.acquirer.as_str().to_owned(), stans: block.stans, rrns: block.rrns }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::samples::*;
    use super::*;
    use crate::payment::{
        Balance, BusinessDate, Consent, MessageKind, MessageValues, OperationKind, Purchase, ResultCode,
        ReversalReason, StoredCredential,
    };
    use crate::transaction::{
        Body, Delivery, Discharge, Obligation, ObligationKind, Outcome, Provenance, Requested, Rerouted, TraceParent,
    };
    use std::sync::Arc;

    const FIXTURE: &str = include_str!("../../fixtures/records/format-1.txt");

    fn discharged(version: u32, discharge: Discharge) -> Content {
        Content::Record(record(5, version, Body::Discharged { obligation: 1, discharge }))
    }

    fn void() -> Content {
        let obligations = vec![reversal(1, 2)];
        let void =
            Requested { obligations, delivery: Delivery::Advice, ..requested(2, OperationKind::Void, "void-key") };
        Content::Record(record(5, 4, Body::Requested(Box::new(void))))
    }

    fn awaited() -> Requested {
        let message = MessageValues { mti: 220, kind: Some(MessageKind::RefundAdvice), ..message(2) };
        Requested { message, delivery: Delivery::Awaited, ..requested(2, OperationKind::Refund, "refund-key") }
    }

    fn increment() -> Requested {
        let message = MessageValues { mti: 100, kind: Some(MessageKind::Increment), ..message(2) };
        Requested { message, ..requested(2, OperationKind::Increment, "increment-key") }
    }

    fn owing_new_kinds() -> Outcome {
        let repeat = Obligation { number: 1, kind: ObligationKind::Repeat, operation: 2, message: awaited().message };
        let plain = reversal(2, 1);
        let (kind, remains) = (Some(MessageKind::Release), Some(euros(700)));
        let reason = Some(ReversalReason::PartlyCompleted);
        let message = MessageValues { kind, remains, reason, ..plain.message };
        let release = Obligation { kind: ObligationKind::Release, message, ..plain };
        Outcome { operation: 2, obligations: vec![repeat, release], ..outcome(ResultCode::Timeout) }
    }

    fn sale_with_consent() -> Record {
        let mut sale = sale(5, "acme", "sale-key");
        let Body::Requested(requested) = &mut sale.body else { unreachable!() };
        requested.message.consent = Some(Consent {
            eci: Some("05".to_owned()),
            authentication: Some("f38e6948-5388-41a6-bca4-b49723c19437".to_owned()),
            stored: Some(StoredCredential::Recurring),
            network_reference: Some("MCC123456".to_owned()),
        });
        let metadata = [("order".to_owned(), "4711".to_owned())].into();
        Arc::make_mut(requested.origin.as_mut().unwrap()).metadata = Some(metadata);
        sale
    }

    fn sale_with_purchase() -> Record {
        let mut sale = sale(5, "acme", "sale-key");
        let Body::Requested(requested) = &mut sale.body else { unreachable!() };
        requested.message.purchase = Some(Purchase {
            customer_reference: Some("PO-4711".to_owned()),
            invoice: Some("2026-17".to_owned()),
            tax: Some(euros(208)),
        });
        sale
    }

    fn sale_with_provenance() -> Record {
        let mut sale = sale(5, "acme", "sale-key");
        let Body::Requested(requested) = &mut sale.body else { unreachable!() };
        requested.provenance = Some(Box::new(Provenance {
            trace: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            initiator: Some("shop".to_owned()),
            period: Some("2026-17".to_owned()),
        }));
        sale
    }

    fn told_of_balances() -> Outcome {
        let balance = |amount_type, minor, is_negative| Balance {
            account_type: 0,
            amount_type,
            amount: euros(minor),
            is_negative,
        };
        let balances = Some(vec![balance(1, 100_000, false), balance(2, 2_500, true)]);
        Outcome { balances, ..outcome(ResultCode::Approved) }
    }

    /// One of each kind; their names and sequence numbers stand in the fixture.
    fn expected() -> Vec<(&'static str, Content)> {
        let code = |text: &str| Some(text.to_owned());
        let declined = Outcome {
            response_code: code("51"),
            business_date: BusinessDate::parse("2027-01-01"),
            ..outcome(ResultCode::InsufficientFunds)
        };
        let elsewhere = requested(1, OperationKind::Sale, "sale-key");
        let rerouted = Rerouted { operation: 1, message: elsewhere.message, business_date: elsewhere.business_date };
        let late = Body::LateReply { operation: 1, response_code: code("00"), result: ResultCode::Approved };
        vec![
            ("requested_first", Content::Record(sale(5, "acme", "sale-key"))),
            ("requested_later", void()),
            ("settled_approved", Content::Record(approved(5, 2, 1))),
            ("settled_declined", Content::Record(record(5, 2, Body::Settled(declined)))),
            ("settled_unknown", Content::Record(unknown(5, 2))),
            ("discharged_acknowledged", discharged(3, Discharge::Acknowledged(code("00")))),
            ("discharged_original_unknown", discharged(3, Discharge::OriginalUnknown(code("25")))),
            ("discharged_refused", discharged(3, Discharge::Refused(code("05")))),
            ("discharged_parked", discharged(3, Discharge::Parked(None))),
            ("discharged_cancelled", discharged(3, Discharge::Cancelled)),
            ("late_reply", Content::Record(record(5, 4, late))),
            ("reopened", Content::Record(record(5, 5, Body::Reopened { obligation: 1 }))),
            ("numbers", Content::Numbers(numbers("400001", 1000, 2000))),
            ("rerouted", Content::Record(record(5, 2, Body::Rerouted(Box::new(rerouted))))),
            ("host_day", Content::Host(host_mark("bank"))),
            ("host_down", Content::Host(HostMark { day: None, mode: HostMode::Down, ..host_mark("bank") })),
            ("audit", Content::Audit(audit("ada"))),
            ("discharged_taken_over", discharged(4, Discharge::TakenOver("ada".to_owned()))),
            ("requested_awaited", Content::Record(record(5, 4, Body::Requested(Box::new(awaited()))))),
            ("settled_repeated_and_released", Content::Record(record(5, 5, Body::Settled(owing_new_kinds())))),
            ("discharged_declined", discharged(6, Discharge::Declined(ResultCode::NotAllowed, code("57")))),
            ("host_links_off", Content::Host(host_with_links_off("bank"))),
            ("host_untold", Content::Host(HostMark { untold: BusinessDate::parse("2026-11-23"), ..host_mark("bank") })),
            ("requested_with_consent", Content::Record(sale_with_consent())),
            ("settled_with_balances", Content::Record(record(5, 2, Body::Settled(told_of_balances())))),
            ("requested_increment", Content::Record(record(5, 2, Body::Requested(Box::new(increment()))))),
            ("requested_with_purchase", Content::Record(sale_with_purchase())),
            ("requested_with_provenance", Content::Record(sale_with_provenance())),
        ]
    }

    fn fixture() -> Vec<(&'static str, Vec<u8>)> {
        let lines = FIXTURE.lines().filter(|line| !line.starts_with('#'));
        let read = |line: &'static str| {
            let (name, hex) = line.split_once(' ').unwrap();
            (name, data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap())
        };
        lines.map(read).collect()
    }

    fn line((sequence, (name, content)): (i64, (&str, Content))) -> String {
        format!("{name} {}", data_encoding::HEXLOWER.encode(&Row { sequence, content }.encode()))
    }

    #[test]
    fn rows_of_format_1_stay_readable() {
        let (fixture, expected) = (fixture(), expected());
        let missing: Vec<String> = (1..).zip(expected.clone()).skip(fixture.len()).map(line).collect();
        assert!(missing.is_empty(), "to be added to the fixture:\n{}", missing.join("\n"));
        for (sequence, ((name, stored), (expected_name, content))) in (1..).zip(fixture.iter().zip(expected)) {
            assert_eq!(*name, expected_name);
            assert_eq!(Row::decode(sequence, stored), Ok(Row { sequence, content }), "{name}");
        }
    }

    #[test]
    fn format_1_is_written_as_it_always_was() {
        for (sequence, ((name, stored), (_, content))) in (1..).zip(fixture().into_iter().zip(expected())) {
            let written = data_encoding::HEXLOWER.encode(&Row { sequence, content }.encode());
            assert_eq!(written, data_encoding::HEXLOWER.encode(&stored), "{name}");
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let row = Row { sequence: 1, content: Content::Record(sale(5, "acme", "k")) };
        let stored = row.encode();
        for place in 0..stored.len() * 8 {
            let mut changed = stored.clone();
            changed[place / 8] ^= 1 << (place % 8);
            assert!(Row::decode(1, &changed).is_err(), "bit {place}");
        }
        for length in 0..stored.len() {
            assert!(Row::decode(1, &stored[..length]).is_err(), "cut to {length}");
        }
        assert_eq!(Row::decode(2, &stored), Err(RowError::Checksum), "under another's number");
        assert_eq!(Row::decode(1, &[&[9], &stored[1..]].concat()), Err(RowError::Format(9)));
    }
}
