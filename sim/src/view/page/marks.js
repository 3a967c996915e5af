// Marks on the lanes: operations, events, warnings, violations; faults and phases above them.

/** Shapes, drawn around (x, y) with radius r; the caller fills and strokes. */
const SHAPES = {
  __proto__: null,
  create: (c, x, y, r) => c.arc(x, y, r, 0, 7),
  edit: (c, x, y, r) => poly(c, [[x, y - r - 1], [x + r + 1, y], [x, y + r + 1], [x - r - 1, y]]),
  destroy: (c, x, y, r) => poly(c, [[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r]]),
  read: (c, x, y, r) => c.arc(x, y, r * 0.6, 0, 7),
  touch: (c, x, y, r) => poly(c, [[x, y - r], [x + r, y + r], [x - r, y + r]]),
  ttl: (c, x, y, r) => poly(c, [[x - r, y - r], [x + r, y - r], [x, y + r]]),
  write: (c, x, y, r) => c.rect(x - 1, y - r, 2, 2 * r),
};

function poly(c, points) {
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.closePath();
}

const MARKED = ['op', 'event', 'warn', 'violation', 'crash', 'start', 'freeze', 'note', 'acked'];

/** Items in view that have a mark on a lane. */
function* marksInView() {
  const from = lowerBound(D.items.length, (i) => D.items[i].t, S.a);
  for (let i = from; i < D.items.length && D.items[i].t <= S.b; i++) {
    const it = D.items[i];
    if (it.node !== undefined && it.node !== null && MARKED.includes(it.k)) yield it;
  }
}

/** How far above its lane's middle an item's mark sits. */
const liftOf = (it) => (it.k === 'event' ? G.bar / 2 + 5 : it.k === 'warn' ? G.bar / 2 + 12 : 0);

/** Whether the selection's past or the session filter leaves an item in the shade. */
function shaded(it) {
  if (S.session && sessionOf(it) !== S.session && it.k !== 'violation') return true;
  return Boolean(S.past && !S.past.empty && (!S.sel || S.sel.item !== it) && !inPast(S.past, it));
}

function drawMarks(c) {
  const taken = new Set();
  const late = [];
  const inView = lowerBound(D.items.length, (i) => D.items[i].t, S.b) - lowerBound(D.items.length, (i) => D.items[i].t, S.a);
  const column = inView / D.n > G.w / 4 ? 12 : 4;
  for (const it of marksInView()) {
    if (it.k === 'violation') late.push(it);
    // One mark of a kind for each few pixels of a lane: more cannot be told apart.
    const what = column > 4 ? it.k : `${it.k} ${it.op || it.event || ''}`;
    const key = `${Math.floor(xOf(it.t) / column)} ${it.node} ${what} ${shaded(it)}`;
    if (taken.has(key)) continue;
    taken.add(key);
    c.globalAlpha = shaded(it) ? 0.18 : 1;
    drawMark(c, it, xOf(it.t), yOf(it.node) - liftOf(it));
  }
  c.globalAlpha = 1;
  for (const it of late) drawViolation(c, it, yOf(it.node));
  for (const it of D.violations) if (it.node === undefined || it.node === null) drawViolation(c, it, null);
  if (S.sel && S.sel.item) {
    c.strokeStyle = C.accent;
    c.lineWidth = 2.6;
    ring(c, S.sel.item);
  }
}

function drawMark(c, it, x, y) {
  c.lineWidth = 1.2;
  c.strokeStyle = C.panel;
  c.beginPath();
  if (it.k === 'op') {
    (SHAPES[it.op] || SHAPES.read)(c, x, y, 4.5);
    c.fillStyle = it.ok ? C.write : C.bad;
    c.fill();
    c.stroke();
  } else if (it.k === 'event') {
    poly(c, [[x - 3, y - 3], [x + 3, y - 3], [x, y + 3]]);
    c.fillStyle = it.event === 'conflict' ? C.dup : it.event === 'destroyed' || it.event === 'expired' ? C.dim : C.sync;
    c.fill();
  } else if (it.k === 'warn') {
    c.font = 'bold 11px system-ui, sans-serif';
    c.textAlign = 'center';
    plate(c, '!', x, y, C.warn, 0);
    c.textAlign = 'left';
    c.strokeStyle = C.warn;
    poly(c, [[x, y - 8], [x + 7, y + 5], [x - 7, y + 5]]);
    c.stroke();
  } else if (it.k === 'crash') {
    c.strokeStyle = C.bad;
    c.lineWidth = 2;
    crosses(c, [[0, 0, x, y]]);
  } else if (it.k === 'start') {
    c.strokeStyle = C.fg;
    c.lineWidth = 2;
    c.moveTo(x, y - G.bar / 2 - 2);
    c.lineTo(x, y + G.bar / 2 + 2);
    c.stroke();
  } else if (it.k === 'note' || it.k === 'acked') {
    c.fillStyle = C.dim;
    c.fillRect(x - 0.75, y + G.bar / 2 - 4, 1.5, 4);
  }
}

function drawViolation(c, it, y) {
  if (it.t < S.a || it.t > S.b) return;
  const x = xOf(it.t);
  c.strokeStyle = c.fillStyle = C.bad;
  c.lineWidth = 1.5;
  c.beginPath();
  c.moveTo(x, 40);
  c.lineTo(x, G.h);
  c.stroke();
  if (y !== null) {
    c.beginPath();
    c.arc(x, y, 8, 0, 7);
    c.fill();
    c.fillStyle = C.panel;
    c.textAlign = 'center';
    c.font = 'bold 12px system-ui, sans-serif';
    c.fillText('!', x, y + 0.5);
    c.textAlign = 'left';
  }
  c.font = SMALL;
  const text = fitted(c, it.invariant, 170);
  const w = c.measureText(text).width;
  plate(c, text, Math.min(x + 4, G.w - G.right - w - 4), G.top - 3, C.bad);
}

/** Faults and phases in the row above the lanes, each with as much of its text as there is room for. */
function drawFaults(c) {
  c.font = SMALL;
  const row = D.items.filter((it) => ['fault', 'phase', 'end', 'violation'].includes(it.k) && it.t >= S.a && it.t <= S.b);
  row.forEach((it, i) => {
    if (it.k === 'violation') return;
    const x = xOf(it.t);
    c.fillStyle = it.k === 'fault' ? C.cut : C.good;
    c.beginPath();
    poly(c, [[x - 4, 40], [x + 4, 40], [x, 47]]);
    c.fill();
    const room = (i + 1 < row.length ? xOf(row[i + 1].t) - 6 : G.w - G.right) - x - 7;
    if (room < 14) return;
    c.fillStyle = C.fg;
    c.fillText(fitted(c, it.k === 'fault' ? it.text : it.k === 'phase' ? it.as : 'end', room), x + 7, 44);
  });
}
