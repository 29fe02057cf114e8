//! The folder of the demo: keys, two configurations, and `demo.json`, which tells scripts where everything is.

use super::DemoError;
use super::material::{Material, write_secret};
use data_encoding::HEXLOWER;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Identifier of the demo's merchant.
const MERCHANT: &str = "demo-shop";
/// Its terminal.
const TERMINAL: &str = "DEMO0001";

/// Where everything of the demo lies.
pub(super) struct Files {
    pub folder: PathBuf,
    pub material: Material,
    pub config: PathBuf,
    pub bank_config: PathBuf,
    pub demo_json: PathBuf,
    pub log: PathBuf,
    port_base: u16,
}

impl Files {
    /// Makes what is not there yet, and writes the configurations for these ports.
    pub(super) fn prepare(folder: &Path, port_base: u16) -> Result<Files, DemoError> {
        let material = Material::prepare(folder)?;
        let folder = folder.canonicalize()?;
        let material = material.in_absolute(&folder);
        let at = |name: &str| folder.join(name);
        let files = Files {
            material,
            config: at("isthmus.toml"),
            bank_config: at("bank.toml"),
            demo_json: at("demo.json"),
            log: at("isthmus.log"),
            folder: folder.clone(),
            port_base,
        };
        for key in ["vault.key", "fingerprint.key"] {
            files.make_key(key)?;
        }
        std::fs::write(&files.config, files.config_text()?)?;
        std::fs::write(&files.bank_config, files.bank_config_text())?;
        Ok(files)
    }

    fn make_key(&self, name: &str) -> Result<(), DemoError> {
        let path = self.folder.join(name);
        if !path.is_file() {
            let mut key = [0; 32];
            aws_lc_rs::rand::fill(&mut key).map_err(|_| "no randomness")?;
            write_secret(&path, &HEXLOWER.encode(&key))?;
        }
        Ok(())
    }

    fn port(&self, offset: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port_base + offset))
    }

    pub(super) fn edge_addr(&self) -> SocketAddr {
        self.port(0)
    }

    fn config_text(&self) -> Result<String, DemoError> {
        let (edge, framed, bank) = (self.port(0), self.port(1), self.port(3));
        let (operations, acquirer) = (self.port(4), self.port(5));
        let (key_hash, spki) = (self.material.api_key_sha256()?, self.material.client_spki_sha256()?);
        Ok(format!(
            r#"# The switch of the demo. `isthmus serve --config` this file, and `isthmus bank --config bank.toml` beside it.

[journal]
store = "sqlite:isthmus.db"
wal_mib = 16

[edge]
listen = "{edge}"
framed_listen = "{framed}"
tls_certificate_file = "server.pem"
tls_key_file = "server-key.pem"
client_ca_file = "ca.pem"
client_ca_key_file = "ca-key.pem"
payload_key_files = ["payload-private.pem"]
signature_key_file = "signature-private.pem"
access_log_file = "access.jsonl"
public = {{ ca_file = "ca.pem" }}

[operations]
listen = "{operations}"

[keys]
vault_key_id = "demo-1"
vault_key_file = "vault.key"
fingerprint_key_file = "fingerprint.key"

[[hosts]]
name = "demo-bank"
acquirer = "123456"
dialect = "iso8583-1987-ascii"
answer_timeout_ms = 3000
send_timeout_ms = 1000

[hosts.retry]
pause_min_ms = 500
pause_max_ms = 10000

[[hosts.links]]
connect = "{bank}"

[[hosts.links]]
connect = "{bank}"

[[acquirers]]
name = "demo-terminals"
listen = "{acquirer}"
dialect = "iso8583-1987-bcd"
merchants = ["{MERCHANT}"]

[[merchants]]
id = "{MERCHANT}"
name = "Demo shop"
api_key_sha256 = ["{key_hash}"]
client_cert_spki_sha256 = ["{spki}"]
payload_key_file = "merchant-payload.jwk.json"
signature_key_files = ["merchant-signature.pem", "merchant.pem"]

[[merchants.terminals]]
terminal = "{TERMINAL}"
acceptor = "DEMOSHOP0000001"
category_code = "5999"
city = "Panama City"
country = "PA"
"#
        ))
    }

    fn bank_config_text(&self) -> String {
        let bank = self.port(3);
        format!(
            "# The bank host of the demo: cards and rules of the built-in scenario.\n\n\
             listen = \"{bank}\"\nledger = \"bank.db\"\n"
        )
    }

    /// Tells scripts where everything is; what does not exist yet is null.
    pub(super) fn write_demo_json(&self) -> Result<(), DemoError> {
        let material = &self.material;
        let edge = format!("https://{}", self.edge_addr());
        let demo = json!({
            "edge_url": edge,
            "framed_addr": self.port(1).to_string(),
            "console_url": null,
            "bank_addr": self.port(3).to_string(),
            "acquirer_addr": self.port(5).to_string(),
            "metrics_url": format!("http://{}/metrics", self.port(4)),
            "ca_cert": material.ca_certificate,
            "payload_jwks_url": format!("{edge}/v1/keys"),
            "payload_key": material.gateway_payload_key,
            "merchant": {
                "id": MERCHANT,
                "terminal": TERMINAL,
                "api_key": material.api_key()?,
                "client_cert": material.client_certificate,
                "client_key": material.client_key,
                "payload_private_key": material.merchant_payload_private_key,
                "payload_private_key_pem": material.merchant_payload_private_key_pem,
                "signature_key": material.merchant_signature_key,
            },
            "operator": { "user": null, "password": null },
            "store": self.folder.join("isthmus.db"),
            "control": self.folder.join("isthmus.db-control"),
            "dialect": "iso8583-1987-ascii",
            "config": self.config,
            "bank_config": self.bank_config,
            "log": self.log,
        });
        write_secret(&self.demo_json, &format!("{demo:#}\n"))?;
        Ok(())
    }

    /// A line to paste.
    pub(super) fn invitation(&self) -> Result<String, DemoError> {
        let (url, ca) = (self.edge_addr(), self.material.ca_certificate.display().to_string());
        let api_key = self.material.api_key()?;
        Ok(format!(
            "\nPay with curl:\n\n  curl --cacert {ca} -H 'Authorization: Bearer {api_key}' \
             -H \"Idempotency-Key: $(date +%s%N)\" -H 'Content-Type: application/json' \
             -d '{{\"reference\":\"curl-1\",\"amount\":{{\"value\":1299,\"currency\":\"EUR\"}},\"capture\":true,\
             \"card\":{{\"number\":\"4242424242424242\",\"expiry_month\":12,\"expiry_year\":2030,\"cvc\":\"123\"}}}}' \
             https://{url}/v1/payments\n"
        ))
    }
}
