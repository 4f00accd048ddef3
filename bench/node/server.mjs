// The Node servers that bench/graphql.py compares: node server.mjs NAME URI PORT < JSON with sdl, fields and media
import { readFileSync } from "node:fs";
import http from "node:http";
import { MongoClient } from "mongodb";

const [name, uri, port] = process.argv.slice(2);
const ACCOUNT = "0123456789abcdef0123456789abcdef";
const { sdl, fields, media } = JSON.parse(readFileSync(0, "utf8"));
const rows = (await MongoClient.connect(uri)).db("recordings").collection("recordings");

const DATES = new Set(["start", "created", "modified"]);
// Only the fields that a query asks for are read, and `start`, which the cursor needs.
const namesIn = (nodes) => nodes.flatMap((node) => [node.name.value, ...namesIn(node.selectionSet?.selections ?? [])]);
const projection = (info) => {
  const names = new Set(["start", ...namesIn(info.fieldNodes)]);
  const keys = Object.entries({ ...fields, media: "media" }).filter(([, wire]) => names.has(wire));
  return Object.fromEntries(keys.map(([key]) => [key === "id" ? "_id" : key, 1]));
};
const cursor = (row) => Buffer.from(`${row.start},${row._id}`).toString("base64url");

const read = (key) => {
  if (key === "id") return (row) => row._id;
  return DATES.has(key) ? (row) => new Date(row[key]).toISOString() : (row) => row[key];
};
const resolvers = {
  Query: {
    recordings: async (_, { first }, _context, info) => {
      const found = await rows
        .find({ account_id: ACCOUNT, shelf: "LIVE" }, { projection: projection(info), batchSize: first + 2 })
        .sort({ start: -1, _id: -1 })
        .limit(first + 1)
        .toArray();
      const edges = found.slice(0, first).map((row) => ({ cursor: cursor(row), node: row }));
      return { edges, pageInfo: { hasNextPage: found.length > first, endCursor: edges.at(-1).cursor } };
    },
    recording: (_, { id }, _context, info) => rows.findOne({ _id: id }, { projection: projection(info) }),
  },
  Recording: Object.fromEntries(Object.entries(fields).map(([key, wire]) => [wire, read(key)])),
  Media: Object.fromEntries(Object.entries(media).map(([key, wire]) => [wire, (row) => row[key]])),
};

if (name === "yoga") {
  const { createSchema, createYoga } = await import("graphql-yoga");
  const yoga = createYoga({ schema: createSchema({ typeDefs: sdl, resolvers }), logging: false, graphiql: false });
  http.createServer(yoga).listen(Number(port), "127.0.0.1");
} else {
  const { default: Fastify } = await import("fastify");
  const { default: mercurius } = await import("mercurius");
  const app = Fastify();
  app.register(mercurius, { schema: sdl, resolvers, jit: 1 });
  await app.listen({ port: Number(port), host: "127.0.0.1" });
}
