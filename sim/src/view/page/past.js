// The causal past of a message or an item. What lies before a point on a node's lane is always a stretch from the
// beginning of that life of the node up to a frontier, so the past is one frontier per life. A restarted node has
// lost its memory: its new life does not know what its last one knew.

/** Lanes of lives: `first[node] + life`. */
const LIFE_LANES = (() => {
  const first = new Uint32Array(D.n + 1);
  for (let node = 0; node < D.n; node++) first[node + 1] = first[node] + Math.max(1, LIVES[node].length);
  return first;
})();
const lifeLane = (node, t) => LIFE_LANES[node] + lifeAt(node, t);

/** Deliveries per lane of a life, by time. Refused, lost and damaged ones tell the node nothing. */
const DELIVERED = (() => {
  const lanes = Array.from({ length: LIFE_LANES[D.n] }, () => []);
  const M = D.messages;
  for (let m = 0; m < M.count; m++) {
    if (LOOKS[m] === LOOK.lost) continue;
    for (let a = M.first[m]; a < M.first[m + 1]; a++) {
      const state = stateAt(M.to[m], M.arrivals[a]).as;
      if (state === 'crashed' || state === 'suspended' || state === 'left') continue;
      lanes[lifeLane(M.to[m], M.arrivals[a])].push({ at: M.arrivals[a], m });
    }
  }
  lanes.forEach((lane) => lane.sort((x, y) => x.at - y.at));
  return lanes;
})();

/** Order within one millisecond: what arrives comes before what is done, and that goes by the order of the lines. */
const place = (t, line) => t + 0.5 + Math.min(line, 4e6) / 1e7;

const nodeOf = (sel) => (sel.msg === undefined ? sel.item.node : D.messages.from[sel.msg]);

/** The past of `sel`: frontiers by life, the direct chain of causes, and how much of everything it holds. */
function pastOf(sel) {
  const M = D.messages;
  const frontier = new Float64Array(LIFE_LANES[D.n]).fill(-1);
  const done = new Uint32Array(LIFE_LANES[D.n]);
  const work = [];
  const reach = (node, t, upTo) => {
    const lane = lifeLane(node, t);
    if (upTo > frontier[lane]) {
      frontier[lane] = upTo;
      work.push(lane);
    }
  };
  const node = nodeOf(sel);
  if (node === undefined || node === null) return { frontier, chain: chainOf(sel), messages: 0, ops: 0, empty: true };
  reach(node, timeOf(sel), place(timeOf(sel), sel.msg === undefined ? sel.item.n : M.line[sel.msg]));
  while (work.length) {
    const lane = work.pop();
    const arrivals = DELIVERED[lane];
    while (done[lane] < arrivals.length && arrivals[done[lane]].at <= frontier[lane]) {
      const { m } = arrivals[done[lane]++];
      reach(M.from[m], M.t[m], place(M.t[m], M.line[m]));
    }
  }
  const past = { frontier, chain: chainOf(sel), messages: 0, ops: 0, empty: false };
  const met = new Set();
  done.forEach((n, lane) => { for (let i = 0; i < n; i++) met.add(DELIVERED[lane][i].m); });
  past.met = met;
  past.messages = met.size;
  past.ops = D.items.filter((it) => it.k === 'op' && inPast(past, it)).length;
  return past;
}

/** Whether an item lies in `past`. */
function inPast(past, it) {
  if (past.empty || it.node === undefined || it.node === null) return false;
  return place(it.t, it.n) <= past.frontier[lifeLane(it.node, it.t)];
}

/** The direct causes of `sel`, itself first. */
function chainOf(sel) {
  const chain = [sel];
  const seen = new Set();
  for (let at = sel; at; ) {
    const id = at.msg === undefined ? at.item.cause ?? (at.item.k === 'acked' ? at.item.op : -1) : D.messages.cause[at.msg];
    at = seen.has(id) ? null : D.byId.get(id) || null;
    seen.add(id);
    if (at) chain.push(at);
  }
  return chain;
}

/** What names `id` as its cause, at most `limit`. */
function effectsOf(id, limit) {
  const out = [];
  for (const it of D.items) {
    if (out.length >= limit) return out;
    if (it.cause === id || (it.k === 'acked' && it.op === id)) out.push({ item: it });
  }
  for (let m = 0; m < D.messages.count && out.length < limit; m++) {
    if (D.messages.cause[m] === id) out.push({ msg: m });
  }
  return out;
}
