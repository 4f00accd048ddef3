// Page through a live server with the queries that relay-compiler made from the fragments: node paging.mjs URL TOKEN ACCOUNT
import { readFileSync } from "node:fs";

const [url, token, account] = process.argv.slice(2);

// The compiler writes the text of a query, or its id if it writes the texts to a separate file.
const named = (name) => {
  const source = readFileSync(new URL(`./compiled/${name}.graphql.js`, import.meta.url), "utf8");
  const value = (key) => JSON.parse(source.match(new RegExp(`"${key}": (null|"(?:[^"\\\\]|\\\\.)*")`))[1]);
  return value("text") === null ? { documentId: value("id") } : { query: value("text") };
};

const page = async (query, cursor) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ ...query, variables: { id: account, count: 4, cursor } }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data.node.recordings;
};

const walk = async (name, next) => {
  const query = named(name);
  const pages = [];
  for (let cursor = null, more = true; more; ) {
    const { edges, pageInfo } = await page(query, cursor);
    pages.push(edges.map((edge) => edge.node.plainId));
    [cursor, more] = next(pageInfo);
  }
  return pages;
};

const forward = await walk("RecordingListForwardQuery", (info) => [info.endCursor, info.hasNextPage]);
const backward = await walk("RecordingListBackwardQuery", (info) => [info.startCursor, info.hasPreviousPage]);
console.log(JSON.stringify({ forward: forward.flat(), backward: backward.reverse().flat(), pages: forward.length }));
