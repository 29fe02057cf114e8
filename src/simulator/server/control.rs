//! The control port: what the bank does can be looked at and changed while it runs, over HTTP.
//!
//! For tests and for people at the same machine: it listens on loopback alone, asks for no password,
//! and so refuses what a web page in somebody's browser might send (an `Origin`, or a `Host` that is no
//! loopback name). Answers are JSON; scenarios and rules come as TOML, as they stand in files.
//!
//! | | |
//! | --- | --- |
//! | `GET /state` | day, outage, links, counters |
//! | `GET /scenario`, `PUT /scenario` | the scenario in force; another one |
//! | `POST /rules`, `DELETE /rules/{name}` | rules before those in force; one taken away |
//! | `GET /keys` | check values of the keys in force |
//! | `GET /links`, `POST /links/{number or all}/{close, reset or half-open}` | |
//! | `POST /acts/{echo, key-change, new-keys, cutover, ...}` | what the bank does of its own accord |
//! | `PUT /outage/{closed or deaf}`, `DELETE /outage` | |
//! | `GET /ledger?after=&most=`, `GET /accounts` | |
//! | `GET /messages?after=&most=&unmasked=` | the last messages of every link |

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::routing::{delete, get, post, put};
use serde::{Deserialize, Serialize};

use super::super::mistake::Mistake;
use super::super::scenario::{Act, Down};
use super::desk::{Desk, LinkOrder, Refused, Stopped};

/// The greatest scenario that is taken.
const MOST_BYTES: usize = 4 * 1_024 * 1_024;

/// Lines given where nothing else is asked for.
const MOST_LINES: usize = 10_000;

type Answer = Response<Body>;

/// The port's routes.
pub(super) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/state", get(state))
        .route("/scenario", get(scenario).put(replace_scenario))
        .route("/rules", post(add_rules))
        .route("/rules/{name}", delete(remove_rule))
        .route("/keys", get(keys))
        .route("/links", get(links))
        .route("/links/{link}/{order}", post(order_links))
        .route("/acts/{act}", post(act))
        .route("/outage/{links}", put(begin_outage))
        .route("/outage", delete(end_outage))
        .route("/ledger", get(ledger))
        .route("/accounts", get(accounts))
        .route("/messages", get(messages))
        .layer(axum::extract::DefaultBodyLimit::max(MOST_BYTES))
        .layer(middleware::from_fn(from_this_machine))
        .with_state(desk)
}

/// Refuses what a browser sends on behalf of a page.
async fn from_this_machine(request: Request, next: Next) -> Answer {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_ours = ["127.0.0.1", "localhost", "[::1]"].contains(&name);
    match is_ours && !request.headers().contains_key(header::ORIGIN) {
        true => next.run(request).await,
        false => problem(StatusCode::FORBIDDEN, "not_from_here", "asked for by no program on this machine"),
    }
}

async fn state(State(desk): State<Desk>) -> Answer {
    told(desk.state().await)
}

async fn scenario(State(desk): State<Desk>) -> Answer {
    told(desk.scenario().await)
}

async fn replace_scenario(State(desk): State<Desk>, text: String) -> Answer {
    taken(desk.replace_scenario(&text).await)
}

async fn add_rules(State(desk): State<Desk>, text: String) -> Answer {
    taken(desk.add_rules(&text).await)
}

async fn remove_rule(State(desk): State<Desk>, Path(name): Path<String>) -> Answer {
    match desk.remove_rule(name).await {
        Ok(false) => problem(StatusCode::NOT_FOUND, "no_such_rule", "GET /scenario lists the rules by name"),
        other => told(other.map(|_| Done { done: true })),
    }
}

async fn keys(State(desk): State<Desk>) -> Answer {
    told(desk.keys().await)
}

async fn links(State(desk): State<Desk>) -> Answer {
    told(desk.links().await)
}

async fn order_links(State(desk): State<Desk>, Path((link, order)): Path<(String, LinkOrder)>) -> Answer {
    let which = match link.as_str() {
        "all" => None,
        number => match number.parse() {
            Ok(number) => Some(number),
            Err(_) => return problem(StatusCode::BAD_REQUEST, "no_link", "a link's number, or all"),
        },
    };
    match desk.order_links(which, order).await {
        Ok(0) if which.is_some() => problem(StatusCode::NOT_FOUND, "no_such_link", "GET /links lists them"),
        other => told(other.map(|links| Affected { links })),
    }
}

async fn act(State(desk): State<Desk>, Path(act): Path<Act>) -> Answer {
    told(desk.act(act).await.map(|()| Done { done: true }))
}

async fn begin_outage(State(desk): State<Desk>, Path(links): Path<Down>) -> Answer {
    told(desk.outage(Some(links)).await.map(|()| Done { done: true }))
}

async fn end_outage(State(desk): State<Desk>) -> Answer {
    told(desk.outage(None).await.map(|()| Done { done: true }))
}

/// Which lines are wanted.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    after: u64,
    most: Option<usize>,
    #[serde(default)]
    unmasked: bool,
}

async fn ledger(State(desk): State<Desk>, Query(wanted): Query<Wanted>) -> Answer {
    match desk.ledger(wanted.after, wanted.most.unwrap_or(MOST_LINES)).await {
        Ok(entries) => json(StatusCode::OK, &entries),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, "ledger_unreadable", &error.to_string()),
    }
}

async fn accounts(State(desk): State<Desk>) -> Answer {
    told(desk.accounts().await)
}

async fn messages(State(desk): State<Desk>, Query(wanted): Query<Wanted>) -> Answer {
    json(StatusCode::OK, &desk.messages(wanted.after, wanted.most.unwrap_or(MOST_LINES), wanted.unmasked))
}

#[derive(Serialize)]
struct Done {
    done: bool,
}

#[derive(Serialize)]
struct Affected {
    links: usize,
}

#[derive(Serialize)]
struct Problem<'a> {
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<String>,
}

fn told<T: Serialize>(answer: Result<T, Stopped>) -> Answer {
    match answer {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(Stopped) => problem(StatusCode::SERVICE_UNAVAILABLE, "stopped", "the bank is stopping"),
    }
}

fn taken<T: Serialize>(answer: Result<T, Refused>) -> Answer {
    match answer {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(Refused::Stopped) => told::<T>(Err(Stopped)),
        Err(Refused::Mistakes(mistakes)) => json(
            StatusCode::UNPROCESSABLE_ENTITY,
            &Problem {
                code: "mistakes",
                detail: "nothing was changed",
                mistakes: mistakes.iter().map(Mistake::to_string).collect(),
            },
        ),
    }
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Answer {
    json(status, &Problem { code, detail, mistakes: Vec::new() })
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content);
    response
}
