// Spans of time read from the items: what state each node is in, which links are cut, who thinks whom alive.

/** Node states: `[{a, b, as, why}]` per node, in order. */
const STATES = (() => {
  const lanes = D.names.map(() => ({ spans: [], at: 0, as: D.simulated ? 'absent' : 'ready', why: '', memory: 'joining' }));
  const freezes = [];
  if (!D.simulated) lanes.forEach((lane, node) => { lane.as = node === 0 ? 'joining' : 'peer'; });
  const turn = (node, t, as, why) => {
    const lane = lanes[node];
    if (t > lane.at) lane.spans.push({ a: lane.at, b: t, as: lane.as, why: lane.why });
    Object.assign(lane, { at: t, as, why: why || '' });
  };
  const down = { crash: 'crashed', suspend: 'suspended', leave: 'left' };
  for (const it of D.items) {
    if (it.k === 'start') turn(it.node, it.t, it.why === 'resume' ? lanes[it.node].memory : 'joining', it.why);
    else if (it.k === 'serving') {
      lanes[it.node].memory = it.as;
      turn(it.node, it.t, it.as, it.why);
    } else if (down[it.k]) turn(it.node, it.t, down[it.k]);
    else if (it.k === 'freeze') freezes.push(it);
  }
  lanes.forEach((_, node) => turn(node, D.end, ''));
  return lanes.map((lane, node) => overlay(lane.spans, freezes.filter((f) => f.node === node)));
})();

/** A frozen process is in no other state meanwhile, unless it is killed first. */
function overlay(spans, freezes) {
  for (const freeze of freezes) {
    const dies = spans.find((s) => s.a > freeze.t && ['crashed', 'suspended', 'left'].includes(s.as));
    const until = Math.min(freeze.until, D.end, dies ? dies.a : Infinity);
    const out = [];
    for (const s of spans) {
      if (s.a < freeze.t) out.push({ ...s, b: Math.min(s.b, freeze.t) });
      if (s.b > until) out.push({ ...s, a: Math.max(s.a, until) });
    }
    out.push({ a: freeze.t, b: until, as: 'frozen', why: '' });
    spans = out.filter((s) => s.b > s.a).sort((x, y) => x.a - y.a);
  }
  return spans;
}

/** The state of `node` at `t`. */
function stateAt(node, t) {
  const spans = STATES[node];
  const i = lowerBound(spans.length, (s) => spans[s].b, t + 1e-9);
  return spans[Math.min(i, spans.length - 1)] || { as: 'absent', why: '' };
}

/** When each memory of a node began: a restart forgets, a resumed process does not. */
const LIVES = D.names.map((_, node) =>
  D.items.filter((it) => it.k === 'start' && it.node === node && it.why !== 'resume').map((it) => ({ t: it.t, life: it.life })));

/** Which of its lives `node` is in at `t`. */
const lifeAt = (node, t) => Math.max(0, lowerBound(LIVES[node].length, (l) => LIVES[node][l].t, t + 1e-9) - 1);

/** Cuts: `[{a, b, pairs, islandOf, islands, label}]`. */
const CUTS = (() => {
  const out = [];
  let open = null;
  for (const it of D.only('cuts')) {
    if (open) open.b = it.t;
    open = it.pairs.length ? { a: it.t, b: D.end, pairs: it.pairs } : null;
    if (open) out.push(open);
  }
  return out.filter((span) => span.b > span.a).map(islands);
})();

/** Groups that exchange nothing in either direction, and the pairs cut within a group. */
function islands(span) {
  const cut = new Set(span.pairs.map(([a, b]) => a * D.n + b));
  const islandOf = new Int16Array(D.n).fill(-1);
  const groups = [];
  for (let start = 0; start < D.n; start++) {
    if (islandOf[start] >= 0) continue;
    const group = [start];
    islandOf[start] = groups.length;
    for (let g = 0; g < group.length; g++) {
      for (let other = 0; other < D.n; other++) {
        const apart = cut.has(group[g] * D.n + other) && cut.has(other * D.n + group[g]);
        if (islandOf[other] < 0 && !apart) {
          islandOf[other] = groups.length;
          group.push(other);
        }
      }
    }
    groups.push(group.sort((a, b) => a - b));
  }
  const inside = span.pairs.filter(([a, b]) => islandOf[a] === islandOf[b]);
  // Within an island, a pair is cut both ways (the two reach each other through others) or one way.
  const links = [];
  for (const [a, b] of inside) {
    const both = cut.has(b * D.n + a);
    if (both && a < b) links.push(`${D.name(a)} \u2715 ${D.name(b)}`);
    if (!both) links.push(`${D.name(a)} \u21f8 ${D.name(b)}`);
  }
  const parts = groups.length > 1 ? [groups.map((g, i) => `${letter(i)}: ${g.map(D.name).join(' ')}`).join(' | ')] : [];
  if (links.length) parts.push(links.slice(0, 4).join(', ') + (links.length > 4 ? ` and ${links.length - 4} more` : ''));
  return { ...span, ends: new Set(span.pairs.flat()), islandOf, islands: groups, cut, label: parts.join('; ') };
}

/** Islands are lettered. */
function letter(i) {
  return i < 26 ? String.fromCharCode(65 + i) : String(i + 1);
}

/** Whether anything from or to between lanes `a` and `b` is cut in `span`. */
const apart = (span, a, b) => span.cut.has(a * D.n + b) || span.cut.has(b * D.n + a);

/** Members as `viewer` sees them: spans `{a, b, alive}` per lane. What it has said nothing about is unknown. */
const membersSeenBy = (() => {
  const cache = new Map();
  return (viewer) => {
    if (!cache.has(viewer)) cache.set(viewer, readMembers(viewer));
    return cache.get(viewer);
  };
})();

function readMembers(viewer) {
  const out = D.names.map(() => []);
  const now = D.names.map(() => null);
  const put = (lane, t, alive) => {
    const open = now[lane];
    if (open && open.alive === alive) return;
    if (open) open.b = t;
    now[lane] = alive === null ? null : { a: t, b: D.end, alive };
    if (now[lane]) out[lane].push(now[lane]);
  };
  for (const it of D.items) {
    if (it.node !== viewer) continue;
    if (it.k === 'members') {
      const seen = new Map([...(it.dead || []).map((d) => [d, false]), ...it.alive.map((l) => [l, true])]);
      D.names.forEach((_, lane) => put(lane, it.t, seen.has(lane) ? seen.get(lane) : null));
    } else if (it.k === 'crash' || it.k === 'suspend' || it.k === 'leave') {
      D.names.forEach((_, lane) => put(lane, it.t, null));
    }
  }
  return out.map((spans) => spans.filter((s) => s.b > s.a));
}
