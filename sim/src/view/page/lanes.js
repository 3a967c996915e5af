// The lanes: time axis, partitions, node states, members as one node sees them, marks for operations and events.

const canvas = document.getElementById('lanes');

/** Sizes for the room there is. */
function layout() {
  const box = document.getElementById('scroll');
  G.w = box.clientWidth;
  const narrow = G.w < 620;
  const longest = Math.max(...D.names.map((name) => name.length));
  G.left = Math.min(narrow ? 78 : 110, Math.max(narrow ? 58 : 72, 22 + longest * 7.5));
  const room = Math.max(260, box.clientHeight || 420);
  G.lane = Math.max(34, Math.min(190, Math.floor((room - G.top - 4) / D.n)));
  G.bar = G.lane < 44 ? 10 : 14;
  G.h = G.top + G.lane * D.n + 4;
}

/** How a node's state looks: colour, pattern, and whether the process is there at all. */
const LOOKS_OF_STATE = {
  __proto__: null,
  ready: ['good', null], joining: ['joining', 'slash'], fenced: ['fenced', 'cross'], frozen: ['frozen', 'upright'],
  crashed: ['bad', 'level'], suspended: ['dim', 'level'], left: ['dim', 'dots'], absent: ['dim', 'dots'], peer: ['dim', null],
};
const GONE = ['crashed', 'suspended', 'left', 'absent'];

/** All but the cursor, kept while the view stays: the cursor moves without drawing every message again. */
const picture = document.createElement('canvas');
let pictured = '';

function paintLanes() {
  layout();
  const key = [S.a, S.b, G.w, G.h, [...S.groups], S.session, S.viewer, C.fg, S.sel && selectionName(S.sel)].join();
  if (key !== pictured) drawPicture(prepare(picture, G.w, G.h));
  pictured = key;
  const c = prepare(canvas, G.w, G.h);
  c.drawImage(picture, 0, 0, G.w, G.h);
  drawCursor(c);
  drawNames(c);
}

function drawPicture(c) {
  drawCuts(c);
  c.save();
  c.beginPath();
  c.rect(G.left, 0, G.w - G.left - G.right, G.h);
  c.clip();
  drawTicks(c);
  D.names.forEach((_, lane) => drawStates(c, lane));
  const arrows = drawArrows(c);
  drawMembers(c);
  drawMarks(c);
  drawFaults(c);
  drawChain(c);
  c.restore();
  if (arrows.drawn < arrows.total) {
    c.font = SMALL;
    const text = `1 of ${Math.round(arrows.total / arrows.drawn)} messages drawn`;
    plate(c, text, G.w - G.right - 4 - c.measureText(text).width, G.h - 9, C.dim);
  }
}

function drawTicks(c) {
  const step = tickStep(S.b - S.a, (G.w - G.left) / 90);
  c.font = SMALL;
  c.fillStyle = C.dim;
  c.strokeStyle = C.line;
  c.lineWidth = 1;
  c.textAlign = 'center';
  for (let t = Math.ceil(S.a / step) * step; t <= S.b; t += step) {
    if (t < 0) continue;
    const x = Math.round(xOf(t)) + 0.5;
    c.beginPath();
    c.moveTo(x, 18);
    c.lineTo(x, G.h);
    c.stroke();
    const text = clock(t, step);
    const half = c.measureText(text).width / 2 + 2;
    c.fillText(text, Math.min(Math.max(x, G.left + half), G.w - G.right - half), 9);
  }
  c.textAlign = 'left';
}

/** Partitions: one tint and pattern an island, a wall between neighbours that exchange nothing. */
function drawCuts(c) {
  for (const span of CUTS) {
    if (span.b < S.a || span.a > S.b) continue;
    const x0 = Math.max(xOf(span.a), G.left);
    const x1 = Math.min(xOf(span.b), G.w - G.right);
    const w = Math.max(1, x1 - x0);
    D.names.forEach((_, lane) => {
      // Where all still reach each other some way, only the ends of cut links are shaded.
      if (span.islands.length < 2 && !span.ends.has(lane)) return;
      c.fillStyle = C.cut;
      c.globalAlpha = 0.1;
      c.fillRect(x0, G.top + lane * G.lane, w, G.lane);
      c.globalAlpha = 0.25;
      const kind = ['', 'slash', 'back', 'dots'][span.islandOf[lane] % 4];
      if (!kind) return;
      c.fillStyle = hatch(c, kind, C.cut);
      c.fillRect(x0, G.top + lane * G.lane, w, G.lane);
    });
    c.globalAlpha = 1;
    drawWalls(c, span, x0, x1);
    drawCutLabels(c, span, x0, x1);
  }
}

function drawWalls(c, span, x0, x1) {
  c.strokeStyle = C.cut;
  c.lineWidth = 2;
  for (let lane = 0; lane + 1 < D.n; lane++) {
    if (!apart(span, lane, lane + 1)) continue;
    const y = G.top + (lane + 1) * G.lane;
    c.setLineDash(span.islandOf[lane] === span.islandOf[lane + 1] ? [2, 5] : [7, 3]);
    c.beginPath();
    c.moveTo(x0, y);
    c.lineTo(x1, y);
    c.stroke();
  }
  c.setLineDash([]);
  c.lineWidth = 1;
  for (const t of [span.a, span.b]) {
    if (t <= S.a || t >= S.b) continue;
    c.beginPath();
    c.moveTo(xOf(t), 22);
    c.lineTo(xOf(t), G.h - 4);
    c.stroke();
  }
}

function drawCutLabels(c, span, x0, x1) {
  c.font = SMALL;
  c.fillStyle = C.cut;
  c.globalAlpha = 0.22;
  c.fillRect(x0, 21, Math.max(1, x1 - x0), 16);
  c.globalAlpha = 1;
  c.fillStyle = C.fg;
  if (x1 - x0 > 24) c.fillText(fitted(c, `cut ${span.label}`, x1 - x0 - 8), x0 + 4, 29);
  if (span.islands.length < 2 || x1 - x0 < 18 || G.lane < 48) return;
  D.names.forEach((_, lane) => {
    plate(c, letter(span.islandOf[lane]), x0 + 5, G.top + lane * G.lane + 9, C.fg, 0.75);
  });
}

function drawStates(c, lane) {
  const y = yOf(lane) - G.bar / 2;
  for (const span of STATES[lane]) {
    if (span.b < S.a || span.a > S.b || !span.as) continue;
    const [x0, x1] = [Math.max(xOf(span.a), G.left), Math.min(xOf(span.b), G.w - G.right)];
    const [colour, pattern] = LOOKS_OF_STATE[span.as] || ['dim', 'dots'];
    const w = Math.max(1, x1 - x0);
    c.fillStyle = C.panel;
    c.fillRect(x0, y, w, G.bar);
    c.fillStyle = C[colour];
    c.globalAlpha = GONE.includes(span.as) || span.as === 'peer' ? 0.08 : 0.28;
    c.fillRect(x0, y, w, G.bar);
    c.globalAlpha = 1;
    if (pattern) {
      c.fillStyle = hatch(c, pattern, C[colour], 1.4);
      c.globalAlpha = 0.8;
      c.fillRect(x0, y, w, G.bar);
    }
    c.globalAlpha = 0.8;
    c.strokeStyle = C[colour];
    c.lineWidth = 1;
    if (GONE.includes(span.as)) c.setLineDash([3, 3]);
    c.strokeRect(x0 + 0.5, y + 0.5, Math.max(0, w - 1), G.bar - 1);
    c.setLineDash([]);
    c.globalAlpha = 1;
    c.font = SMALL;
    const label = span.as === 'ready' || span.as === 'peer' ? '' : span.as;
    if (label && c.measureText(label).width + 12 < x1 - x0) plate(c, label, x0 + 6, yOf(lane), C.fg);
  }
}

/** A strip under each lane: alive (solid) or dead (gaps) in the chosen node's view. */
function drawMembers(c) {
  membersSeenBy(S.viewer).forEach((spans, lane) => {
    const y = yOf(lane) + G.bar / 2 + 3;
    for (const span of spans) {
      if (span.b < S.a || span.a > S.b) continue;
      const [x0, x1] = [Math.max(xOf(span.a), G.left), Math.min(xOf(span.b), G.w - G.right)];
      c.fillStyle = span.alive ? C.good : hatch(c, 'upright', C.bad, 2);
      c.fillRect(x0, y, Math.max(1, x1 - x0), span.alive ? 2.5 : 5);
    }
  });
}

function drawCursor(c) {
  const x = Math.round(xOf(S.cursor)) + 0.5;
  if (x < G.left - 1 || x > G.w - G.right + 1) return;
  c.strokeStyle = C.fg;
  c.lineWidth = 1;
  c.beginPath();
  c.moveTo(x, 18);
  c.lineTo(x, G.h);
  c.stroke();
  c.font = SMALL;
  const text = clock(S.cursor);
  const w = c.measureText(text).width;
  const at = Math.min(Math.max(x - w / 2, G.left + 4), G.w - G.right - w - 4);
  c.fillStyle = C.fg;
  c.fillRect(at - 4, 1, w + 8, 16);
  c.fillStyle = C.panel;
  c.fillText(text, at, 9.5);
}

/** Names at the left, the chosen viewer marked, the state at the cursor beneath. */
function drawNames(c) {
  D.names.forEach((name, lane) => {
    const state = stateAt(lane, S.cursor).as;
    c.font = lane === S.viewer ? `bold ${FONT}` : FONT;
    c.fillStyle = C.fg;
    c.fillText(fitted(c, name, G.left - 14), 8, yOf(lane) - 6);
    c.font = '10px system-ui, sans-serif';
    c.fillStyle = GONE.includes(state) ? C.bad : C.dim;
    c.fillText(fitted(c, lane === S.viewer ? `${state} \u25c9` : state, G.left - 12), 8, yOf(lane) + 8);
  });
}
