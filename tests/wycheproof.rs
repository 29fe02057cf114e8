//! Wycheproof's vectors against the envelope: what they call valid and we speak opens, nothing else does.
//!
//! The vectors are not part of this project: `ISTHMUS_WYCHEPROOF` names their folder, `tests/parts/wycheproof` says so
//! where it is not set.

#![allow(clippy::unwrap_used, clippy::panic)]

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use isthmus::edge::envelope::jwe::{self, ContentCipher};
use isthmus::edge::envelope::{Keyring, decipher};
use rsa::pkcs8::EncodePrivateKey;
use rsa::{BigUint, RsaPrivateKey};
use serde_json::Value;

fn groups(file: &str) -> Vec<Value> {
    let folder = std::env::var("ISTHMUS_WYCHEPROOF").expect("ISTHMUS_WYCHEPROOF names the folder of the vectors");
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join(file)).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["testGroups"].as_array().unwrap().clone()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn keyring(pem: &[u8]) -> Option<(Keyring, String)> {
    let mut keyring = Keyring::default();
    keyring.add(pem).ok()?;
    let kid = keyring.jwks()["keys"][0]["kid"].as_str().unwrap().to_owned();
    Some((keyring, kid))
}

/// A private RSA key of the vectors, as our keys are kept.
fn rsa_pem(jwk: &Value) -> Option<String> {
    let number = |name: &str| {
        let bytes = BASE64URL_NOPAD.decode(jwk[name].as_str()?.as_bytes()).ok()?;
        Some(BigUint::from_bytes_be(&bytes))
    };
    let primes = vec![number("p")?, number("q")?];
    let key = RsaPrivateKey::from_components(number("n")?, number("e")?, number("d")?, primes).ok()?;
    Some(key.to_pkcs8_pem(Default::default()).unwrap().to_string())
}

#[test]
#[ignore = "needs ISTHMUS_WYCHEPROOF"]
fn tokens() {
    let (mut opened, mut refused) = (0, 0);
    for group in groups("json_web_encryption_test.json") {
        let Some((keyring, kid)) = rsa_pem(&group["private"]).and_then(|pem| keyring(pem.as_bytes())) else { continue };
        for test in group["tests"].as_array().unwrap() {
            let Some(token) = test["jwe"].as_str() else { continue };
            let header = token.split('.').next().and_then(|header| BASE64URL_NOPAD.decode(header.as_bytes()).ok());
            let header: Value = header.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
            let ours =
                header["alg"] == "RSA-OAEP-256" && ["A128GCM", "A256GCM"].iter().any(|enc| header["enc"] == *enc);
            let result = keyring.open(token.as_bytes(), Some(&kid));
            if ours && test["result"] == "valid" {
                assert_eq!(*result.unwrap().content, hex(&test["pt"]), "{}", test["tcId"]);
                opened += 1;
            } else {
                assert!(result.is_err(), "{} {header}", test["tcId"]);
                refused += 1;
            }
        }
    }
    println!("opened {opened}, refused {refused}");
    assert!(opened >= 3 && refused >= 20);
}

fn content(key: &[u8], aad: &[u8]) -> Vec<u8> {
    let (nonce, payload) = ([2; jwe::IV_BYTES].into(), Payload { msg: b"{}", aad });
    match key.len() {
        16 => Aes128Gcm::new_from_slice(key).unwrap().encrypt(&nonce, payload).unwrap(),
        _ => Aes256Gcm::new_from_slice(key).unwrap().encrypt(&nonce, payload).unwrap(),
    }
}

#[test]
#[ignore = "needs ISTHMUS_WYCHEPROOF"]
fn wrapped_keys() {
    let (mut opened, mut refused) = (0, 0);
    let files = ["rsa_oaep_2048_sha256_mgf1sha256_test.json", "rsa_oaep_3072_sha256_mgf1sha256_test.json"];
    for group in files.iter().flat_map(|file| groups(file)) {
        let pem = group["privateKeyPem"].as_str().unwrap();
        let (keyring, kid) = keyring(pem.as_bytes()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            // A message that can be no content key is replaced by one: what matters is that it does not come out.
            let message = hex(&test["msg"]);
            let key = if [16, 32].contains(&message.len()) { message.clone() } else { vec![0; 16] };
            let cipher = if key.len() == 16 { ContentCipher::A128GCM } else { ContentCipher::A256GCM };
            let protected = jwe::protected_header(cipher, &kid, 1);
            let content = content(&key, protected.as_bytes());
            let token = jwe::compose(&protected, &hex(&test["ct"]), &[2; jwe::IV_BYTES], &content);
            let opens = test["result"] != "invalid" && key == message && test["label"] == "";
            assert_eq!(keyring.open(token.as_bytes(), None).is_ok(), opens, "{}", test["tcId"]);
            *if opens { &mut opened } else { &mut refused } += 1;
        }
    }
    println!("opened {opened}, refused {refused}");
    assert!(refused >= 20);
}

#[test]
#[ignore = "needs ISTHMUS_WYCHEPROOF"]
fn contents() {
    let (mut opened, mut refused) = (0, 0);
    for group in groups("aes_gcm_test.json") {
        for test in group["tests"].as_array().unwrap() {
            let (key, iv) = (hex(&test["key"]), hex(&test["iv"]));
            let cipher = if key.len() == 16 { ContentCipher::A128GCM } else { ContentCipher::A256GCM };
            let lengths = [16, 32].contains(&key.len()) && [jwe::IV_BYTES, jwe::LONG_IV_BYTES].contains(&iv.len());
            let ours = lengths && hex(&test["tag"]).len() == 16;
            let mut buffer = [hex(&test["ct"]), hex(&test["tag"])].concat();
            let opens = decipher(cipher, &key, &iv, &hex(&test["aad"]), &mut buffer).is_ok();
            assert_eq!(opens, ours && test["result"] == "valid", "{}", test["tcId"]);
            if opens {
                assert_eq!(buffer, hex(&test["msg"]), "{}", test["tcId"]);
            }
            *if opens { &mut opened } else { &mut refused } += 1;
        }
    }
    println!("opened {opened}, refused {refused}");
    assert!(opened >= 50 && refused >= 50);
}
