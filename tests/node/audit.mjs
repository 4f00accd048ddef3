// Run the audits of GraphQL over HTTP: node audit.mjs URL TOKEN
import { auditServer } from "graphql-http";

const [url, token] = process.argv.slice(2);
const fetchFn = (input, init = {}) =>
  fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });

const results = await auditServer({ url, fetchFn });
const bad = results.filter((result) => result.status !== "ok");
for (const result of bad) console.error(result.status, result.id, result.name, result.reason ?? "");
console.log(JSON.stringify({ ok: results.length - bad.length, of: results.length }));
process.exit(bad.length ? 1 : 0);
