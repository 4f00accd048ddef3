// Verify a signed request as receivers do: with the library, and the Ed25519 signatures with Node's own functions.
import { createPublicKey, verify } from "node:crypto";
import { Webhook } from "standardwebhooks";

const { secrets, publicKeys, headers, body } = JSON.parse(process.argv[2]);
const text = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
const signatures = headers["webhook-signature"].split(" ").filter((each) => each.startsWith("v1a,"));
const spki = Buffer.from("302a300506032b6570032100", "hex");

const accepts = (secret) => {
  try {
    return new Webhook(secret).verify(body, headers).type;
  } catch (error) {
    return error.message;
  }
};
const isSigned = (publicKey) => {
  const raw = Buffer.from(publicKey.replace("whpk_", ""), "base64");
  const key = createPublicKey({ key: Buffer.concat([spki, raw]), format: "der", type: "spki" });
  return signatures.some((each) => verify(null, text, key, Buffer.from(each.slice(4), "base64")));
};
console.log(JSON.stringify({ hmac: secrets.map(accepts), ed25519: publicKeys.map(isSigned) }));
