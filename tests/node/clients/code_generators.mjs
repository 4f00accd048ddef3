// Tools that read the schema by introspection, and check or generate code: with zstd in the server, and on Node 20.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { generateOutput, generateSchema } from "@gql.tada/cli-utils";
import { generate } from "@graphql-codegen/cli";

const QUERY = "query CodePage($first: Int) { recordings(first: $first) { nodes { plainId start media { url } } } }";
const SCALARS = { DateTime: "string", URL: "string", Sha256: "string", JSON: "unknown", BigInt: "number", _Any: "unknown" };

const write = (file, content) => {
  mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
};
// Not `execFileSync`: meanwhile the server closes idle connections, and this process must notice it.
const run = async (folder, name, ...args) => {
  const { stdout } = await promisify(execFile)(`${process.cwd()}/node_modules/.bin/${name}`, args, { cwd: folder });
  return stdout;
};
const bearer = (token) => ({ authorization: `Bearer ${token}` });

export const codegen = async ({ url, token }) => {
  write("codegen/page.ts", `import { graphql } from "./made/gql";\nexport const PAGE = graphql(\`${QUERY}\`);\n`);
  const made = { preset: "client", config: { strictScalars: true, scalars: SCALARS } };
  const config = {
    schema: [{ [url]: { headers: bearer(token) } }],
    documents: ["codegen/page.ts"],
    generates: { "codegen/made/": made },
    silent: true,
  };
  await generate(config, true);
  return { typed: readFileSync("codegen/made/graphql.ts", "utf8").includes("start: string") };
};

export const inspector = async ({ url, token }) => {
  write("inspector/page.graphql", QUERY);
  const header = `authorization: Bearer ${token}`;
  const said = await run(".", "graphql-inspector", "validate", "inspector/page.graphql", url, "--header", header);
  return { valid: said.includes("All documents are valid") };
};

const TADA_PAGE = `import { initGraphQLTada, type ResultOf } from "gql.tada";
import type { introspection } from "./tada-env.d.ts";
const graphql = initGraphQLTada<{ introspection: introspection; scalars: { DateTime: string; URL: string } }>();
const PAGE = graphql(\`${QUERY}\`);
type Node = ResultOf<typeof PAGE>["recordings"]["nodes"][number];
export const start: (node: Node) => string = (node) => node.start;
`;

export const tada = async ({ url, token }) => {
  const tsconfig = "tada/tsconfig.json";
  const plugin = { name: "gql.tada/ts-plugin", schema: "./schema.graphql", tadaOutputLocation: "./tada-env.d.ts" };
  const options = { strict: true, module: "esnext", moduleResolution: "bundler", noEmit: true, skipLibCheck: true };
  const compilerOptions = { ...options, allowImportingTsExtensions: true, lib: ["es2022"], types: [], plugins: [plugin] };
  write(tsconfig, { compilerOptions, files: ["page.ts", "tada-env.d.ts"] });
  write("tada/page.ts", TADA_PAGE);
  await generateSchema({ input: url, headers: bearer(token), output: "tada/schema.graphql", tsconfig });
  await generateOutput({ disablePreprocessing: false, output: undefined, tsconfig });
  await run(".", "tsc", "--project", tsconfig);
  return { typed: true };
};

export const houdini = async ({ url, token }) => {
  const config = { schemaPath: "schema.graphql", include: "src/*.gql", module: "esm" };
  const scalars = Object.fromEntries(Object.entries(SCALARS).map(([name, type]) => [name, { type }]));
  const watchSchema = { url };
  write("houdini/package.json", { name: "page", type: "module" });
  write("houdini/houdini.config.js", `export default ${JSON.stringify({ ...config, scalars, watchSchema })};`);
  write("houdini/src/page.gql", "query HoudiniPage($count: Int!) { recordings(first: $count) @paginate { edges { node { plainId } } } }");
  await run("houdini", "houdini", "pull-schema", "--headers", `authorization=Bearer ${token}`);
  await run("houdini", "houdini", "generate");
  const made = readFileSync("houdini/$houdini/artifacts/HoudiniPage.js", "utf8");
  const query = /"raw": `([^`]*)`/.exec(made)[1];
  const forward = [];
  for (let after = null, more = true; more; ) {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...bearer(token), "content-type": "application/json" },
      body: JSON.stringify({ query, variables: { count: 4, after } }),
    });
    const { edges, pageInfo } = (await response.json()).data.recordings;
    forward.push(...edges.map((edge) => edge.node.plainId));
    [after, more] = [pageInfo.endCursor, pageInfo.hasNextPage];
  }
  return { forward };
};
