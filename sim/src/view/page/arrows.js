// Messages as arrows from sending to arrival. When there are more than can be told apart, each column of a few
// pixels keeps one arrow for every pair of nodes and group.

const MOST_ARROWS = 6000;

/** Where a message is drawn: `[x0, y0, x1, y1]` per copy. */
function segments(m) {
  const M = D.messages;
  const [y0, y1] = [yOf(M.from[m]), yOf(M.to[m])];
  const x0 = xOf(M.t[m]);
  const look = LOOKS[m];
  if (look === LOOK.sent) return [[x0, y0, x0 + 7, y0 + Math.sign(y1 - y0) * G.lane * 0.42]];
  if (look === LOOK.received) return [[x0 - 7, y1 + Math.sign(y0 - y1) * G.lane * 0.42, x0, y1]];
  if (copies(m) === 0) {
    const flight = Math.max(FLIGHT * 0.6 * pxPerMs(), 4);
    return [[x0, y0, x0 + flight, y0 + (y1 - y0) * 0.6]];
  }
  const out = [];
  for (let a = M.first[m]; a < M.first[m + 1]; a++) out.push([x0, y0, xOf(M.arrivals[a]), y1]);
  return out;
}

/** Whether the session filter dims `m`. */
const dimmed = (m) => S.session !== '' && SESSION_OF[m] !== S.session;

/** Messages in view, thinned out, sorted into styles drawn in one stroke each. */
function collect() {
  const M = D.messages;
  const styles = new Map();
  const taken = new Set();
  const inView = [];
  eachInView((m) => inView.push(m));
  const thin = inView.length > MOST_ARROWS;
  const column = thin ? Math.max(2, Math.min(12, inView.length / MOST_ARROWS)) : 0;
  let drawn = 0;
  for (const m of inView) {
    const look = LOOKS[m];
    const group = GROUP_OF[M.kind[m]];
    const faint = (S.past && !S.past.empty && !S.past.met.has(m)) || dimmed(m) ? 1 : 0;
    if (thin) {
      const at = Math.floor(xOf(M.t[m]) / column);
      // Not by fate: what is rare would be drawn far too often.
      const key = (((at * D.n + M.from[m]) * D.n + M.to[m]) * 8 + group) * 2 + faint;
      if (taken.has(key)) continue;
      taken.add(key);
    }
    const style = (look * 8 + group) * 2 + faint;
    if (!styles.has(style)) styles.set(style, []);
    styles.get(style).push(m);
    drawn++;
  }
  return { styles, drawn, total: inView.length };
}

function colourOf(look, group) {
  if (look === LOOK.lost) return C.bad;
  return look === LOOK.duplicate ? C.dup : C[GROUPS[group].id];
}

function drawArrows(c) {
  const { styles, drawn, total } = collect();
  const heads = drawn < 900;
  const alpha = Math.max(0.16, Math.min(0.85, 500 / Math.max(1, drawn)));
  const order = [...styles.keys()].sort((a, b) => (b & 1) - (a & 1) || a - b);
  for (const style of order) {
    const look = style >> 4;
    c.strokeStyle = c.fillStyle = colourOf(look, (style >> 1) & 7);
    c.globalAlpha = style & 1 ? Math.min(0.14, alpha * 0.3) : look === LOOK.lost ? Math.min(1, alpha * 1.6) : alpha;
    c.lineWidth = look === LOOK.lost || look === LOOK.duplicate ? 1.3 : 1.1;
    c.setLineDash(look === LOOK.lost ? [4, 3] : []);
    strokeAll(c, styles.get(style), heads, look);
  }
  c.setLineDash([]);
  c.globalAlpha = 1;
  return { drawn, total };
}

/** One stroke for all lines of a style, another for their ends. */
function strokeAll(c, list, heads, look) {
  const ends = [];
  c.beginPath();
  for (const m of list) {
    for (const s of segments(m)) {
      const line = clipped(...s);
      if (!line) continue;
      c.moveTo(line[0], line[1]);
      c.lineTo(line[2], line[3]);
      if (line[2] === s[2]) ends.push(s);
    }
  }
  c.stroke();
  c.setLineDash([]);
  if (look === LOOK.lost) {
    if (list.length < 1500) crosses(c, ends);
  } else if (look === LOOK.sent) circles(c, ends);
  else if (heads) ends.forEach((s) => arrowHead(c, s, 6));
}

function crosses(c, ends) {
  c.beginPath();
  for (const [, , x, y] of ends) {
    c.moveTo(x - 3, y - 3); c.lineTo(x + 3, y + 3);
    c.moveTo(x - 3, y + 3); c.lineTo(x + 3, y - 3);
  }
  c.stroke();
}

function circles(c, ends) {
  c.beginPath();
  for (const [, , x, y] of ends) {
    c.moveTo(x + 1.8, y);
    c.arc(x, y, 1.8, 0, 7);
  }
  c.stroke();
}

/** A head that ends at the bar's edge, not under it. */
function arrowHead(c, [x0, y0, x1, y1], size) {
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length];
  const back = Math.min(length / 2, Math.abs(uy) > 0.05 ? (G.bar / 2) / Math.abs(uy) : 0);
  const [x, y] = [x1 - ux * back, y1 - uy * back];
  c.beginPath();
  c.moveTo(x, y);
  c.lineTo(x - ux * size - uy * size * 0.45, y - uy * size + ux * size * 0.45);
  c.lineTo(x - ux * size + uy * size * 0.45, y - uy * size - ux * size * 0.45);
  c.fill();
}

/** The direct causes of the selection, strongly, over everything else. */
function drawChain(c) {
  if (!S.past) return;
  c.strokeStyle = c.fillStyle = C.accent;
  c.lineWidth = 2.6;
  for (const link of S.past.chain) {
    if (link.msg === undefined) {
      ring(c, link.item);
      continue;
    }
    c.setLineDash(LOOKS[link.msg] === LOOK.lost ? [6, 4] : []);
    for (const s of segments(link.msg)) {
      const line = clipped(...s);
      if (!line) continue;
      c.beginPath();
      c.moveTo(line[0], line[1]);
      c.lineTo(line[2], line[3]);
      c.stroke();
      c.setLineDash([]);
      if (LOOKS[link.msg] === LOOK.lost) crosses(c, [s]); else if (line[2] === s[2]) arrowHead(c, s, 9);
    }
  }
  c.setLineDash([]);
}

function ring(c, it) {
  if (it.node === undefined || it.node === null || it.t < S.a || it.t > S.b) return;
  c.beginPath();
  c.arc(xOf(it.t), yOf(it.node) - liftOf(it), 10, 0, 7);
  c.stroke();
}
