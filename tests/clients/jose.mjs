// npm's jose, unmodified, against a running demo: strict in both directions.
import fs from "node:fs";
import { CompactEncrypt, compactDecrypt, importJWK } from "jose";
import { demo, expect, gatewayKey, order, pay } from "./demo.mjs";

const gateway = await importJWK(gatewayKey, "RSA-OAEP-256");
const own = await importJWK(JSON.parse(fs.readFileSync(demo.merchant.payload_private_key, "utf8")), "RSA-OAEP-256");

for (const enc of ["A256GCM", "A128GCM"]) {
  const header = { alg: "RSA-OAEP-256", enc, kid: gatewayKey.kid, iat: Math.floor(Date.now() / 1000) };
  const token = await new CompactEncrypt(Buffer.from(JSON.stringify(order("jose")))).setProtectedHeader(header).encrypt(gateway);
  const answer = await pay("application/jose", token);
  expect(`${enc} sealed by npm jose is taken`, answer.status, 201);
  const { plaintext } = await compactDecrypt(answer.text, own);
  expect("and answered with a payment that is captured", JSON.parse(Buffer.from(plaintext)).status, "captured");
}
