//! `isthmus merchant` against an open door: what is added, changed and taken back counts without a restart.

use crate::stage::{Stage, material, open_for, sale};
use isthmus::client::{Client, Target};
use isthmus::edge::Limits;
use isthmus::merchants::{Follower, follow};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// A configuration without merchants, and a door that follows the register beside it.
struct House {
    folder: PathBuf,
    stage: Stage,
    _follower: Follower,
}

const TERMINAL: &str = "--terminal T0000001 --acceptor SHOP00000000001 --category-code 5999 --city Bonn --country DE";

async fn house(name: &str, edge: &str) -> House {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("merchants-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let m = material();
    let config = format!(
        "[journal]\nstore = 'sqlite:store.db'\n[edge]\ntls_certificate_file = '{}'\ntls_key_file = '{}'\n{edge}\n\
         public = {{ ca_file = '{}' }}\n[keys]\nvault_key_id = 'k'\nvault_key_file = 'v'\nfingerprint_key_file = 'f'\n\
         [[hosts]]\nname = 'bank'\nacquirer = '1'\ndialect = 'iso8583-1987-ascii'\n[[hosts.links]]\n\
         connect = '127.0.0.1:1'\n",
        m.server_certificate.display(),
        m.server_key.display(),
        m.ca_certificate.display(),
    );
    std::fs::write(folder.join("isthmus.toml"), config).unwrap();
    let (register, follower) = follow(Vec::new(), &folder, &folder.join("store.db-merchants")).unwrap();
    let stage = open_for(Limits::default(), register, 8).await;
    House { folder, stage, _follower: follower }
}

impl House {
    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
        command.current_dir(&self.folder).args(["merchant", "--json"]).args(arguments.split(' '));
        command.output().unwrap()
    }

    fn does(&self, arguments: &str) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refuses(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    fn client_json(&self, merchant: &str) -> Value {
        let path = self.folder.join(format!("merchant-{merchant}/client.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn target(&self, merchant: &str) -> Target {
        let api_key = self.client_json(merchant)["merchant"]["api_key"].as_str().unwrap().to_owned();
        let folder = self.folder.join(format!("merchant-{merchant}"));
        Target { api_key: Some(api_key), ca_pem: std::fs::read(folder.join("ca.pem")).unwrap(), ..self.stage.target() }
    }

    fn identity(&self, merchant: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let read = |name: &str| std::fs::read(self.folder.join(format!("merchant-{merchant}/{name}"))).unwrap();
        Some((read("client.pem"), read("client-key.pem")))
    }

    /// Asks until it is answered so: a door follows its register within seconds.
    async fn until(&self, target: &Target, status: u16) {
        let mut last = None;
        for attempt in 0..100 {
            // A connection each time: a certificate is presented when one begins.
            let mut client = Client::new(target).unwrap();
            let trip = client.post("/v1/payments", &format!("{status}-{attempt}-{:p}", &last), &sale(1299)).await;
            last = trip.ok().map(|trip| trip.status.as_u16());
            if last == Some(status) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(last, Some(status));
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_pays_by_its_folder_until_it_is_suspended() {
    let house = house("life", "").await;
    let added = house.does(&format!("add shop {TERMINAL} --why contract"));
    assert_eq!(added["merchant"], "shop");
    for (name, mode) in [("client.json", 0o600), ("client-key.pem", 0o600), ("payload-private.pem", 0o600)] {
        let found = std::fs::metadata(house.folder.join("merchant-shop").join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    let by_key = house.target("shop");
    house.until(&by_key, 201).await;
    let by_certificate = Target { api_key: None, identity_pem: house.identity("shop"), ..by_key.clone() };
    house.until(&by_certificate, 201).await;

    house.does("suspend shop --why intruders");
    house.until(&by_key, 403).await;
    house.does("resume shop --why mended");
    house.until(&by_key, 201).await;

    let hash = added["certificate_sha256"].as_str().unwrap();
    house.does(&format!("certificate unbind shop {} --why lost", &hash[..10]));
    let refused = tokio::time::timeout(Duration::from_secs(10), async {
        // Nobody has bound the key any more: the handshake itself fails.
        while Client::new(&by_certificate).unwrap().get("/v1/payments").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    refused.await.unwrap();
    let audit = house.does("audit");
    let told: Vec<_> = audit["changes"].as_array().unwrap().iter().map(|c| c["what"].clone()).collect();
    assert_eq!(told, ["certificate unbind", "resume", "suspend", "add"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_added_and_revoked_without_a_pause() {
    let house = house("keys", "").await;
    house.does(&format!("add shop {TERMINAL} --no-certificate --why contract"));
    assert_eq!(house.client_json("shop")["merchant"]["client_cert"], Value::Null);
    let first = house.target("shop");
    let second = house.does("key add shop --days 30 --why rotation");
    let with_second = Target { api_key: Some(second["api_key"].as_str().unwrap().to_owned()), ..first.clone() };
    house.until(&with_second, 201).await;
    house.until(&first, 201).await;
    let reading = house.does("key add shop --scopes read --why reports");
    let with_reading = Target { api_key: Some(reading["api_key"].as_str().unwrap().to_owned()), ..first.clone() };
    house.until(&with_reading, 403).await;

    let document = house.does("show shop");
    let hash = document["api_key_sha256"][0].as_str().unwrap();
    house.does(&format!("key revoke shop {} --why rotated", &hash[..8]));
    house.until(&first, 401).await;
    house.until(&with_second, 201).await;
    assert!(house.refuses("key revoke shop ffffffffffff --why x").contains("no API key"));
    let store = std::fs::read(house.folder.join("store.db-merchants")).unwrap();
    let key = with_second.api_key.unwrap();
    assert!(!store.windows(key.len()).any(|part| part == key.as_bytes()), "a key itself stands in the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_issued_for_requests() {
    let ca = material();
    let edge =
        format!("client_ca_file = '{}'\nclient_ca_key_file = '{}'", ca.ca_certificate.display(), ca.ca_key.display());
    let house = house("issued", &edge).await;
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::new(vec!["whatever".to_owned()]).unwrap().serialize_request(&key).unwrap();
    std::fs::write(house.folder.join("shop.csr"), request.pem().unwrap()).unwrap();
    house.does(&format!("add shop {TERMINAL} --csr shop.csr --require both --why contract"));
    assert!(!house.folder.join("merchant-shop/client-key.pem").exists());
    let certificate = std::fs::read(house.folder.join("merchant-shop/client.pem")).unwrap();
    let by_key = house.target("shop");
    let both = Target { identity_pem: Some((certificate, key.serialize_pem().into_bytes())), ..by_key.clone() };
    house.until(&both, 201).await;
    house.until(&by_key, 401).await;

    let next = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&next).unwrap();
    std::fs::write(house.folder.join("next.csr"), request.pem().unwrap()).unwrap();
    let issued = house.does("certificate issue shop next.csr --why renewal");
    let certificate = issued["certificate"].as_str().unwrap().as_bytes().to_vec();
    let renewed = Target { identity_pem: Some((certificate, next.serialize_pem().into_bytes())), ..by_key.clone() };
    house.until(&renewed, 201).await;
    house.until(&both, 201).await;

    std::fs::write(house.folder.join("forged.csr"), "nothing").unwrap();
    assert!(house.refuses("certificate issue shop forged.csr --why x").contains("forged.csr"));
    assert!(house.refuses("certificate issue nobody next.csr --why x").contains("no merchant nobody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_can_be_imported() {
    let house = house("export", "").await;
    house.does(&format!("add one {TERMINAL} --no-certificate --amount-max EUR=1000 --why contract"));
    house.does(
        "terminal add one --terminal T0000002 --acceptor A --category-code 5999 --city Bonn --country DE --why more",
    );
    let mut exported = house.does("export");
    std::fs::write(house.folder.join("same.json"), exported.to_string()).unwrap();
    assert_eq!(house.does("import same.json --why again")["changed"], json!([]));
    exported[0]["suspended"] = json!(true);
    std::fs::write(house.folder.join("other.json"), exported.to_string()).unwrap();
    assert_eq!(house.does("import other.json --why edited")["changed"], json!(["one"]));
    assert_eq!(house.does("list")["merchants"][0]["suspended"], true);
    exported[0]["terminals"] = json!([]);
    std::fs::write(house.folder.join("wrong.json"), exported.to_string()).unwrap();
    assert!(house.refuses("import wrong.json --why edited").contains("terminals: required"));
    exported[0]["terminal"] = json!(1);
    std::fs::write(house.folder.join("unknown.json"), exported.to_string()).unwrap();
    assert!(house.refuses("import unknown.json --why edited").contains("unknown field"));
    assert!(house.refuses(&format!("add one {TERMINAL} --why again --folder other")).contains("already"));
    assert!(!house.folder.join("other").exists(), "the folder of a merchant that was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn signature_keys_are_given_listed_and_taken_back() {
    let house = house("signers", "").await;
    house.does(&format!("add shop {TERMINAL} --why contract"));
    house.does(&format!("add other {TERMINAL} --why contract"));
    let pair = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&pair).unwrap().pem();
    std::fs::write(house.folder.join("key.pem"), &certificate).unwrap();
    std::fs::write(house.folder.join("both.pem"), [certificate, pair.serialize_pem()].concat()).unwrap();
    let told = house.refuses("signature-key add shop both.pem --why signing");
    assert!(told.contains("a private key"), "{told}");
    let added = house.does("signature-key add shop key.pem --scopes sale --days 30 --why signing");
    assert_eq!(added["scopes"], json!(["sale"]));
    let listed = house.does("signature-key list shop");
    assert_eq!(
        listed["keys"],
        json!([{
            "sha256": added["sha256"], "expires": added["expires"], "scopes": ["sale"]
        }])
    );
    let told = house.refuses("signature-key add other key.pem --why theft");
    assert!(told.contains("another merchant"), "{told}");
    let exported = house.does("export shop").to_string();
    assert!(exported.contains("BEGIN PUBLIC KEY") && !exported.contains("CERTIFICATE"), "{exported}");
    let hash = added["sha256"].as_str().unwrap();
    assert_eq!(house.does(&format!("signature-key revoke shop {} --why stolen", &hash[..12]))["revoked"], hash);
    assert_eq!(house.does("signature-key list shop")["keys"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_is_removed_once_it_is_suspended_and_the_register_is_checked() {
    let house = house("removed", "").await;
    house.does(&format!("add shop {TERMINAL} --why contract"));
    let by_key = house.target("shop");
    house.until(&by_key, 201).await;
    let told = house.refuses("remove shop --why gone");
    assert!(told.contains("suspend"), "{told}");
    house.does("suspend shop --why gone");
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
        command.current_dir(&house.folder).args(["check", "isthmus.toml"]).output().unwrap()
    };
    let checked = check();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let register = rusqlite::Connection::open(house.folder.join("store.db-merchants")).unwrap();
    register.execute("INSERT INTO merchants VALUES ('broken', '{}')", []).unwrap();
    let checked = check();
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.code() == Some(1) && told.contains("merchant broken"), "{told}");
    register.execute("DELETE FROM merchants WHERE id = 'broken'", []).unwrap();
    house.does("remove shop --why gone");
    house.until(&by_key, 401).await;
    assert_eq!(house.does("audit --limit 1")["changes"][0]["what"], "remove");
}
