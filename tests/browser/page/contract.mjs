// The examples of docs/openapi.json, the page's contract with the node.

import { readFileSync } from "node:fs";

const api = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8"));

/** The example answer of a path: a mesh of five, cut into a, b and c, d, e, as a sees it. */
export function example(path) {
  const [content] = Object.values(api.paths[path].get.responses["200"].content);
  return structuredClone(content.example);
}

/** The schema of a name. */
export const schema = (name) => api.components.schemas[name];
