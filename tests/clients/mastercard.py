"""Mastercard's client-encryption, unmodified, against a running demo: the whole body sealed, and a member of it.

Usage: mastercard.py DIR/demo.json

Its `decrypt_payload` never checks the authentication tag, so what it opens proves that an answer can be read, not that
it is authentic; jose.py and the clients of Node check that.
"""

import json
import sys
import tempfile
import uuid

import requests
from client_encryption.jwe_encryption import decrypt_payload, encrypt_payload
from client_encryption.jwe_encryption_config import JweEncryptionConfig

demo = json.load(open(sys.argv[1]))
merchant = demo["merchant"]
payments = demo["edge_url"] + "/v1/payments"
session = requests.Session()
session.verify = demo["ca_cert"]
# Otherwise a REQUESTS_CA_BUNDLE of the environment would win over the line above.
session.trust_env = False

gateway = session.get(demo["payload_jwks_url"]).json()["keys"][0]
certificate = tempfile.NamedTemporaryFile("w", suffix=".pem")
certificate.write(f"-----BEGIN CERTIFICATE-----\n{gateway['x5c'][0]}\n-----END CERTIFICATE-----\n")
certificate.flush()


def config(seal):
    return JweEncryptionConfig({
        "paths": {"$": {"toEncrypt": seal, "toDecrypt": {"encryptedData": "$"}}},
        "encryptedValueFieldName": "encryptedData",
        "encryptionCertificate": certificate.name,
        "decryptionKey": merchant["payload_private_key_pem"],
    })


def order():
    return {
        "reference": "mastercard",
        "amount": {"value": 1299, "currency": "EUR"},
        "card": {"number": "5555555555554444", "expiry_month": 12, "expiry_year": 2030, "cvc": "123"},
    }


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"mastercard.py: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}")


for what, seal in [("a whole body", {"$": "$"}), ("its card alone", {"card": "card"})]:
    clients = config(seal)
    sealed = encrypt_payload(order(), clients)
    expect(f"{what} sealed by mastercard-client-encryption holds no card number", "5555555555554444" in json.dumps(sealed), False)
    headers = {"Authorization": "Bearer " + merchant["api_key"], "Idempotency-Key": str(uuid.uuid4())}
    answer = session.post(payments, json=sealed, headers=headers)
    expect("is taken", answer.status_code, 201)
    expect("and answered in kind", list(answer.json()), ["encryptedData"])
    expect("with a payment that is captured", decrypt_payload(answer.json(), clients)["status"], "captured")
