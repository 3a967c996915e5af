// The trace as the page works with it: messages in typed arrays, everything else as items, both in order of time.
// D is never changed after this file has run.

const D = (() => {
  const raw = JSON.parse(document.getElementById('trace').textContent);
  const { about } = raw;
  const names = about.head.nodes;
  const messages = readMessages(raw.msgs);
  const items = raw.lines;
  items.forEach((it, i) => { it.seq = i; });
  items.sort((a, b) => a.t - b.t || a.seq - b.seq);
  items.forEach((it, i) => { it.i = i; });

  // Ids are shared by messages and operations: what an id refers to.
  const byId = new Map();
  for (let m = 0; m < messages.count; m++) byId.set(messages.id[m], { msg: m });
  for (const it of items) if (it.k === 'op') byId.set(it.id, { item: it });
  for (const it of items) {
    const of = it.k === 'acked' ? byId.get(it.op) : null;
    if (of && of.item) it.of = of.item;
  }

  let end = 1;
  for (const it of items) end = Math.max(end, it.t);
  for (let m = 0; m < messages.count; m++) end = Math.max(end, messages.t[m]);
  const last = items.findLast((it) => it.k === 'end') || null;
  const only = (k) => items.filter((it) => it.k === k);
  const samples = only('sample');
  return {
    about, names, n: names.length, messages, items, byId, end, last, samples, only,
    simulated: about.format === 'sim',
    violations: only('violation'),
    sessions: [...new Set(items.map((it) => it.session).filter(Boolean))].sort(),
    name: (node) => names[node] ?? '?',
  };
})();

/** Rows of numbers into typed arrays, sorted by the time of sending; blocks let a view skip what it cannot show. */
function readMessages(rows) {
  rows.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const count = rows.length;
  const M = {
    count,
    t: new Float64Array(count), line: new Float64Array(count), id: new Float64Array(count),
    from: new Uint16Array(count), to: new Uint16Array(count), kind: new Uint8Array(count), fate: new Uint8Array(count),
    bytes: new Float64Array(count), cause: new Float64Array(count),
    // The last arrival, or the time of sending; where in `arrivals` this message's begin.
    last: new Float64Array(count), first: new Uint32Array(count + 1),
  };
  const columns = [M.t, M.line, M.id, M.from, M.to, M.kind, M.fate, M.bytes, M.cause];
  let total = 0;
  for (const row of rows) total += row.length - 9;
  M.arrivals = new Float64Array(total);
  M.blockEnd = new Float64Array(Math.ceil(count / 256));
  let at = 0;
  rows.forEach((row, m) => {
    columns.forEach((column, c) => { column[m] = row[c]; });
    M.first[m] = at;
    M.last[m] = row[0];
    for (let a = 9; a < row.length; a++) {
      M.arrivals[at++] = row[a];
      M.last[m] = Math.max(M.last[m], row[a]);
    }
    const block = m >> 8;
    M.blockEnd[block] = Math.max(M.blockEnd[block], M.last[m]);
  });
  M.first[count] = at;
  return M;
}

/** How many copies of message `m` arrive. */
const copies = (m) => D.messages.first[m + 1] - D.messages.first[m];

/** The groups a reader can hide, each with the kinds of messages in it. */
const GROUPS = [
  { id: 'write', label: 'Writes', kinds: ['push', 'ack'] },
  { id: 'sync', label: 'Sync', kinds: ['sync', 'page', 'adopted'] },
  { id: 'digest', label: 'Digests', kinds: ['digest', 'equal', 'unequal'] },
  { id: 'ask', label: 'Asks', kinds: ['ask', 'tell'] },
  { id: 'audit', label: 'Audit', kinds: ['audit', 'audit_diff'] },
  { id: 'gossip', label: 'Gossip', kinds: ['gossip'] },
  { id: 'other', label: 'Other', kinds: [] },
];
/** Group index by kind index. */
const GROUP_OF = D.about.kinds.map((kind) => {
  const g = GROUPS.findIndex((group) => group.kinds.includes(kind));
  return g < 0 ? GROUPS.length - 1 : g;
});

/** Fates, as the page tells them apart. */
const LOOK = { ok: 0, lost: 1, duplicate: 2, sent: 3, received: 4 };
/** Fates in which a message never reaches its node's core. */
const NEVER = ['lost', 'cut', 'queue', 'size', 'late', 'corrupt'];
const LOOK_OF_FATE = D.about.fates.map((fate) => {
  if (fate === 'sent' || fate === 'received') return LOOK[fate];
  if (fate === 'duplicate' || fate === 'replay') return LOOK.duplicate;
  return NEVER.includes(fate) ? LOOK.lost : LOOK.ok;
});
/** How message `m` is drawn. */
function lookOf(m) {
  const look = LOOK_OF_FATE[D.messages.fate[m]];
  if (look === LOOK.sent || look === LOOK.received) return look;
  const n = copies(m);
  if (n === 0) return LOOK.lost;
  if (n > 1) return LOOK.duplicate;
  // Delivered late, or damaged: the fate decides.
  return look;
}
const LOOKS = Uint8Array.from({ length: D.messages.count }, (_, m) => lookOf(m));

/** The session a message serves: its operation's, found along the causes. */
const SESSION_OF = (() => {
  const out = new Array(D.messages.count).fill('');
  for (let m = 0; m < D.messages.count; m++) {
    const cause = D.byId.get(D.messages.cause[m]);
    if (!cause) continue;
    out[m] = cause.item ? cause.item.session || '' : out[cause.msg];
  }
  return out;
})();

/** The usual time a message is under way (ms): how far a lost one is drawn. */
const FLIGHT = (() => {
  const M = D.messages;
  const flights = [];
  const step = Math.max(1, Math.floor(M.count / 2000));
  for (let m = 0; m < M.count; m += step) if (copies(m) > 0 && M.last[m] > M.t[m]) flights.push(M.last[m] - M.t[m]);
  flights.sort((a, b) => a - b);
  return flights.length ? flights[flights.length >> 1] : 5;
})();

/** The first index whose value in the sorted `get(0..n)` is at least `x`. */
function lowerBound(n, get, x) {
  let lo = 0;
  let hi = n;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (get(mid) < x) lo = mid + 1; else hi = mid;
  }
  return lo;
}
