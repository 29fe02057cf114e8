//! `isthmus bank ctl`: looks at a running bank and changes what it does, over its control port.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::table;
use crate::simulator::{Act, Config};

/// Look at a running bank and change what it does.
#[derive(Debug, Args)]
#[command(after_help = "The bank has to run with `control = \"127.0.0.1:8590\"` in its configuration.\n\n\
    Examples:\n  isthmus bank ctl state\n  isthmus bank ctl links\n  isthmus bank ctl link 3 reset\n  \
    isthmus bank ctl link all half-open\n  isthmus bank ctl outage closed\n  isthmus bank ctl outage off\n  \
    isthmus bank ctl act cutover\n  \
    isthmus bank ctl rule add --toml '[[rule]]\n    name = \"busy\"\n    about = \"every third request is told that the bank is down\"\n    \
    when = { every = 3 }\n    then = { code = \"91\" }'\n  isthmus bank ctl rule remove busy\n  \
    isthmus bank ctl scenario replace night.toml\n  isthmus bank ctl messages --json --after 100\n  \
    isthmus bank ctl --control 127.0.0.1:9000 ledger --json")]
pub(super) struct Ctl {
    /// The control port; without it, that of the configuration, or 127.0.0.1:8590.
    #[arg(long, value_name = "ADDRESS", global = true)]
    control: Option<SocketAddr>,
    /// The bank's answer as it came, JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Day, outage, links and counters.
    State,
    /// Check values of the keys in force.
    Keys,
    /// The links that are up.
    Links,
    /// Do something to one link.
    Link {
        /// Its number, or all.
        link: String,
        /// What.
        what: LinkOrder,
    },
    /// The scenario in force, with how often each rule was applied.
    Scenario {
        #[command(subcommand)]
        change: Option<ScenarioOrder>,
    },
    /// Add rules before those in force, or take one away.
    Rule {
        #[command(subcommand)]
        change: RuleOrder,
    },
    /// Have the bank do something of its own accord, on every link.
    Act {
        /// What.
        act: Act,
    },
    /// Begin an outage, or end the one that was begun so.
    Outage {
        /// How it shows.
        links: Outage,
    },
    /// Entries of the ledger.
    Ledger {
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Accounts that were touched.
    Accounts,
    /// The last messages of every link, masked.
    Messages {
        #[command(flatten)]
        wanted: Wanted,
        /// With card numbers, and the bytes.
        #[arg(long)]
        unmasked: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ScenarioOrder {
    /// Put another scenario in force; accounts stay as they are.
    Replace {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum RuleOrder {
    /// From a file, or as text.
    Add {
        /// The file.
        #[arg(required_unless_present = "toml")]
        file: Option<PathBuf>,
        /// The rules themselves.
        #[arg(long, conflicts_with = "file")]
        toml: Option<String>,
    },
    /// By its name.
    Remove {
        /// The name.
        name: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LinkOrder {
    Close,
    Reset,
    HalfOpen,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outage {
    /// Links are closed, and new ones too.
    Closed,
    /// Links stay and nothing is answered.
    Deaf,
    /// It is over.
    Off,
}

#[derive(Debug, Args)]
struct Wanted {
    /// Only what comes after this place.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    after: u64,
    /// No more lines than this.
    #[arg(long, value_name = "LINES", default_value_t = 1_000)]
    most: usize,
}

/// A request to the control port.
struct Asked {
    method: Method,
    path: String,
    body: String,
}

impl Ctl {
    /// Asks the bank and prints what it says.
    pub(super) fn run(self, config: &Config) -> Result<(), String> {
        let fallback = SocketAddr::from(([127, 0, 0, 1], 8_590));
        let control = self.control.or(config.control).unwrap_or(fallback);
        let asked = self.order.asked()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let answer = runtime.map_err(|error| error.to_string())?.block_on(send(control, asked))?;
        let mut out = std::io::stdout().lock();
        // A reader that went away wants no more of it; that is no failure.
        let _ = match self.json {
            true => writeln!(out, "{answer}"),
            false => write!(out, "{}", table::of(&answer)),
        };
        Ok(())
    }
}

impl Order {
    fn asked(&self) -> Result<Asked, String> {
        let get = |path: String| Asked { method: Method::GET, path, body: String::new() };
        let asked = |method, path: String, body| Asked { method, path, body };
        Ok(match self {
            Self::State => get("/state".into()),
            Self::Keys => get("/keys".into()),
            Self::Links => get("/links".into()),
            Self::Link { link, what } => {
                asked(Method::POST, format!("/links/{}/{}", plain(link)?, name(*what)), String::new())
            }
            Self::Scenario { change: None } => get("/scenario".into()),
            Self::Scenario { change: Some(ScenarioOrder::Replace { file }) } => {
                asked(Method::PUT, "/scenario".into(), text_of(file)?)
            }
            Self::Rule { change: RuleOrder::Add { file, toml } } => {
                let text = match (file, toml) {
                    (Some(file), _) => text_of(file)?,
                    (None, toml) => toml.clone().unwrap_or_default(),
                };
                asked(Method::POST, "/rules".into(), text)
            }
            Self::Rule { change: RuleOrder::Remove { name } } => {
                asked(Method::DELETE, format!("/rules/{}", plain(name)?), String::new())
            }
            Self::Act { act } => asked(Method::POST, format!("/acts/{}", name(*act)), String::new()),
            Self::Outage { links: Outage::Off } => asked(Method::DELETE, "/outage".into(), String::new()),
            Self::Outage { links } => asked(Method::PUT, format!("/outage/{}", name(*links)), String::new()),
            Self::Ledger { wanted } => get(format!("/ledger?{wanted}")),
            Self::Accounts => get("/accounts".into()),
            Self::Messages { wanted, unmasked } => get(format!("/messages?{wanted}&unmasked={unmasked}")),
        })
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "after={}&most={}", self.after, self.most)
    }
}

/// The name of a choice as it is typed, which is also its name on the wire.
fn name(choice: impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A part of a path that needs no escaping.
fn plain(text: &str) -> Result<&str, String> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if good { Ok(text) } else { Err(format!("{text:?}: expected letters, digits, -, _ and . alone")) }
}

fn text_of(file: &PathBuf) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

async fn send(control: SocketAddr, asked: Asked) -> Result<Value, String> {
    let unreachable = |error: &dyn std::fmt::Display| {
        format!("{control}: {error}; does the bank run, with `control` in its configuration?")
    };
    let stream = TcpStream::connect(control).await.map_err(|error| unreachable(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    tokio::spawn(connection);
    let request = Request::builder().method(asked.method).uri(asked.path).header("host", control.to_string());
    let request = request.body(Full::new(Bytes::from(asked.body))).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    let answer: Value =
        serde_json::from_slice(&body).map_err(|_| format!("{status}: {}", String::from_utf8_lossy(&body)))?;
    if status.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
}

/// What the bank has against it, a mistake a line.
fn refusal(answer: &Value) -> String {
    let mut told = answer["detail"].as_str().unwrap_or("refused").to_owned();
    for mistake in answer["mistakes"].as_array().into_iter().flatten() {
        told.push_str("\n  ");
        told.push_str(mistake.as_str().unwrap_or_default());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_would_be_a_path_is_refused() {
        assert!(plain("rule-1").is_ok());
        assert!(plain("../state").is_err() && plain("").is_err() && plain("a b").is_err());
    }

    #[test]
    fn mistakes_are_told_a_line_each() {
        let answer = json!({"code": "mistakes", "detail": "nothing was changed", "mistakes": ["a:1", "a:2"]});
        assert_eq!(refusal(&answer), "nothing was changed\n  a:1\n  a:2");
    }
}
