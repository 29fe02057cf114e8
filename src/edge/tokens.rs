//! `/v1/tokens`: cards that a merchant leaves here, to pay with them later by name.
//!
//! What is kept is number and expiry, sealed; a verification code that came with them is forgotten with the request.
//! Another merchant's token is answered as one that never was. The same card has the same token, so a merchant that asks
//! again, under whatever key, gets no second one.

use super::Door;
use super::answering::{Handled, marked, respond};
use super::archive::in_turn;
use super::authentication::{Peer, authenticate, reader};
use super::command;
use super::listing::limit;
use super::payments::PaymentPath;
use super::posting::{Received, idempotency_key, located, read_in};
use super::problem::{Code, Problem};
use super::request::{CreateToken, is_plain};
use super::wrapping::{answer_wrapping, declared_wrapping, now};
use super::xml::Document;
use crate::merchants::{Merchant, Scope};
use crate::payment::{Card, TokenId};
use crate::vault::{Created, NewToken, Token, TokenError, Tokens};
use axum::Extension;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Uri};
use serde::Serialize;
use std::sync::Arc;

/// How many tokens a page holds where nothing is said.
const LIMIT_DEFAULT: usize = 20;

/// A token in JSON.
#[derive(Debug, Serialize)]
struct TokenJson {
    id: String,
    card: KeptCardJson,
    created_at: String,
}

#[derive(Debug, Serialize)]
struct KeptCardJson {
    brand: &'static str,
    first6: String,
    last4: String,
    expiry_month: u8,
    expiry_year: u16,
}

/// A page of tokens.
#[derive(Debug, Serialize)]
struct TokensJson {
    data: Vec<TokenJson>,
    next_cursor: Option<String>,
}

/// What is said of a token that is no more.
#[derive(Debug, Serialize)]
struct DeletedJson {
    id: String,
    deleted: bool,
}

impl Document for TokenJson {
    const ROOT: &'static str = "token";
}

impl Document for TokensJson {
    const ROOT: &'static str = "tokens";
}

impl Document for DeletedJson {
    const ROOT: &'static str = "deleted_token";
}

impl From<&Token> for TokenJson {
    fn from(token: &Token) -> TokenJson {
        let Card { pan, expiry, .. } = &token.card;
        let card = KeptCardJson {
            brand: pan.brand().name(),
            first6: pan.first6().to_owned(),
            last4: pan.last4().to_owned(),
            expiry_month: expiry.month(),
            expiry_year: expiry.year(),
        };
        TokenJson { id: token.id.to_string(), card, created_at: token.created_at.rfc3339() }
    }
}

/// `POST /v1/tokens`.
pub(super) async fn create(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Handled {
    let (parts, body) = request.into_parts();
    let asker = authenticate(&door.register.now(), &parts.headers, peer)?;
    asker.may(Scope::Tokens)?;
    let key = idempotency_key(&parts.headers)?;
    let declared = declared_wrapping(&parts.headers)?;
    let received = Received::read(&door, &asker, declared, &parts, body).await?;
    received.opened.may(Scope::Tokens)?;
    let (wrapping, stale) = (received.opened.wrapping, received.opened.stale());
    let (CreateToken { card }, root) = read_in(wrapping, &received.opened.payload)?;
    let understood = command::keep(&asker.merchant, &card, &door.fingerprint_key);
    let (card, fingerprint) = understood.map_err(|problem| located(problem, root.as_deref()))?;
    let merchant = asker.merchant.id.clone();
    if let Some(stale) = stale {
        let (merchant, key) = (merchant.clone(), key.clone());
        let is_known = from_vault(&door, move |tokens| tokens.is_known(&merchant, &key)).await?;
        is_known.then_some(()).ok_or(stale)?;
    }
    let _places = received.taken(&key)?;
    let new = NewToken { id: TokenId(uuid::Uuid::now_v7().as_u128()), merchant, key, fingerprint, card, at: now() };
    let Created { token, replayed } = from_vault(&door, move |tokens| tokens.create(&new)).await?;
    let response = respond(&door, &asker.merchant, wrapping, 201, &TokenJson::from(&token))?;
    Ok(marked(response, replayed))
}

/// `GET /v1/tokens/{id}`.
pub(super) async fn read(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    path: PaymentPath,
    headers: HeaderMap,
) -> Handled {
    let merchant = reader(&door.register.now(), &headers, peer)?;
    let (owner, id) = (merchant.id.clone(), token_id(path)?);
    let found = from_vault(&door, move |tokens| tokens.find(&owner, id)).await?;
    let token = found.ok_or(Code::TokenNotFound)?;
    respond(&door, &merchant, answer_wrapping(&headers, &merchant), 200, &TokenJson::from(&token))
}

/// `GET /v1/tokens`: the newest first, page by page.
pub(super) async fn list(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Handled {
    let merchant = reader(&door.register.now(), &headers, peer)?;
    let (owner, (behind, limit)) = (merchant.id.clone(), wanted(&uri)?);
    // One more than the page holds, to know whether there is a next one.
    let mut found = from_vault(&door, move |tokens| tokens.list(&owner, behind, limit + 1)).await?;
    let is_last = found.len() <= limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| !is_last).map(|token| token.id.to_string());
    let page = TokensJson { data: found.iter().map(TokenJson::from).collect(), next_cursor };
    respond(&door, &merchant, answer_wrapping(&headers, &merchant), 200, &page)
}

/// `DELETE /v1/tokens/{id}`.
pub(super) async fn delete(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    path: PaymentPath,
    request: Request,
) -> Handled {
    let (parts, _) = request.into_parts();
    let asker = authenticate(&door.register.now(), &parts.headers, peer)?;
    asker.may(Scope::Tokens)?;
    door.judge_bodiless(&asker, &parts, Scope::Tokens)?;
    let (owner, id) = (asker.merchant.id.clone(), token_id(path)?);
    let is_deleted = from_vault(&door, move |tokens| tokens.delete(&owner, id, now())).await?;
    is_deleted.then_some(()).ok_or(Code::TokenNotFound)?;
    let wrapping = answer_wrapping(&parts.headers, &asker.merchant);
    respond(&door, &asker.merchant, wrapping, 200, &DeletedJson { id: id.to_string(), deleted: true })
}

/// The card of a merchant's token; none where it has no such token.
pub(super) async fn card_of(door: &Door, merchant: &Merchant, name: &str) -> Result<Option<Card>, Problem> {
    let Ok(id) = name.parse() else { return Ok(None) };
    let owner = merchant.id.clone();
    let found = from_vault(door, move |tokens| tokens.find(&owner, id)).await?;
    Ok(found.map(|token| token.card))
}

async fn from_vault<T: Send + 'static>(
    door: &Door,
    ask: impl FnOnce(&Tokens) -> Result<T, TokenError> + Send + 'static,
) -> Result<T, Problem> {
    let tokens = Arc::clone(&door.tokens);
    let told = in_turn(door, move || ask(&tokens)).await?;
    told.map_err(|error| match error {
        TokenError::KeyReused => Code::KeyReused.into(),
        TokenError::Deleted => Code::TokenDeleted.into(),
        error => {
            tracing::error!(%error, "the tokens cannot be used");
            Code::StoreUnavailable.into()
        }
    })
}

fn token_id(path: PaymentPath) -> Result<TokenId, Problem> {
    let id = path.ok().and_then(|Path(text)| text.parse().ok());
    id.ok_or(Code::TokenNotFound.into())
}

/// Behind which token a page begins, and how many it holds.
fn wanted(uri: &Uri) -> Result<(Option<TokenId>, usize), Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| Code::QueryMalformed)?;
    let (mut behind, mut most) = (None, None);
    for (name, value) in &pairs {
        let at = |code: Code| match is_plain(name) {
            true => Problem::of_parameter(code, name),
            false => code.into(),
        };
        let is_twice = match name.as_str() {
            "cursor" => behind.replace(value.parse().map_err(|()| at(Code::CursorInvalid))?).is_some(),
            "limit" => most.replace(limit(value).ok_or_else(|| at(Code::LimitInvalid))?).is_some(),
            _ => return Err(at(Code::ParameterUnknown)),
        };
        if is_twice {
            return Err(at(Code::ParameterDuplicate));
        }
    }
    Ok((behind, most.unwrap_or(LIMIT_DEFAULT)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_page_is_asked_for_by_two_parameters() {
        let read = |query: &str| {
            let uri: Uri = format!("/v1/tokens{query}").parse().unwrap();
            wanted(&uri).map_err(|problem| (problem.code, problem.parameter))
        };
        assert_eq!(read(""), Ok((None, LIMIT_DEFAULT)));
        let id = TokenId(5);
        assert_eq!(read(&format!("?limit=7&cursor={id}")), Ok((Some(id), 7)));
        for (query, code, parameter) in [
            ("?limit=0", Code::LimitInvalid, Some("limit")),
            ("?limit=1&limit=1", Code::ParameterDuplicate, Some("limit")),
            ("?cursor=tok_1", Code::CursorInvalid, Some("cursor")),
            ("?status=x", Code::ParameterUnknown, Some("status")),
            ("?4111111111111111=x", Code::ParameterUnknown, None),
        ] {
            assert_eq!(read(query), Err((code, parameter.map(str::to_owned))), "{query}");
        }
    }
}
