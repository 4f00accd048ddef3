// Builds graph/graphiql/ from the packages of the lock file: npm ci && node build.mjs [FOLDER]
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2] ?? join(here, "../../graph/graphiql");

const smaller = {
  name: "smaller",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^monaco-editor\/esm\/vs\/editor\/edcore\.main\.js$/ }, () => ({ path: join(here, "editor.js") }));
    // GraphiQL's style sheet already contains these styles.
    onLoad({ filter: /monaco-editor.*\.css$/ }, () => ({ contents: "", loader: "css" }));
    // Remove the fonts: system fonts are enough. The icon font stays.
    onLoad({ filter: /graphiql\/dist\/style\.css$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replace(/@font-face\s*\{[^}]*font-family:\s*"?(Roboto|Fira Code)[^}]*\}/g, ""),
      loader: "css",
    }));
  },
};
const { outputFiles, metafile } = await build({
  absWorkingDir: here,
  entryPoints: {
    graphiql: "app.jsx",
    "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
    "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
    "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
  },
  outdir: "out",
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none",
  logLevel: "error",
  plugins: [smaller],
});

/** Return the licence texts of all packages in the bundle. */
const licences = () => {
  const inside = Object.keys(metafile.inputs).map((input) => input.match(/.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]);
  return [...new Set(inside.filter(Boolean))].sort().map((place) => {
    const { name, version, license } = JSON.parse(readFileSync(join(here, place, "package.json"), "utf8"));
    const files = readdirSync(join(here, place)).filter((file) => /^(licen[cs]e|thirdpartynotices)/i.test(file)).sort();
    const texts = files.map((file) => readFileSync(join(here, place, file), "utf8").replaceAll("\r\n", "\n").trim());
    return [`== ${name} ${version} (${license})`, ...texts].join("\n\n");
  });
};

const files = outputFiles.map(({ path, contents }) => [basename(path), contents]);
mkdirSync(folder, { recursive: true });
for (const [name, contents] of [...files, ["licences.txt", `${licences().join("\n\n\n")}\n`]]) {
  const packed = gzipSync(contents, { level: 9 });
  writeFileSync(join(folder, `${name}.gz`), packed);
  console.log(name, contents.length, packed.length);
}
