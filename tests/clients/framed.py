"""Framed TLS against a running demo with nothing but Python's own library: many payments in flight on one connection.

Usage: framed.py DIR/demo.json
"""

import json
import socket
import ssl
import struct
import sys
import uuid

demo = json.load(open(sys.argv[1]))
host, port = demo["framed_addr"].rsplit(":", 1)
context = ssl.create_default_context(cafile=demo["ca_cert"])
context.load_cert_chain(demo["merchant"]["client_cert"], demo["merchant"]["client_key"])
line = context.wrap_socket(socket.create_connection((host, int(port)), timeout=30), server_hostname=host)
answers = line.makefile("rb")


def put(envelope):
    text = json.dumps(envelope).encode()
    line.sendall(struct.pack(">I", len(text)) + text)


def take():
    (length,) = struct.unpack(">I", answers.read(4))
    return json.loads(answers.read(length))


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"framed.py: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}")


run = str(uuid.uuid4())
card = {"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2030, "cvc": "123"}
for n in range(20):
    order = {"reference": f"framed-{n}", "amount": {"value": 1000 + n, "currency": "EUR"}, "card": card}
    put({"id": n, "operation": "payments.create", "idempotency_key": f"{run}-{n}", "body": order})
line.sendall(b"\0\0\0\0")  # keep-alive: not answered

paid = {answer["id"]: answer for answer in (take() for _ in range(20))}
expect("framed TLS: twenty in flight are captured", {paid[n]["body"]["status"] for n in range(20)}, {"captured"})
expect("framed TLS: each answer is its own", [paid[n]["body"]["amount"]["value"] - 1000 for n in range(20)], list(range(20)))

payment = paid[0]["body"]["id"]
put({"id": "read", "operation": "payments.get", "payment": payment})
expect("framed TLS: a payment is read", take()["body"]["id"], payment)
put({"id": "void", "operation": "payments.void", "payment": payment, "idempotency_key": run + "-void", "body": {}})
expect("framed TLS: and voided", take()["body"]["status"], "voided")
put({"id": "nonsense", "operation": "payments.steal"})
expect("framed TLS: an unknown operation is told", take()["problem"]["code"], "operation_unknown")
