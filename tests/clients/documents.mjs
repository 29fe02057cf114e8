// npm's xml-encryption, unmodified, against a running demo: what it seals is opened, what is sealed for it it opens.
import fs from "node:fs";
import xmlenc from "xml-encryption";
import { demo, expect, gatewayKey, pay } from "./demo.mjs";

const order = `<payment_request xmlns="urn:isthmus:v1"><reference>xml</reference>
  <amount><value>1299</value><currency>EUR</currency></amount>
  <card><number>4242424242424242</number><expiry_month>12</expiry_month><expiry_year>2030</expiry_year><cvc>123</cvc></card>
</payment_request>`;
const lines = gatewayKey.x5c[0].match(/.{1,64}/g).join("\n");
const pem = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
const key = fs.readFileSync(demo.merchant.payload_private_key_pem);

function call(method, document, options) {
  return new Promise((resolve, reject) => {
    method(document, options, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

function seal(options) {
  return call(xmlenc.encrypt, order, {
    rsa_pub: pem,
    pem,
    encryptionAlgorithm: "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    keyEncryptionAlgorithm: "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
    ...options,
  });
}

const oaep = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
for (const [what, options] of [
  ["its defaults", {}],
  ["AES-128-GCM", { encryptionAlgorithm: "http://www.w3.org/2009/xmlenc11#aes128-gcm" }],
  ["OAEP with SHA-256", { keyEncryptionAlgorithm: oaep, keyEncryptionDigest: "sha256", keyEncryptionMgf: "sha256" }],
]) {
  const answer = await pay("application/xml", await seal(options));
  expect(`a document sealed by npm xml-encryption with ${what} is taken`, answer.status, 201);
  const opened = await call(xmlenc.decrypt, answer.text, { key });
  expect("and answered with a payment that is captured", /<status>captured<\/status>/.test(opened), true);
}

const weak = { disallowEncryptionWithInsecureAlgorithm: false, warnInsecureAlgorithm: false };
for (const [what, options] of [
  ["CBC", { encryptionAlgorithm: "http://www.w3.org/2001/04/xmlenc#aes256-cbc", ...weak }],
  ["RSA 1.5", { keyEncryptionAlgorithm: "http://www.w3.org/2001/04/xmlenc#rsa-1_5", ...weak }],
]) {
  const answer = await pay("application/xml", await seal(options));
  expect(`${what} is refused`, [answer.status, JSON.parse(answer.text).code], [400, "payload_unreadable"]);
}
