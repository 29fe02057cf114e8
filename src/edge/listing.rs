//! `GET /v1/payments`: a merchant's own payments, newest first, filtered, page by page.
//!
//! A page says where the next one begins; payments that begin meanwhile stand before the first page and shift nothing.
//! The surprise: a page may hold fewer payments than it has room for and still not be the last one, where few of those
//! it looked at have the status that was asked for.

use super::answering::{Handled, respond};
use super::archive::{ArchiveUnavailable, from_store, load};
use super::authentication::{Peer, reader};
use super::command::is_reference;
use super::payment_json::{PaymentJson, PaymentsJson};
use super::problem::{Code, Problem};
use super::request::is_plain;
use super::wrapping::answer_wrapping;
use super::{Archive, Door};
use crate::payment::{MerchantId, PaymentId, Wall};
use crate::transaction::{IdempotencyKey, Listing, Page, Payment, PaymentStatus, Place};
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use data_encoding::BASE64URL_NOPAD;
use std::sync::Arc;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MOST: usize = 100;

/// Answers a page.
pub(super) async fn read(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Handled {
    let merchant = reader(&door.register.now(), &headers, peer)?;
    let wanted = Wanted::read(&uri, merchant.id.clone())?;
    let (found, next) = from_store(&door, move |archive| wanted.find(archive)).await?;
    let data = found.iter().map(PaymentJson::from).collect();
    let wrapping = answer_wrapping(&headers, &merchant);
    respond(&door, &merchant, wrapping, 200, &PaymentsJson { data, next_cursor: next.map(cursor) })
}

/// What a query asks for.
#[derive(Debug)]
struct Wanted {
    listing: Listing,
    key: Option<IdempotencyKey>,
}

impl Wanted {
    fn read(uri: &Uri, merchant: MerchantId) -> Result<Wanted, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| Code::QueryMalformed)?;
        let (from, to) = (Wall(i64::MIN), Wall(i64::MAX));
        let listing = Listing { merchant, reference: None, from, to, status: None, after: None, limit: LIMIT_DEFAULT };
        let mut wanted = Wanted { listing, key: None };
        for (place, (name, value)) in pairs.iter().enumerate() {
            if pairs.iter().take(place).any(|(earlier, _)| earlier == name) {
                return Err(refused(Code::ParameterDuplicate, name));
            }
            wanted.take(name, value).map_err(|code| refused(code, name))?;
        }
        Ok(wanted)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Code> {
        let listing = &mut self.listing;
        match name {
            "reference" if is_reference(value) => listing.reference = Some(value.to_owned()),
            "reference" => return Err(Code::ReferenceUnlikely),
            "idempotency_key" => self.key = Some(IdempotencyKey::new(value).ok_or(Code::KeyUnlikely)?),
            "status" => listing.status = Some(PaymentStatus::from_name(value).ok_or(Code::StatusUnknown)?),
            "from" => listing.from = Wall::parse_rfc3339(value).ok_or(Code::TimeInvalid)?,
            "to" => listing.to = Wall::parse_rfc3339(value).ok_or(Code::TimeInvalid)?,
            "cursor" => listing.after = Some(place(value).ok_or(Code::CursorInvalid)?),
            "limit" => listing.limit = limit(value).ok_or(Code::LimitInvalid)?,
            _ => return Err(Code::ParameterUnknown),
        }
        Ok(())
    }

    /// The payments of a page, and where the next one begins.
    fn find(&self, archive: &dyn Archive) -> Result<(Vec<Payment>, Option<Place>), ArchiveUnavailable> {
        let listing = &self.listing;
        let page = match &self.key {
            Some(key) => of_key(archive, listing, key)?,
            None => archive.list(listing)?,
        };
        let loaded: Result<Vec<_>, _> = page.places.iter().map(|place| load(archive, place.payment)).collect();
        let wanted = |payment: &Payment| {
            let (origin, status) = (&payment.origin, payment.status());
            !payment.is_inquiry()
                && origin.merchant == listing.merchant
                && listing.reference.as_ref().is_none_or(|reference| origin.reference == *reference)
                && listing.status.is_none_or(|wanted| wanted == status)
        };
        Ok((loaded?.into_iter().flatten().filter(wanted).collect(), page.next))
    }
}

/// The one payment that a key belongs to, where it lies within the list.
fn of_key(archive: &dyn Archive, listing: &Listing, key: &IdempotencyKey) -> Result<Page, ArchiveUnavailable> {
    let Some(id) = archive.by_key(&listing.merchant, key)? else { return Ok(Page::default()) };
    let place = load(archive, id)?.map(|payment| Place { created: payment.created_at, payment: id });
    Ok(Page { places: place.filter(|place| listing.admits(*place)).into_iter().collect(), next: None })
}

fn refused(code: Code, parameter: &str) -> Problem {
    match is_plain(parameter) {
        true => Problem::of_parameter(code, parameter),
        false => code.into(),
    }
}

pub(super) fn limit(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|limit| digits && (1..=LIMIT_MOST).contains(limit))
}

/// A place as merchants carry it: opaque to them, and of no use to anybody else, who has other payments.
fn cursor(place: Place) -> String {
    let (created, payment) = (place.created.0.to_be_bytes(), place.payment.0.to_be_bytes());
    BASE64URL_NOPAD.encode(&[&created[..], &payment[..]].concat())
}

fn place(cursor: &str) -> Option<Place> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    let (created, payment) = bytes.split_at_checked(8)?;
    let created = Wall(i64::from_be_bytes(created.try_into().ok()?));
    Some(Place { created, payment: PaymentId(u128::from_be_bytes(payment.try_into().ok()?)) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(query: &str) -> Result<Wanted, (&'static str, Option<String>)> {
        let uri: Uri = format!("/v1/payments{query}").parse().unwrap();
        let wanted = Wanted::read(&uri, MerchantId::new("acme").unwrap());
        wanted.map_err(|problem| (problem.code.name(), problem.parameter))
    }

    #[test]
    fn a_query_becomes_a_listing() {
        let listing = read("").unwrap().listing;
        assert_eq!((listing.limit, listing.status, listing.after), (20, None, None));
        let place = Place { created: Wall(7), payment: PaymentId(0xfeed) };
        let query = format!(
            "?reference=a%20b&status=voided&from=2026-01-01T00:00:00Z&to=2026-01-01T02:00:00%2B01:00&limit=100&cursor={}",
            cursor(place)
        );
        let listing = read(&query).unwrap().listing;
        assert_eq!((listing.reference.as_deref(), listing.status), (Some("a b"), Some(PaymentStatus::Voided)));
        assert_eq!(listing.to.0 - listing.from.0, 3_600_000_000);
        assert_eq!((listing.after, listing.limit), (Some(place), 100));
    }

    #[test]
    fn each_mistake_names_its_parameter() {
        let cases = [
            ("?reference=", "parameter_reference_invalid", Some("reference")),
            ("?idempotency_key=a%20b", "parameter_idempotency_key_invalid", Some("idempotency_key")),
            ("?status=Captured", "parameter_status_invalid", Some("status")),
            ("?from=2026-01-01", "parameter_time_invalid", Some("from")),
            ("?to=now", "parameter_time_invalid", Some("to")),
            ("?cursor=AAAA", "parameter_cursor_invalid", Some("cursor")),
            ("?cursor=!", "parameter_cursor_invalid", Some("cursor")),
            ("?limit=0", "parameter_limit_invalid", Some("limit")),
            ("?limit=101", "parameter_limit_invalid", Some("limit")),
            ("?limit=%2B5", "parameter_limit_invalid", Some("limit")),
            ("?limit=5&limit=5", "parameter_duplicate", Some("limit")),
            ("?page=2", "parameter_unknown", Some("page")),
            ("?4111111111111111=1", "parameter_unknown", None),
        ];
        for (query, code, parameter) in cases {
            assert_eq!(read(query).unwrap_err(), (code, parameter.map(str::to_owned)), "{query}");
        }
    }
}
