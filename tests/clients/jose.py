"""An unmodified JOSE client against a running demo: what a merchant with jwcrypto and requests would write.

Usage: jose.py DIR/demo.json
"""

import json
import sys
import time
import uuid

import requests
from jwcrypto import jwe, jwk

demo = json.load(open(sys.argv[1]))
merchant = demo["merchant"]
payments = demo["edge_url"] + "/v1/payments"
session = requests.Session()
session.verify = demo["ca_cert"]
# Otherwise a REQUESTS_CA_BUNDLE of the environment would win over the line above.
session.trust_env = False

gateway = session.get(demo["payload_jwks_url"]).json()["keys"][0]
gateway_key = jwk.JWK(**gateway)
own_key = jwk.JWK.from_json(open(merchant["payload_private_key"]).read())


def order(reference):
    return {
        "reference": reference,
        "amount": {"value": 1299, "currency": "EUR"},
        "card": {"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2030, "cvc": "123"},
    }


def seal(body, cipher, **header):
    protected = {"alg": "RSA-OAEP-256", "enc": cipher, "kid": gateway["kid"], "iat": int(time.time()), **header}
    token = jwe.JWE(json.dumps(body).encode(), json.dumps(protected), recipient=gateway_key)
    return token.serialize(compact=True)


def opened(token):
    answer = jwe.JWE()
    answer.deserialize(token, key=own_key)
    return json.loads(answer.payload)


def post(content_type, body, **more):
    key = more.pop("key", str(uuid.uuid4()))
    headers = {"Authorization": "Bearer " + merchant["api_key"], "Idempotency-Key": key, "Content-Type": content_type}
    return session.post(payments, data=body, headers=headers, **more)


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"jose.py: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}")


for cipher in ["A256GCM", "A128GCM"]:
    answer = post("application/jose", seal(order("jose"), cipher))
    expect(f"{cipher} as application/jose is taken", answer.status_code, 201)
    expect("and answered in kind", answer.headers["content-type"], "application/jose")
    expect("with a payment that is captured", opened(answer.text)["status"], "captured")

    answer = post("application/json", json.dumps({"encData": seal(order("jose"), cipher)}))
    expect(f"{cipher} as encData is taken", answer.status_code, 201)
    expect("and answered in kind", list(answer.json()), ["encData"])
    expect("with a payment that is captured", opened(answer.json()["encData"])["status"], "captured")

key = str(uuid.uuid4())
first = post("application/jose", seal(order("repeat"), "A256GCM"), key=key)
again = post("application/json", json.dumps(order("repeat"), indent=4), key=key)
expect("a repeat, plain this time, says so", again.headers.get("idempotent-replayed"), "true")
expect("and gives the first answer", again.json(), opened(first.text))

certificate = (merchant["client_cert"], merchant["client_key"])
found = session.get(payments, params={"idempotency_key": key}, cert=certificate)
expect("a client certificate alone reads it", [p["id"] for p in found.json()["data"]], [again.json()["id"]])

problems = set()
for wrong in [
    seal(order("x"), "A256GCM", kid="another"),
    seal(order("x"), "A256GCM")[:-8] + "AAAAAAAA",
    seal(order("x"), "A256CBC-HS512"),
    seal(order("x"), "A256GCM", zip="DEF"),
    seal(order("x"), "A256GCM", alg="RSA-OAEP"),
    "nonsense",
]:
    answer = post("application/jose", wrong)
    expect("what cannot be opened is refused", answer.status_code, 400)
    problems.add(answer.text)
expect("always in the same words", len(problems), 1)
