// Elements made by hand: data reaches the page as text only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element with attributes (null and false: left out; `on...`: listeners) and children. */
export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** Sets a text only if it differs, so that selections and live regions are left alone. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Draws again only when `value` differs from what was drawn last. */
export function redraw(node, value, draw) {
  const mark = JSON.stringify(value) ?? "";
  if (node.drawnFrom === mark) return;
  node.drawnFrom = mark;
  node.replaceChildren(...[draw()].flat().filter((child) => child !== null && child !== undefined));
}

/** Names in a row; a long one is a region of its own that scrolls. */
export function nameList(nodes) {
  const list = nodes.flatMap((node, n) => [n ? ", " : "", el("b", { "data-node": node }, node)]);
  const long = nodes.length > 24;
  return el("span", { class: "nodes", tabindex: long && "0", role: long && "region", "aria-label": long && "Names" }, ...list);
}

const SHAPES = {
  ok: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zm-1 9.9L3.9 8.3l1.2-1.2L7 9l4-4 1.2 1.2z",
  info: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM7.1 7h1.8v5H7.100zM7.100 4h1.800v1.800H7.100z",
  warning: "M8 1 .8 14.500h14.400zM7.200 6h1.600v4.300H7.200zM7.200 11.200h1.600v1.600H7.200z",
  critical: "M5 1h6l4 4v6l-4 4H5l-4-4V5zm.6 3.400L4.400 5.600 6.800 8l-2.400 2.400 1.200 1.200L8 9.200l2.400 2.400 1.200-1.200L9.200 8l2.400-2.400-1.200-1.200L8 6.800z",
};

/** The shape of a severity: round, round with an i, triangle, octagon. */
export function icon(severity) {
  const path = svg("path", { d: SHAPES[severity] ?? SHAPES.info, "fill-rule": "evenodd" });
  return svg("svg", { class: `icon ${severity}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
}

/** A severity in shape and word. */
export const severity = (name) => el("span", { class: `severity ${name}` }, icon(name), name);

const STATES = { alive: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z", suspect: "M8 1l7 7-7 7-7-7z",
  dead: "M2 2h12v12H2zm3.300 2L4 5.300 6.700 8 4 10.700 5.300 12 8 9.300l2.700 2.700 1.300-1.300L9.300 8 12 5.300 10.700 4 8 6.700z",
  left: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z" };

/** A member's state in shape and word: disc, diamond, crossed square, ring. */
export function memberState(state) {
  const path = svg("path", { d: STATES[state] ?? STATES.left, "fill-rule": "evenodd" });
  const shape = svg("svg", { class: `icon state-${state}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
  return el("span", { class: `state state-${state}` }, shape, state);
}
