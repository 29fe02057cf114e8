"""ISO 20022 CAPE with python-iso20022, unmodified, against a running demo; ISO's schemas judge both directions.

Usage: cape.py DIR/demo.json FOLDER-OF-SCHEMAS
"""

import datetime
import decimal
import json
import sys

import requests
from lxml import etree
from python_iso20022.caaa.caaa_001_001_13 import models as request
from python_iso20022.caaa.caaa_002_001_13 import models as response

demo = json.load(open(sys.argv[1]))
schemas = {number: etree.XMLSchema(etree.parse(f"{sys.argv[2]}/caaa.{number}.001.13.xsd")) for number in ("001", "002")}
session = requests.Session()
session.verify = demo["ca_cert"]
# Otherwise a REQUESTS_CA_BUNDLE of the environment would win over the line above.
session.trust_env = False
session.headers["Authorization"] = "Bearer " + demo["merchant"]["api_key"]


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"cape.py: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}")


def built(name, **values):
    """A class of the package by its name without the suffix."""
    return getattr(request, name + "Caaa00100113")(**values)


def valid(number, document):
    root = etree.fromstring(document)
    # The package names the root after its own class, which is sent as it is and judged by its right name.
    root.tag = etree.QName(etree.QName(root).namespace, "Document")
    if not schemas[number].validate(root):
        sys.exit(f"cape.py: not valid: {schemas[number].error_log}\n{etree.tostring(root).decode()}")
    return document


def authorisation(reference, amount, card="4242424242424242", captures=True):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    header = built(
        "Header70",
        msg_fctn="FAUQ" if captures else "AUTQ",
        prtcol_vrsn="13.0",
        xchg_id=decimal.Decimal(1),
        cre_dt_tm=now,
        initg_pty=built("GenericIdentification176", id="demo-shop"),
    )
    data = built("PlainCardData22", pan=card, xpry_dt="2030-12")
    terminal = built("GenericIdentification177", id=demo["merchant"]["terminal"])
    environment = built(
        "CardPaymentEnvironment80",
        poi=built("PointOfInteraction14", id=terminal),
        card=built("PaymentCard35", plain_card_data=data),
    )
    transaction = built(
        "CardPaymentTransaction134",
        tx_captr=captures,
        tx_id=built("TransactionIdentifier1", tx_dt_tm=now, tx_ref=reference),
        tx_dtls=built("CardPaymentTransactionDetails53", ccy="EUR", ttl_amt=decimal.Decimal(amount)),
    )
    body = built("AcceptorAuthorisationRequest13", envt=environment, cntxt=built("CardPaymentContext30"), tx=transaction)
    message = built("AcceptorAuthorisationRequestV13", hdr=header, authstn_req=body)
    document = request.Caaa00100113(accptr_authstn_req=message).to_iso20022_xml()
    return valid("001", document.encode())


def post(document):
    return session.post(demo["edge_url"] + "/v1/cape", data=document, headers={"Content-Type": "application/xml"})


def answered(answer):
    """The response as the package reads it, once ISO's schema has judged it."""
    read = response.Caaa00200113.from_iso20022_xml(valid("002", answer.content).decode())
    return read.accptr_authstn_rspn


def result(message):
    told = message.authstn_rspn.tx_rspn.authstn_rslt.rspn_to_authstn.rspn
    return getattr(told, "value", told)


sale = authorisation("cape-1", "12.99")
first = post(sale)
expect("an authorisation with capture is taken", first.status_code, 201)
expect("and approved", result(answered(first)), "APPR")
again = post(sale)
expect("asked again it is the same", (again.headers.get("idempotent-replayed"), again.content), ("true", first.content))
found = session.get(demo["edge_url"] + "/v1/payments", params={"reference": "cape-1"}).json()["data"]
expect("and it is a payment like all others", (found[0]["status"], found[0]["amount"]["value"]), ("captured", 1299))
held = post(authorisation("cape-2", "10.00", captures=False))
expect("an authorisation alone holds the money", result(answered(held)), "APPR")
declined = post(authorisation("cape-3", "10.51", card="4000000000999997"))
expect("a decline is told with the bank's code", result(answered(declined)), "DECL")
reason = answered(declined).authstn_rspn.tx_rspn.authstn_rslt.rspn_to_authstn.rspn_rsn
expect("which is the bank's own", reason, "51")
wrong = post(sale.replace(b"12.99", b"12.999"))
expect("more digits than the currency has are refused", (wrong.status_code, wrong.json()["code"]), (400, "field_type"))
expect("at their path", wrong.json()["xpath"], "/Document/AccptrAuthstnReq/AuthstnReq/Tx/TxDtls/TtlAmt")
