"""Signed requests from unmodified clients against a running demo: jwcrypto's JWS and Mastercard's oauth1 signer.

Usage: signed.py DIR/demo.json
"""

import json
import sys
import time
import uuid

import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwcrypto import jwe, jwk, jws
from oauth1.oauth import OAuth

demo = json.load(open(sys.argv[1]))
merchant = demo["merchant"]
payments = demo["edge_url"] + "/v1/payments"
session = requests.Session()
session.verify = demo["ca_cert"]
# Otherwise a REQUESTS_CA_BUNDLE of the environment would win over the line above.
session.trust_env = False

rsa_pem = open(merchant["signature_key"], "rb").read()
keys = {"PS256": jwk.JWK.from_pem(rsa_pem), "ES256": jwk.JWK.from_pem(open(merchant["client_key"], "rb").read())}
body = json.dumps({
    "reference": "signed",
    "amount": {"value": 1299, "currency": "EUR"},
    "card": {"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2030, "cvc": "123"},
})


def signed(alg, payload, **header):
    protected = {"alg": alg, "iat": int(time.time()), "htu": payments, "jti": str(uuid.uuid4()), **header}
    token = jws.JWS(payload)
    token.add_signature(keys[alg], None, json.dumps(protected))
    return token


def post(content_type, content, key=None, **headers):
    headers = {"Authorization": "Bearer " + merchant["api_key"], "Content-Type": content_type, **headers}
    return session.post(payments, data=content, headers={"Idempotency-Key": key or str(uuid.uuid4()), **headers})


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"signed.py: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}")


def paid(what, answer):
    expect(what, (answer.status_code, answer.json().get("status")), (201, "captured"))


for alg in ["PS256", "ES256"]:
    paid(f"{alg} by jwcrypto as the body pays", post("application/jose", signed(alg, body).serialize(compact=True)))
    for what, more in [("", {}), (", unencoded", {"b64": False, "crit": ["b64"]})]:
        token = signed(alg, body, **more)
        token.detach_payload()
        beside = token.serialize(compact=True)
        paid(f"{alg} detached{what} pays", post("application/json", body, **{"X-JWS-Signature": beside}))
        other = post("application/json", body.replace("1299", "1300"), **{"X-JWS-Signature": beside})
        expect("and not another body", (other.status_code, other.json()["code"]), (400, "signature_invalid"))

gateway = session.get(demo["payload_jwks_url"]).json()["keys"][0]
header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": gateway["kid"], "cty": "JOSE", "iat": int(time.time())}
inner = signed("PS256", body).serialize(compact=True)
sealed = jwe.JWE(inner.encode(), json.dumps(header), recipient=jwk.JWK(**gateway)).serialize(compact=True)
answer = post("application/jose", sealed)
opened = jwe.JWE()
opened.deserialize(answer.text, key=jwk.JWK.from_json(open(merchant["payload_private_key"]).read()))
expect("signed first and sealed then pays", json.loads(opened.payload)["status"], "captured")

token = signed("PS256", body).serialize(compact=True)
paid("a name is taken", post("application/jose", token, key="signed-" + gateway["kid"][:8] + str(time.time())))
expect("and not under another key", post("application/jose", token).json()["code"], "jti_reused")

signing_key = load_pem_private_key(rsa_pem, None)


def by_oauth(method, url, payload):
    authorization = OAuth.get_authorization_header(url, method, payload, merchant["id"] + "!demo", signing_key)
    headers = {"Authorization": authorization, "Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    return session.request(method, url, data=payload, headers=headers)


answer = by_oauth("POST", payments, body)
paid("a request signed by mastercard-oauth1-signer pays, with no other proof", answer)
found = by_oauth("GET", payments + "?limit=1&reference=signed", None)
expect("and one with a query reads", (found.status_code, len(found.json()["data"])), (200, 1))
