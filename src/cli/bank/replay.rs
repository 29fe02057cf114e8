//! `isthmus bank replay`: a recorded conversation once more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::simulator::replay::{self, Conversation, Difference, Manner, Outcome};
use crate::simulator::{Config, read_recording};

/// Play a recorded conversation: send what was sent and compare the answers, or answer as recorded.
#[derive(Debug, Args)]
#[command(after_help = "A recording is made by a bank that runs with `messages = \"talk.jsonl\"` and \
    `messages_unmasked = true`.\n\nExamples:\n  isthmus bank replay talk.jsonl --connect 127.0.0.1:8583\n  \
    isthmus bank replay talk.jsonl --listen 127.0.0.1:8583 --key 3,4,41")]
pub(super) struct Replay {
    /// The recording.
    file: PathBuf,
    /// Send the requests there and compare the answers with those that were recorded.
    #[arg(long, value_name = "ADDRESS", required_unless_present = "listen", conflicts_with = "listen")]
    connect: Option<SocketAddr>,
    /// Be the bank: answer as it was recorded, until Ctrl-C.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The elements by which, with the type, messages are told apart.
    #[arg(long, value_name = "ELEMENTS", value_delimiter = ',', default_value = "7,11,12,41")]
    key: Vec<u8>,
    /// Elements of an answer that may differ.
    #[arg(long, value_name = "ELEMENTS", value_delimiter = ',', default_value = "15,38,64,128")]
    ignore: Vec<u8>,
    /// How long an answer is waited for.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    timeout_ms: u64,
    /// The outcome as JSON.
    #[arg(long)]
    json: bool,
}

impl Replay {
    /// Plays it; an answer that isn't as recorded is an error.
    pub(super) fn run(self, config: &Config) -> Result<(), String> {
        let manner = Manner {
            spec: config.spec.clone(),
            framing: config.framing.clone(),
            key: self.key.clone(),
            ignored: self.ignore.clone(),
            patience: Duration::from_millis(self.timeout_ms),
        };
        let lines = read_recording(&self.file).map_err(|error| error.to_string())?;
        let conversation = Conversation::of(&lines, &manner).map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            match (self.connect, self.listen) {
                (Some(bank), _) => self.ask(&conversation, bank, &manner).await,
                (None, Some(listen)) => answer(&conversation, listen, &manner).await,
                (None, None) => Err("--connect or --listen".to_owned()),
            }
        })
    }

    async fn ask(&self, conversation: &Conversation, bank: SocketAddr, manner: &Manner) -> Result<(), String> {
        let played = replay::ask(conversation, bank, manner).await.map_err(|error| format!("{bank}: {error}"))?;
        match self.json {
            true => println!("{}", serde_json::to_string(&played).unwrap_or_default()),
            false => print!("{}", told(&played)),
        }
        if played.is_same() { Ok(()) } else { Err("the answers aren't as they were recorded".to_owned()) }
    }
}

async fn answer(conversation: &Conversation, listen: SocketAddr, manner: &Manner) -> Result<(), String> {
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("{listen}: {error}"))?;
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    println!("bank ready on {addr} (a recording)");
    let stop = CancellationToken::new();
    let answering = replay::answer(conversation, listener, manner, stop.clone());
    tokio::select! {
        ended = answering => ended.map_err(|error| error.to_string()),
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|error| error.to_string()),
    }
}

fn told(outcome: &Outcome) -> String {
    let Outcome { sent, same, different, missing, unexpected } = outcome;
    let mut text = format!(
        "{sent} sent, {same} answered as recorded, {} otherwise, {} not at all, {unexpected} answers too many\n",
        different.len(),
        missing.len()
    );
    for Difference { sequence, mti, elements } in different {
        for (element, (recorded, came)) in elements {
            let shown = |value: &Option<Value>| match value {
                None => "nothing".to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            let (recorded, came) = (shown(recorded), shown(came));
            text.push_str(&format!("  {sequence}: {mti} element {element}: recorded {recorded}, came {came}\n"));
        }
    }
    for sequence in missing {
        text.push_str(&format!("  {sequence}: no answer\n"));
    }
    text
}
