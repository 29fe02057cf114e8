// What the clients of Node share: the demo they pay at, and how they fail.
import fs from "node:fs";
import https from "node:https";

export const demo = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const ca = fs.readFileSync(demo.ca_cert);

export function ask(method, url, headers = {}, body = undefined) {
  return new Promise((resolve, reject) => {
    const request = https.request(url, { method, headers, ca }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(parts).toString("utf8") });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

export function pay(contentType, body) {
  const headers = {
    authorization: `Bearer ${demo.merchant.api_key}`,
    "idempotency-key": crypto.randomUUID(),
    "content-type": contentType,
  };
  return ask("POST", `${demo.edge_url}/v1/payments`, headers, body);
}

export function order(reference) {
  return {
    reference,
    amount: { value: 1299, currency: "EUR" },
    card: { number: "4242424242424242", expiry_month: 12, expiry_year: 2030, cvc: "123" },
  };
}

export function expect(what, found, wanted) {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    console.error(`${process.argv[1]}: ${what}: expected ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`);
    process.exit(1);
  }
  console.log(`ok: ${what}`);
}

export const gatewayKey = JSON.parse((await ask("GET", demo.payload_jwks_url)).text).keys[0];
