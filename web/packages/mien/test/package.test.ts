/** What whoever installs the package gets. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { PACKAGE } from "./given.js";

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(new URL("package.json", PACKAGE), "utf8")) as Manifest;

test("it holds the built modules, the networks and what explains them, and nothing else", () => {
  const told = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: PACKAGE,
    encoding: "utf8",
  });
  const [packed] = JSON.parse(told) as { files: { path: string; size: number }[]; size: number }[];
  const names = packed.files.map(({ path }) => path).sort();
  const others = names.filter((name) => !/^dist\/[a-z]+\.(js|d\.ts)$/.test(name));
  assert.deepEqual(others, [
    "LICENSE",
    "README.md",
    "models/landmarks68.onnx",
    "models/mien.onnx",
    "models/numbers.json",
    "models/proposals.onnx",
    "package.json",
  ]);
  for (const name of ["index", "shipped"]) {
    assert.ok(names.includes(`dist/${name}.js`) && names.includes(`dist/${name}.d.ts`));
  }
  assert.ok(packed.size < 5_000_000, `${packed.size} bytes`);
});

test("it needs onnxruntime-web alone, in the version that was measured", () => {
  assert.deepEqual(Object.keys(manifest.dependencies), ["onnxruntime-web"]);
  assert.match(manifest.dependencies["onnxruntime-web"], /^\d+\.\d+\.\d+$/);
});

test("its version is mien's", () => {
  const source = readFileSync(new URL("../../../src/mien/version.py", PACKAGE), "utf8");
  assert.match(source, new RegExp(`__version__ = "${manifest.version}"`));
});
