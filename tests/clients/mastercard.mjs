// npm's mastercard-client-encryption, unmodified, against a running demo: the whole body sealed, and a member of it.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import client from "mastercard-client-encryption";
import { demo, expect, gatewayKey, order, pay } from "./demo.mjs";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "isthmus-"));
const certificate = path.join(folder, "payload.pem");
const lines = gatewayKey.x5c[0].match(/.{1,64}/g).join("\n");
fs.writeFileSync(certificate, `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`);

for (const [what, element, obj] of [["a whole body", "$", "$"], ["its card alone", "card", "card"]]) {
  const sealer = new client.JweEncryption({
    paths: [{
      path: "/v1/payments",
      toEncrypt: [{ element, obj }],
      toDecrypt: [{ element: "encryptedData", obj: "$" }],
    }],
    mode: "JWE",
    encryptedValueFieldName: "encryptedData",
    encryptionCertificate: certificate,
    privateKey: demo.merchant.payload_private_key_pem,
  });
  const { body } = sealer.encrypt("/v1/payments", {}, order("mastercard"));
  const answer = await pay("application/json", JSON.stringify(body));
  expect(`${what} sealed by npm mastercard-client-encryption is taken`, answer.status, 201);
  const opened = sealer.decrypt({ request: { url: "/v1/payments" }, body: JSON.parse(answer.text) });
  expect("and answered with a payment that is captured", opened.status, "captured");
}
fs.rmSync(folder, { recursive: true });
