// Run the named clients against a live server in one process: node clients/run.mjs INPUT CLIENT...
import apollo from "./apollo.mjs";
import { codegen, houdini, inspector, tada } from "./code_generators.mjs";
import { federation, stitching } from "./gateways.mjs";
import { graphqlRequest, villus } from "./small_clients.mjs";
import subscriptions from "./subscriptions.mjs";
import urql from "./urql.mjs";

const CLIENTS = { apollo, urql, graphqlRequest, villus, federation, stitching, codegen, inspector, tada, houdini, subscriptions };
const [input, ...names] = process.argv.slice(2);
const results = {};
for (const name of names) {
  const started = performance.now();
  const result = await CLIENTS[name](JSON.parse(input)).catch((error) => ({ error: error.stack ?? String(error) }));
  console.error(name, Math.round(performance.now() - started), "ms");
  results[name] = result;
}
console.log(JSON.stringify(results));
process.exit(0);
