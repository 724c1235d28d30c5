/** Builds the page: one script, one worker, one sheet of styles, and the list that the service
 * worker keeps. Everything lies beside index.html and is asked for by relative addresses, so that
 * the page works under any path of a proxy. */

import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Writes into sw.js which files there are: it changes whenever one of them does. */
function listForServiceWorker(): Plugin {
  return {
    name: "list-for-service-worker",
    generateBundle(_options, bundle) {
      const files = Object.keys(bundle).filter((name) => name.startsWith("assets/")).sort();
      for (const output of Object.values(bundle)) {
        if (output.type === "chunk" && output.fileName === "sw.js") {
          output.code = output.code.replace("__FILES__", JSON.stringify(files));
        }
      }
    },
  };
}

export default defineConfig({
  root: here("."),
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
  plugins: [listForServiceWorker()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the policy allows no data: scripts, and icons are small anyway
    modulePreload: false,
    license: { fileName: "licenses.md" }, // the terms of what comes with the page
    rollupOptions: {
      input: { index: here("index.html"), sw: here("src/sw.ts") },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
});
