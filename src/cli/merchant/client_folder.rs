//! The folder that a merchant's client reads: its keys, whom to trust, and where the doors are.
//!
//! `client.json` has the keys of the demo's `demo.json` that concern a merchant. Its paths start from the folder, so
//! that it can be handed over as a whole. Only its owner may read it.

use super::issuing::Issued;
use crate::cli::demo::PayloadPair;
use crate::cli::demo::material::{write, write_secret};
use crate::edge;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What goes into a folder.
pub(super) struct Contents<'a> {
    pub merchant: &'a str,
    pub terminal: &'a str,
    pub api_key: &'a str,
    pub issued: Option<&'a Issued>,
    pub payload: &'a PayloadPair,
}

/// A folder that was made.
pub(super) struct ClientFolder(PathBuf);

impl ClientFolder {
    /// Makes a folder. One that is there already is left alone: keys of another merchant may lie in it.
    pub fn write(path: &Path, edge: &edge::Settings, contents: &Contents<'_>) -> Result<ClientFolder, String> {
        let made = fs::DirBuilder::new().mode(0o700).create(path);
        made.map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
        let folder = ClientFolder(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        folder.fill(edge, contents).inspect_err(|_| folder.remove())?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn client_json(&self) -> PathBuf {
        self.0.join("client.json")
    }

    /// Takes it away again, where its merchant was refused.
    pub fn remove(&self) {
        // It was made a moment ago; what cannot be removed is of no use to anybody.
        let _ = fs::remove_dir_all(&self.0);
    }

    fn fill(&self, edge: &edge::Settings, contents: &Contents<'_>) -> Result<(), String> {
        let made = |error: &dyn std::fmt::Display| error.to_string();
        let secret = |name: &str, text: &str| write_secret(&self.0.join(name), text).map_err(|error| made(&error));
        let open = |name: &str, text: &str| write(&self.0.join(name), text).map_err(|error| made(&error));
        let payload = contents.payload;
        let jwk = payload.private_jwk().map_err(|error| made(&error))?;
        secret("payload-private.jwk.json", &jwk.to_string())?;
        secret("payload-private.pem", &payload.private_pem().map_err(|error| made(&error))?)?;
        if let Some(issued) = contents.issued {
            open("client.pem", &issued.certificate)?;
            if let Some(key) = &issued.key {
                secret("client-key.pem", key)?;
            }
        }
        if let Some(ca) = &edge.public.ca_file {
            let text = fs::read_to_string(ca).map_err(|error| format!("{}: {error}", ca.display()))?;
            open("ca.pem", &text)?;
        }
        secret("client.json", &format!("{:#}", client(edge, contents)))
    }
}

fn client(edge: &edge::Settings, contents: &Contents<'_>) -> Value {
    let url = edge.public_url();
    let certificate = contents.issued.map(|_| "client.pem");
    let key = contents.issued.and_then(|issued| issued.key.as_ref()).map(|_| "client-key.pem");
    json!({
        "edge_url": url,
        "framed_addr": edge.public_framed(),
        "ca_cert": edge.public.ca_file.as_ref().map(|_| "ca.pem"),
        "payload_jwks_url": format!("{url}/v1/keys"),
        "merchant": {
            "id": contents.merchant,
            "terminal": contents.terminal,
            "api_key": contents.api_key,
            "client_cert": certificate,
            "client_key": key,
            "payload_private_key": "payload-private.jwk.json",
            "payload_private_key_pem": "payload-private.pem",
        },
    })
}
