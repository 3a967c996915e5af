// Where members stand in the graph: one circle per island, this side on the left. Pure: tested by
// tests/browser/page/.

export const WIDTH = 640;
export const HEIGHT = 380;
const MARGIN = 52;

function ring(names, box) {
  const [cx, cy] = [box.x + box.w / 2, box.y + box.h / 2];
  const radius = names.length === 1 ? 0 : Math.max(20, Math.min(box.w, box.h) / 2 - MARGIN);
  const turn = names.length === 2 ? 0 : -Math.PI / 2;
  const places = names.map((node, n) => {
    const angle = turn + (2 * Math.PI * n) / names.length;
    return { node, x: cx + radius * Math.cos(angle), y: cy + radius * Math.sin(angle) };
  });
  return { places, hull: { x: cx, y: cy, r: radius + 30 } };
}

/**
 * @param {{nodes: string[], this_side: boolean, state: string}[]} islands this side first
 * @returns {{places: Map<string, {x: number, y: number}>, hulls: object[]}} within WIDTH by HEIGHT
 */
export function layout(islands) {
  const places = new Map();
  const hulls = [];
  const put = (island, box) => {
    const { places: found, hull } = ring(island.nodes, box);
    for (const { node, x, y } of found) places.set(node, { x, y });
    hulls.push({ ...hull, state: island.state, nodes: island.nodes.length });
  };
  const [first, ...others] = islands;
  if (!first) return { places, hulls };
  const left = others.length === 0 ? WIDTH : WIDTH / 2;
  put(first, { x: 0, y: 0, w: left, h: HEIGHT });
  const columns = Math.ceil(others.length / 3);
  const rows = Math.ceil(others.length / Math.max(columns, 1));
  others.forEach((island, n) => {
    const [w, h] = [(WIDTH - left) / columns, HEIGHT / rows];
    put(island, { x: left + w * Math.floor(n / rows), y: h * (n % rows), w, h });
  });
  return { places, hulls };
}

/**
 * Who accuses whom, and who was given up for dead though nobody accuses it any more; alike cases together:
 * `{accusers, accused, state, why}`.
 */
export function accusations(members) {
  const cases = new Map();
  for (const member of members) {
    if (member.accusers.length === 0 && member.state !== "dead") continue;
    const mark = JSON.stringify([member.accusers, member.state, member.why]);
    const one = cases.get(mark)
      ?? { accusers: member.accusers, accused: [], state: member.state, why: member.why, dead_at_ms: member.dead_at_ms };
    one.accused.push(member.node);
    cases.set(mark, one);
  }
  return [...cases.values()];
}
