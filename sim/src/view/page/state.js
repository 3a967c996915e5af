// What the reader of the page has chosen: part of the run in view, cursor, selection, filters. Kept in the address
// after `#`, so that a state can be linked: t, from, to, sel (msg12, op3, line57), node, session, groups, theme.

const S = {
  a: 0, b: D.end,
  cursor: 0,
  /** `{msg}` or `{item}`, or nothing. */
  sel: null,
  viewer: 0,
  session: '',
  groups: new Set(GROUPS.filter((g) => g.id !== 'gossip').map((g) => g.id)),
  text: '', ofNode: -1, withMessages: false,
  theme: '',
};

/** Called after every change; `main.js` adds the painters. */
const painters = [];
let painting = false;
const paintNow = () => { for (const painter of painters) painter(); };
/** Paints everything once before the next frame. */
function repaint() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    paintNow();
    writeAddress();
  });
}

const SMALLEST = 2;
/** Shows the time from `a` to `b`, within the run and with a little air around it. */
function show(a, b) {
  const air = Math.max(1, D.end * 0.02);
  const width = Math.min(Math.max(b - a, SMALLEST), D.end + 2 * air);
  const start = Math.min(Math.max(a, -air), D.end + air - width);
  S.a = start;
  S.b = start + width;
  repaint();
}
const fit = () => show(-D.end * 0.01, D.end * 1.01);
const pan = (by) => show(S.a + by, S.b + by);
/** Zooms by `factor` around the time `at`. */
function zoom(factor, at = S.cursor >= S.a && S.cursor <= S.b ? S.cursor : (S.a + S.b) / 2) {
  const width = Math.max((S.b - S.a) * factor, SMALLEST);
  const part = (at - S.a) / (S.b - S.a);
  show(at - width * part, at + width * (1 - part));
}

/** Moves the cursor, and the view if the cursor would leave it. */
function moveCursor(t, follow = true) {
  S.cursor = Math.min(Math.max(t, 0), D.end);
  if (follow && (S.cursor < S.a || S.cursor > S.b)) {
    const width = S.b - S.a;
    show(S.cursor - width / 2, S.cursor + width / 2);
  }
  repaint();
}

const timeOf = (sel) => (sel.msg === undefined ? sel.item.t : D.messages.t[sel.msg]);
const sameSelection = (x, y) => x === y || Boolean(x && y && x.msg === y.msg && x.item === y.item);
/** Selects a message or an item and moves the cursor there. */
function select(sel, follow = true) {
  S.sel = sel;
  S.past = sel ? pastOf(sel) : null;
  if (sel) moveCursor(timeOf(sel), follow);
  repaint();
}
/** Selects what an id refers to. */
function selectId(id) {
  const found = D.byId.get(id);
  if (found) select(found);
}

/** Goes to a violation and shows the seconds around it. */
function goToViolation(it) {
  const width = Math.min(6000, D.end * 1.02);
  show(it.t - width * 0.7, it.t + width * 0.3);
  select({ item: it });
}
/** The next (1) or previous (-1) violation from the selected one, or from the cursor. */
function stepViolation(by) {
  const all = D.violations;
  if (!all.length) return;
  const at = S.sel ? all.indexOf(S.sel.item) : -1;
  let next = at + by;
  if (at < 0) next = by > 0 ? all.findIndex((v) => v.t >= S.cursor) : all.findLastIndex((v) => v.t <= S.cursor);
  goToViolation(all[(next + all.length) % all.length]);
}

/** The selection as the address has it. */
function selectionName(sel) {
  if (sel.msg !== undefined) return `msg${D.messages.id[sel.msg]}`;
  return sel.item.k === 'op' ? `op${sel.item.id}` : `line${sel.item.n}`;
}
function selectionNamed(name) {
  const [, kind, number] = /^(msg|op|line)(\d+)$/.exec(name) || [];
  if (kind === 'line') {
    const item = D.items.find((it) => it.n === Number(number));
    return item ? { item } : null;
  }
  return (kind && D.byId.get(Number(number))) || null;
}

let written = '';
let writing = 0;
/** Writes the state into the address, at most a few times a second: browsers refuse more. */
function writeAddress() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const p = new URLSearchParams();
    p.set('t', String(Math.round(S.cursor)));
    p.set('from', String(Math.round(S.a)));
    p.set('to', String(Math.round(S.b)));
    if (S.sel) p.set('sel', selectionName(S.sel));
    p.set('node', String(S.viewer));
    if (S.session) p.set('session', S.session);
    p.set('groups', [...S.groups].join(' '));
    if (S.theme) p.set('theme', S.theme);
    written = `#${p}`;
    try { history.replaceState(null, '', written); } catch { /* an address that cannot be written is only not kept */ }
  }, 400);
}

/** Reads the state from the address. */
function readAddress() {
  if (!location.hash || location.hash === written) return false;
  const p = new URLSearchParams(location.hash.slice(1));
  const number = (name) => (p.has(name) && Number.isFinite(Number(p.get(name))) ? Number(p.get(name)) : null);
  const node = number('node');
  if (node !== null && node >= 0 && node < D.n) S.viewer = Math.floor(node);
  if (p.has('session')) S.session = p.get('session');
  if (p.has('groups')) S.groups = new Set(p.get('groups').split(' ').filter((id) => GROUPS.some((g) => g.id === id)));
  if (p.get('theme') === 'dark' || p.get('theme') === 'light') S.theme = p.get('theme');
  const sel = p.has('sel') ? selectionNamed(p.get('sel')) : null;
  const t = number('t') ?? (sel ? timeOf(sel) : null);
  const [from, to] = [number('from'), number('to')];
  if (from !== null && to !== null && to > from) show(from, to);
  else if (t !== null && D.end > 20000) show(t - 5000, t + 5000);
  else fit();
  if (sel) select(sel, false);
  if (t !== null) moveCursor(t, false);
  return true;
}
