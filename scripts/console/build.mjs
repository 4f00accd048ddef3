// Builds graph/console/ from src/ and the packages of the lock file: npm ci && node build.mjs [FOLDER]
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2] ?? join(here, "../../graph/console");

const { outputFiles, metafile } = await build({
  absWorkingDir: here,
  entryPoints: { console: "src/main.jsx" },
  outdir: "out",
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "error",
});

/** Return the licence texts of all packages in the bundle. */
const licences = () => {
  const inside = Object.keys(metafile.inputs).map((input) => input.match(/.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]);
  return [...new Set(inside.filter(Boolean))].sort().map((place) => {
    const { name, version, license } = JSON.parse(readFileSync(join(here, place, "package.json"), "utf8"));
    const files = readdirSync(join(here, place)).filter((file) => /^licen[cs]e/i.test(file)).sort();
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
