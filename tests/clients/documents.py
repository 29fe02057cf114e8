"""XML from unmodified clients against a running demo: lxml, xmlsec (XML Encryption and Signature), signxml, and the schema
as the judge.

Usage: documents.py DIR/demo.json specs/isthmus.xsd
"""

import base64
import json
import sys
import uuid

import requests
import xmlsec
from lxml import etree
from signxml import SignatureConfiguration, SignatureMethod, XMLSigner, XMLVerifier, methods

demo = json.load(open(sys.argv[1]))
schema = etree.XMLSchema(etree.parse(sys.argv[2]))
merchant = demo["merchant"]
payments = demo["edge_url"] + "/v1/payments"
session = requests.Session()
session.verify = demo["ca_cert"]
# Otherwise a REQUESTS_CA_BUNDLE of the environment would win over the line above.
session.trust_env = False
OURS = "urn:isthmus:v1"
XENC = "http://www.w3.org/2001/04/xmlenc#"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"documents.py: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}")


def element(name, *children, text=None):
    built = etree.Element(f"{{{OURS}}}{name}", nsmap={None: OURS})
    built.text = text
    built.extend(children)
    return built


def fields(**values):
    return [element(name, text=str(value)) for name, value in values.items()]


def amount(value):
    return element("amount", *fields(value=value, currency="EUR"))


def order(value=1299, capture="true", number="4242424242424242"):
    card = element("card", *fields(number=number, expiry_month=12, expiry_year=2030, cvc=123))
    return element("payment_request", *fields(reference="xml", capture=capture), amount(value), card)


def post(url, body, key=None):
    headers = {
        "Authorization": "Bearer " + merchant["api_key"],
        "Idempotency-Key": key or str(uuid.uuid4()),
        "Content-Type": "application/xml",
    }
    body = body if isinstance(body, (bytes, str)) else etree.tostring(body)
    return session.post(url, data=body, headers=headers)


def get(url, **more):
    headers = {"Authorization": "Bearer " + merchant["api_key"], "Accept": "application/xml"}
    return session.get(url, headers=headers, **more)


def valid(document):
    """The document, once the schema has judged it."""
    root = etree.fromstring(document) if isinstance(document, bytes) else document
    if not schema.validate(root):
        sys.exit(f"documents.py: not valid: {schema.error_log}\n{etree.tostring(root).decode()}")
    return root


def told(root, path):
    return root.findtext("/".join(f"{{{OURS}}}{step}" for step in path.split("/")))


# Every shape of answer, and every request, judged by the schema.
served = session.get(demo["edge_url"] + "/v1/isthmus.xsd")
expect("the schema is served as it is in the tree", served.content, open(sys.argv[2], "rb").read())

request = valid(order(1000, capture="false"))
held = valid(post(payments, request).content)
expect("an authorisation in XML is held", told(held, "status"), "authorized")
this = f"{payments}/{told(held, 'id')}"
part = valid(element("capture_request", amount(400), *fields(final="false")))
expect("a part of it is captured", told(valid(post(this + "/captures", part).content), "captured/value"), "400")
expect("and refunded", told(valid(post(this + "/refunds", valid(element("refund_request", amount(100)))).content), "refunded/value"), "100")
expect("read again", told(valid(get(this).content), "refunded/value"), "100")
found = valid(get(payments, params={"reference": "xml"}).content)
expect("found again", len(found.findall(f".//{{{OURS}}}item")) > 0, True)
voided = valid(post(payments, order(1000, capture="false")).content)
voided = post(f"{payments}/{told(voided, 'id')}/voids", valid(element("void_request")))
expect("another one is voided", told(valid(voided.content), "status"), "voided")
declined = valid(post(payments, order(1051, number="4000000000999997")).content)
expect("a decline says why", told(declined, "operations/operation/decline/kind") in ("soft", "hard"), True)

key = str(uuid.uuid4())
first = valid(post(payments, order(), key).content)
plain = {
    "reference": "xml",
    "amount": {"value": 1299, "currency": "EUR"},
    "card": {"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2030, "cvc": "123"},
}
headers = {"Authorization": "Bearer " + merchant["api_key"], "Idempotency-Key": key}
again = session.post(payments, json=plain, headers=headers)
expect("a repeat in JSON is the same request", again.headers.get("idempotent-replayed"), "true")
expect("and the same payment", again.json()["id"], told(first, "id"))

# XML Encryption as xmlsec makes it.
gateway = session.get(demo["payload_jwks_url"]).json()["keys"][0]


def manager(key):
    keys = xmlsec.KeysManager()
    keys.add_key(key)
    return keys


def gateway_key():
    key = xmlsec.Key.from_memory(base64.b64decode(gateway["x5c"][0]), xmlsec.constants.KeyDataFormatCertDer)
    key.name = gateway["kid"]
    return key


def seal(root, node, cipher=xmlsec.constants.TransformAes256Gcm, bits=256, wrap=xmlsec.constants.TransformRsaOaep):
    """The document with `node` sealed: what python-xmlsec's own examples do."""
    template = xmlsec.template
    data = template.encrypted_data_create(root, cipher, type=xmlsec.constants.TypeEncElement, ns="xenc")
    template.encrypted_data_ensure_cipher_value(data)
    info = template.encrypted_data_ensure_key_info(data, ns="dsig")
    wrapped = template.add_encrypted_key(info, wrap)
    template.encrypted_data_ensure_cipher_value(wrapped)
    template.add_key_name(template.encrypted_data_ensure_key_info(wrapped, ns="dsig"), gateway["kid"])
    context = xmlsec.EncryptionContext(manager(gateway_key()))
    context.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, bits, xmlsec.constants.KeyDataTypeSession)
    sealed = context.encrypt_xml(data, node)
    return etree.tostring(sealed if node is root else root)


def opened(document):
    own = xmlsec.Key.from_file(merchant["payload_private_key_pem"], xmlsec.constants.KeyDataFormatPem)
    root = etree.fromstring(document)
    expect("and answered in kind", root.tag, f"{{{XENC}}}EncryptedData")
    return valid(etree.fromstring(etree.tostring(xmlsec.EncryptionContext(manager(own)).decrypt(root))))


for bits, cipher in [(256, xmlsec.constants.TransformAes256Gcm), (128, xmlsec.constants.TransformAes128Gcm)]:
    root = order()
    answer = post(payments, seal(root, root, cipher, bits))
    expect(f"a document sealed by xmlsec under {bits} bits is taken", answer.status_code, 201)
    expect("with a payment that is captured", told(opened(answer.content), "status"), "captured")

root = order()
sealed = seal(root, root.find(f"{{{OURS}}}card"))
expect("a card sealed alone cannot be read", b"4242" in sealed, False)
answer = post(payments, sealed)
expect("is taken", answer.status_code, 201)
expect("with a payment that is captured", told(opened(answer.content), "status"), "captured")

# XML Signature as signxml and xmlsec make it; what is signed is answered with a signature that both find good.
own_rsa = open(merchant["signature_key"], "rb").read()
own_p256 = open(merchant["client_key"], "rb").read()
keys = session.get(demo["payload_jwks_url"]).json()["keys"]
signer = base64.b64decode(next(key for key in keys if key["use"] == "sig")["x5c"][0])
lines = base64.encodebytes(signer).decode()
certificate = f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n"


def judged(document):
    """The answer, once both have verified its signature, and the schema what was signed."""
    expected = SignatureConfiguration(signature_methods=[SignatureMethod.ECDSA_SHA256])
    seen = XMLVerifier().verify(document, x509_cert=certificate, expect_config=expected).signed_xml
    root = etree.fromstring(document)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(signer, xmlsec.constants.KeyDataFormatCertDer)
    context.verify(root.find(f"{{{DSIG}}}Signature"))
    return valid(etree.fromstring(etree.tostring(seen)))


def by_signxml(root, key=own_rsa, method="rsa-sha256", uri=None, **more):
    return XMLSigner(method=methods.enveloped, signature_algorithm=method, digest_algorithm="sha256", **more).sign(
        root, key=key, reference_uri=uri
    )


def by_xmlsec(root, key=own_rsa, method=xmlsec.constants.TransformRsaSha256):
    template = xmlsec.template
    signature = template.create(root, xmlsec.constants.TransformExclC14N, method, ns="ds")
    root.append(signature)
    reference = template.add_reference(signature, xmlsec.constants.TransformSha256, uri="")
    template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(key, xmlsec.constants.KeyDataFormatPem)
    context.sign(signature)
    return root


def named(root):
    root.set("Id", "order")
    return root


ecdsa = xmlsec.constants.TransformEcdsaSha256
for what, document in [
    ("signxml by its defaults", by_signxml(order())),
    ("signxml in exclusive form", by_signxml(order(), c14n_algorithm=EXCLUSIVE)),
    ("signxml with a named root", by_signxml(named(order()), uri="#order", c14n_algorithm=EXCLUSIVE)),
    ("signxml on P-256", by_signxml(order(), own_p256, "ecdsa-sha256")),
    ("xmlsec", by_xmlsec(order())),
    ("xmlsec on P-256", by_xmlsec(order(), own_p256, ecdsa)),
]:
    answer = post(payments, document)
    expect(f"a document signed by {what} is taken", answer.status_code, 201)
    expect("and answered with a signature over a payment that is captured", told(judged(answer.content), "status"), "captured")

root = by_xmlsec(order())
answer = post(payments, seal(root, root))
expect("a document that is signed and then sealed is taken", answer.status_code, 201)
own = xmlsec.Key.from_file(merchant["payload_private_key_pem"], xmlsec.constants.KeyDataFormatPem)
inner = xmlsec.EncryptionContext(manager(own)).decrypt(etree.fromstring(answer.content))
expect("and answered in kind", told(judged(etree.tostring(inner)), "status"), "captured")

good = etree.tostring(by_xmlsec(order())).decode()
signature = good[good.index("<ds:Signature ") : good.index("</ds:Signature>") + len("</ds:Signature>")]
bare = good.replace(signature, "")
stranger = xmlsec.Key.generate(xmlsec.constants.KeyDataRsa, 2048, xmlsec.constants.KeyDataTypePermanent)
forged = etree.fromstring(bare)
forged.append(etree.fromstring(signature))
context = xmlsec.SignatureContext()
context.key = stranger
context.sign(forged.find(f"{{{DSIG}}}Signature"))
evil = bare.replace(">1299<", ">9999<")
refusals = set()
for document in [
    good.replace(">1299<", ">9999<"),
    good.replace(signature, signature * 2),
    evil.replace("</payment_request>", f"<old>{bare}</old>{signature}</payment_request>"),
    evil.replace("</payment_request>", f"<old>{good}</old></payment_request>"),
    good.replace("rsa-sha256", "rsa-sha1"),
    etree.tostring(forged).decode(),
]:
    answer = post(payments, document)
    refusals.add((answer.status_code, answer.text))
expect("what is not signed as it stands is refused in the same words", [(status, json.loads(text)["code"]) for status, text in refusals], [(400, "signature_invalid")])

# What is refused, each clear to its sender; what cannot be opened always in the same words.
laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
good = etree.tostring(order()).decode()
for what, body, code in [
    ("a billion laughs", f'<!DOCTYPE p [<!ENTITY l0 "ha">{laughs}]>' + good.replace(">xml<", ">&l8;<"), "xml_forbidden"),
    ("an external entity", '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + good.replace(">xml<", ">&x;<"), "xml_forbidden"),
    ("an undeclared entity", good.replace(">xml<", ">&x;<"), "xml_forbidden"),
    ("deep nesting", "<a>" * 10000, "xml_forbidden"),
    ("another root", good.replace("payment_request", "payment"), "xml_root"),
    ("JSON", json.dumps(plain), "xml_malformed"),
]:
    answer = post(payments, body)
    expect(f"{what} is refused", (answer.status_code, answer.json()["code"]), (400, code))
answer = post(payments, good.replace(">1299<", ">12.99<"))
expect("a fault is named by its path", answer.json()["xpath"], "/payment_request/amount/value")

root = order()
sealed = seal(root, root).decode()
place = sealed.rindex("<xenc:CipherValue>") + 40
tampered = sealed[:place] + ("B" if sealed[place] == "A" else "A") + sealed[place + 1 :]
root = order()
cbc = seal(root, root, xmlsec.constants.TransformAes256Cbc)
root = order()
pkcs = seal(root, root, wrap=xmlsec.constants.TransformRsaPkcs1)
problems = {post(payments, wrong).text for wrong in [tampered, cbc, pkcs, sealed.replace(gateway["kid"], "another")]}
expect("what cannot be opened is refused in the same words", [json.loads(text)["code"] for text in problems], ["payload_unreadable"])
