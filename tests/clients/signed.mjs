// Signed requests from unmodified clients against a running demo: npm's jose, and Mastercard's oauth1 signer.
import fs from "node:fs";
import { CompactSign, FlattenedSign, importPKCS8 } from "jose";
import oauth from "mastercard-oauth1-signer";
import { ask, demo, expect, order, pay } from "./demo.mjs";

const url = `${demo.edge_url}/v1/payments`;
const pem = (file) => fs.readFileSync(file, "utf8");
const keys = {
  PS256: await importPKCS8(pem(demo.merchant.signature_key), "PS256"),
  ES256: await importPKCS8(pem(demo.merchant.client_key), "ES256"),
};
const body = JSON.stringify(order("signed"));
const bytes = Buffer.from(body);
const header = (alg) => ({ alg, iat: Math.floor(Date.now() / 1000), htu: url, jti: crypto.randomUUID() });
const proof = () => ({ "content-type": "application/json", "idempotency-key": crypto.randomUUID() });

for (const alg of ["PS256", "ES256"]) {
  const token = await new CompactSign(bytes).setProtectedHeader(header(alg)).sign(keys[alg]);
  const answer = await pay("application/jose", token);
  expect(`${alg} by npm jose as the body pays`, [answer.status, JSON.parse(answer.text).status], [201, "captured"]);
  const unencoded = { ...header(alg), b64: false, crit: ["b64"] };
  const { protected: head, signature } = await new FlattenedSign(bytes).setProtectedHeader(unencoded).sign(keys[alg]);
  const headers = { ...proof(), authorization: `Bearer ${demo.merchant.api_key}`, "x-jws-signature": `${head}..${signature}` };
  const detached = await ask("POST", url, headers, body);
  expect(`${alg} detached pays`, [detached.status, JSON.parse(detached.text).status], [201, "captured"]);
}

const signed = (method, address, payload) =>
  oauth.getAuthorizationHeader(address, method, payload, `${demo.merchant.id}!demo`, pem(demo.merchant.signature_key));
const answer = await ask("POST", url, { ...proof(), authorization: signed("POST", url, body) }, body);
expect("npm mastercard-oauth1-signer pays", [answer.status, JSON.parse(answer.text).status], [201, "captured"]);
const address = `${url}?reference=signed&limit=1`;
const found = await ask("GET", address, { authorization: signed("GET", address) });
expect("and reads", [found.status, JSON.parse(found.text).data.length], [200, 1]);
