//! A door on a port of its own with two merchants, one of whom also has a certificate.

use crate::scripted_switch::{self, Store};
use isthmus::cli::demo::material::Material;
use isthmus::client::{Client, Target};
use isthmus::edge::{self, Doors, FingerprintKey, Limits, Listeners, Parts, Settings, Switchboard, Waiters};
use isthmus::merchants::{LiveRegister, MerchantSettings, Register};
use isthmus::switch::Submission;
use isthmus::vault::{KeyId, Keys, Tokens};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

pub const OTHER_KEY: &str = "isk_other";

/// Made once a run: RSA keys are slow.
pub fn material() -> &'static Material {
    static MATERIAL: OnceLock<Material> = OnceLock::new();
    MATERIAL.get_or_init(|| Material::prepare(&folder()).unwrap())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway-material")
}

pub struct Stage {
    pub address: SocketAddr,
    pub framed: SocketAddr,
    pub store: Arc<Store>,
    pub waiters: Waiters,
    pub seen: mpsc::UnboundedReceiver<Submission>,
    pub doors: Doors,
    /// The folder of the tokens and the access log, which stays.
    pub vault: PathBuf,
}

/// A folder of its own that is empty.
fn vault() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("gateway-vault-{number}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub async fn open() -> Stage {
    open_with(Limits::default(), "", 8).await
}

/// With limits, further keys of the first merchant, and a number of credits.
pub async fn open_with(limits: Limits, merchant: &str, credits: usize) -> Stage {
    let register = Register::build(&merchants(material(), merchant), &folder()).unwrap();
    open_for(limits, register.into(), credits).await
}

/// For the merchants of a register.
pub async fn open_for(limits: Limits, register: LiveRegister, credits: usize) -> Stage {
    let https = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let framed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = (https.local_addr().unwrap(), framed.local_addr().unwrap());
    let (material, vault) = (material(), vault());
    let settings = Settings {
        listen: addresses.0,
        framed_listen: Some(addresses.1),
        tls_certificate_file: material.server_certificate.clone(),
        tls_key_file: material.server_key.clone(),
        client_ca_file: Some(material.ca_certificate.clone()),
        client_ca_key_file: None,
        client_crl_files: Vec::new(),
        access_log_file: Some(vault.join("access.jsonl")),
        public: edge::Public::default(),
        payload_key_files: vec![material.gateway_payload_private_key.clone()],
        signature_key_file: Some(material.gateway_signature_key.clone()),
        limits,
    };
    let (events, queue) = mpsc::channel(credits);
    let (seen_by, seen) = mpsc::unbounded_channel();
    let (waiters, store) = (Waiters::default(), Arc::new(Store::default()));
    tokio::spawn(scripted_switch::run(queue, waiters.clone(), Arc::clone(&store), seen_by));
    let keys = Keys::new(KeyId::new("k1").unwrap(), &[9; 32]);
    let parts = Parts {
        tokens: Arc::new(Tokens::open(&vault.join("tokens"), keys.into()).unwrap()),
        register,
        switchboard: Switchboard::new(events, waiters.clone(), credits),
        archive: store.clone(),
        fingerprint_key: FingerprintKey(Zeroizing::new([7; 32])),
    };
    let listeners = Listeners { https, framed: Some(framed), acquirers: Vec::new() };
    let doors = edge::serve(&settings, listeners, parts).unwrap();
    Stage { address: addresses.0, framed: addresses.1, store, waiters, seen, doors, vault }
}

fn merchants(material: &Material, more: &str) -> Vec<MerchantSettings> {
    let terminals = "[[terminals]]\nterminal = 'TERM0001'\nacceptor = 'ACME00000000001'\ncategory_code = '5999'\n\
                     city = 'Bonn'\ncountry = 'DE'\n";
    let acme = format!(
        "id = 'acme'\napi_key_sha256 = ['{}']\nclient_cert_spki_sha256 = ['{}']\npayload_key_file = '{}'\n{more}\n",
        material.api_key_sha256().unwrap(),
        material.client_spki_sha256().unwrap(),
        material.merchant_payload_key.display(),
    );
    let other = format!("id = 'other'\napi_key_sha256 = ['{}']\n", sha256_hex(OTHER_KEY));
    let read = |text: &str| toml::from_str(&format!("{text}{terminals}")).unwrap();
    vec![read(&acme), read(&other)]
}

fn sha256_hex(text: &str) -> String {
    use sha2::Digest;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(text))
}

impl Stage {
    pub fn target(&self) -> Target {
        Target {
            url: format!("https://localhost:{}", self.address.port()),
            ca_pem: std::fs::read(&material().ca_certificate).unwrap(),
            identity_pem: None,
            api_key: Some(material().api_key().unwrap()),
            envelope: None,
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.target()).unwrap()
    }

    pub fn client_with_key(&self, key: Option<&str>) -> Client {
        Client::new(&Target { api_key: key.map(str::to_owned), ..self.target() }).unwrap()
    }
}

pub fn identity() -> Option<(Vec<u8>, Vec<u8>)> {
    let read = |path| std::fs::read(path).unwrap();
    Some((read(&material().client_certificate), read(&material().client_key)))
}

pub fn sale(value: i64) -> Value {
    json!({
        "reference": format!("order-{value}"),
        "amount": {"value": value, "currency": "EUR"},
        "card": {"number": "4111111111111111", "expiry_month": 12, "expiry_year": 2030, "cvc": "123"},
    })
}

pub fn authorisation(value: i64) -> Value {
    let mut body = sale(value);
    body["capture"] = Value::Bool(false);
    body
}
