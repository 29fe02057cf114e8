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
from python_iso20022.caaa.caaa_003_001_13 import models as completion
from python_iso20022.caaa.caaa_005_001_13 import models as cancellation
from python_iso20022.caaa.caaa_007_001_13 import models as cancelled_advice
from python_iso20022.caaa.caaa_009_001_12 import models as reconciliation
from python_iso20022.caaa.caaa_010_001_11 import models as reconciled
from python_iso20022.caaa.caaa_013_001_12 import models as diagnosis
from python_iso20022.caaa.caaa_014_001_11 import models as diagnosed
from python_iso20022.caaa.caaa_015_001_06 import models as rejection

demo = json.load(open(sys.argv[1]))
numbers = ["001", "002", "003", "004", "005", "006", "007", "008", "009", "010", "013", "014", "015"]
versions = {number: "06" if number == "015" else "13" for number in numbers}
schemas = {
    number: etree.XMLSchema(etree.parse(f"{sys.argv[2]}/caaa.{number}.001.{version}.xsd"))
    for number, version in versions.items()
}
session = requests.Session()
session.verify = demo["ca_cert"]
# Otherwise a REQUESTS_CA_BUNDLE of the environment would win over the line above.
session.trust_env = False
session.headers["Authorization"] = "Bearer " + demo["merchant"]["api_key"]


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"cape.py: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}")


def built(name, models=request, **values):
    """A class of the package by its name without the suffix."""
    number, _, version = models.__name__.split("caaa_")[1].split(".")[0].split("_")
    return getattr(models, f"{name}Caaa{number}001{version}")(**values)


def valid(number, document):
    root = etree.fromstring(document)
    # The package names the root after its own class, which is sent as it is and judged by its right name.
    root.tag = etree.QName(etree.QName(root).namespace, "Document")
    if not schemas[number].validate(root):
        sys.exit(f"cape.py: not valid: {schemas[number].error_log}\n{etree.tostring(root).decode()}")
    return document


now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def header(function, models=request):
    return built(
        "Header70",
        models,
        msg_fctn=function,
        prtcol_vrsn="13.0",
        xchg_id=decimal.Decimal(1),
        cre_dt_tm=now,
        initg_pty=built("GenericIdentification176", models, id="demo-shop"),
    )


def point(models=request):
    terminal = built("GenericIdentification177", models, id=demo["merchant"]["terminal"])
    return built("PointOfInteraction14", models, id=terminal)


def named(reference, models=request):
    return built("TransactionIdentifier1", models, tx_dt_tm=now, tx_ref=reference)


def authorisation(reference, amount, card="4242424242424242", captures=True, period=None):
    data = built("PlainCardData22", pan=card, xpry_dt="2030-12")
    environment = built("CardPaymentEnvironment80", poi=point(), card=built("PaymentCard35", plain_card_data=data))
    transaction = built(
        "CardPaymentTransaction134",
        tx_captr=captures,
        tx_id=named(reference),
        rcncltn_id=period,
        tx_dtls=built("CardPaymentTransactionDetails53", ccy="EUR", ttl_amt=decimal.Decimal(amount)),
    )
    body = built("AcceptorAuthorisationRequest13", envt=environment, cntxt=built("CardPaymentContext30"), tx=transaction)
    function = header("FAUQ" if captures else "AUTQ")
    message = built("AcceptorAuthorisationRequestV13", hdr=function, authstn_req=body)
    document = request.Caaa00100113(accptr_authstn_req=message).to_iso20022_xml()
    return valid("001", document.encode())


def completed(reference, amount):
    models = completion
    transaction = built(
        "CardPaymentTransaction135",
        models,
        tx_id=named(reference, models),
        tx_sucss=True,
        tx_dtls=built("CardPaymentTransactionDetails53", models, ccy="EUR", ttl_amt=decimal.Decimal(amount)),
    )
    environment = built("CardPaymentEnvironment80", models, poi=point(models))
    body = built("AcceptorCompletionAdvice13", models, envt=environment, tx=transaction)
    message = built("AcceptorCompletionAdviceV13", models, hdr=header("FCMV", models), cmpltn_advc=body)
    return valid("003", models.Caaa00300113(accptr_cmpltn_advc=message).to_iso20022_xml().encode())


def cancelled(reference, amount):
    models = cancellation
    original = built("CardPaymentTransaction122", models, tx_id=named(reference, models), tx_tp="CRDP")
    transaction = built(
        "CardPaymentTransaction115",
        models,
        mrchnt_ctgy_cd="5999",
        tx_id=named(reference + "-x", models),
        orgnl_tx=original,
        tx_dtls=built("CardPaymentTransactionDetails50", models, ccy="EUR", ttl_amt=decimal.Decimal(amount)),
    )
    environment = built("CardPaymentEnvironment80", models, poi=point(models))
    context = built("CardPaymentContext30", models)
    body = built("AcceptorCancellationRequest13", models, envt=environment, cntxt=context, tx=transaction)
    message = built("AcceptorCancellationRequestV13", models, hdr=header("CCAQ", models), cxl_req=body)
    return valid("005", models.Caaa00500113(accptr_cxl_req=message).to_iso20022_xml().encode())


def told_cancelled(reference, amount):
    models = cancelled_advice
    original = built("CardPaymentTransaction122", models, tx_id=named(reference, models), tx_tp="CRDP")
    transaction = built(
        "CardPaymentTransaction116",
        models,
        mrchnt_ctgy_cd="5999",
        tx_id=named(reference + "-a", models),
        orgnl_tx=original,
        tx_sucss=True,
        tx_dtls=built("CardPaymentTransactionDetails50", models, ccy="EUR", ttl_amt=decimal.Decimal(amount)),
    )
    environment = built("CardPaymentEnvironment80", models, poi=point(models))
    body = built("AcceptorCancellationAdvice13", models, envt=environment, tx=transaction)
    message = built("AcceptorCancellationAdviceV13", models, hdr=header("CCAV", models), cxl_advc=body)
    return valid("007", models.Caaa00700113(accptr_cxl_advc=message).to_iso20022_xml().encode())


def counted(period, totals):
    """A reconciliation: totals are kind, count and amount."""
    models = reconciliation
    claims = [
        built("TransactionTotals12", models, ccy="EUR", tp=kind, ttl_nb=decimal.Decimal(count), cmltv_amt=decimal.Decimal(amount))
        for kind, count, amount in totals
    ]
    transaction = built(
        "TransactionReconciliation5",
        models,
        cls_prd=True,
        rcncltn_tx_id=named("close-" + period, models),
        rcncltn_id=period,
        tx_ttls=claims,
    )
    environment = built("CardPaymentEnvironment80", models, poi=point(models))
    body = built("AcceptorReconciliationRequest12", models, envt=environment, tx=transaction)
    message = built("AcceptorReconciliationRequestV12", models, hdr=header("RCLQ", models), rcncltn_req=body)
    return models.Caaa00900112(accptr_rcncltn_req=message).to_iso20022_xml().encode()


def diagnosed_by(models=diagnosis):
    environment = built("CardPaymentEnvironment80", models, poi=point(models))
    body = built("AcceptorDiagnosticRequest12", models, envt=environment)
    message = built("AcceptorDiagnosticRequestV12", models, hdr=header("DGNP", models), dgnstc_req=body)
    return models.Caaa01300112(accptr_dgnstc_req=message).to_iso20022_xml().encode()


def newest(document, number):
    """The same document in the version that ISO's schemas here are of; the package has an older one only."""
    versions = {"009": (b"caaa.009.001.12", b"caaa.009.001.13"), "013": (b"caaa.013.001.12", b"caaa.013.001.13")}
    return valid(number, document.replace(*versions[number]))


def post(document, accept="*/*"):
    headers = {"Content-Type": "application/xml", "Accept": accept}
    return session.post(demo["edge_url"] + "/v1/cape", data=document, headers=headers)


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
advice = post(completed("cape-2", "8.00"))
root = etree.fromstring(valid("004", advice.content))
expect("and a completion takes it", root.findtext(".//{*}Tx/{*}Rspn"), "APPR")
post(authorisation("cape-4", "10.00", captures=False))
taken_back = post(cancelled("cape-4", "10.00"))
root = etree.fromstring(valid("006", taken_back.content))
expect("a cancellation gives it back", root.findtext(".//{*}RspnToAuthstn/{*}Rspn"), "APPR")
statuses = [
    session.get(demo["edge_url"] + "/v1/payments", params={"reference": reference}).json()["data"][0]["status"]
    for reference in ("cape-2", "cape-4")
]
expect("and the payments say so", statuses, ["captured", "voided"])
declined = post(authorisation("cape-3", "10.51", card="4000000000999997"))
expect("a decline is told with the bank's code", result(answered(declined)), "DECL")
reason = answered(declined).authstn_rspn.tx_rspn.authstn_rslt.rspn_to_authstn.rspn_rsn
expect("which is the bank's own", reason, "51")
wrong = post(sale.replace(b"12.99", b"12.999"), "application/problem+json")
expect("more digits than the currency has are refused", (wrong.status_code, wrong.json()["code"]), (400, "field_type"))
expect("at their path", wrong.json()["xpath"], "/Document/AccptrAuthstnReq/AuthstnReq/Tx/TxDtls/TtlAmt")
rejected = post(sale.replace(b"12.99", b"12.999"))
told = rejection.Caaa01500106.from_iso20022_xml(valid("015", rejected.content).decode()).accptr_rjctn
expect("or, where problems are not asked for, in the words of the standard", (rejected.status_code, told.rjct.rjct_rsn.value), (400, "IMSG"))
expect("with our own", told.rjct.addtl_inf, "field_type /Document/AccptrAuthstnReq/AuthstnReq/Tx/TxDtls/TtlAmt")
expect("and the exchange that it answers", int(told.hdr.xchg_id), 1)
nothing = rejection.Caaa01500106.from_iso20022_xml(valid("015", post(b"<Document").content).decode()).accptr_rjctn
expect("what is no document is rejected, too", nothing.rjct.rjct_rsn.value, "PARS")

post(authorisation("cape-5", "10.00"))
advised = post(told_cancelled("cape-5", "10.00"))
root = etree.fromstring(valid("008", advised.content))
expect("a cancellation that is told takes effect", root.findtext(".//{*}Tx/{*}Rspn"), "APPR")

period = "p-" + now
for reference, amount in (("cape-6", "10.00"), ("cape-7", "5.50")):
    post(authorisation(reference, amount, period=period))
right = counted(period, [("DEBT", 2, "15.50")])
answer = post(right)
read = reconciled.Caaa01000111.from_iso20022_xml(answer.content.decode()).accptr_rcncltn_rspn.rcncltn_rspn
expect("a period is reconciled", (read.tx_rspn.rspn.value, [(t.tp.value, int(t.ttl_nb), t.cmltv_amt) for t in read.tx.tx_ttls]), ("APPR", [("DEBT", 2, decimal.Decimal("15.50"))]))
wrong = valid("010", post(newest(counted(period, [("DEBT", 2, "15.51")]), "009")).content)
expect("and one that differs is told apart", etree.fromstring(wrong).findtext(".//{*}TxRspn/{*}RspnRsn"), "totals_differ")

there = diagnosed.Caaa01400111.from_iso20022_xml(post(diagnosed_by()).content.decode()).accptr_dgnstc_rspn
expect("a diagnosis is answered", there.hdr.msg_fctn.value, "DGNQ")
valid("014", post(newest(diagnosed_by(), "013")).content)
print("ok: in both versions")
