// The two strips under the lanes: the curve of diverging sessions, and the whole run in small with the part in view.

const curveCanvas = document.getElementById('curve');
const miniCanvas = document.getElementById('mini');
const CURVE_HEIGHT = 74;
const MINI_HEIGHT = 46;

const MOST_DIVERGING = D.samples.reduce((most, it) => Math.max(most, it.diverging), 0);

/** The last sample at or before `t`. */
const sampleAt = (t) => Math.max(0, lowerBound(D.samples.length, (i) => D.samples[i].t, t + 1e-9) - 1);

function paintCurve() {
  if (!D.samples.length) return;
  const c = prepare(curveCanvas, G.w, CURVE_HEIGHT);
  const [top, bottom] = [12, CURVE_HEIGHT - 8];
  const y = (v) => bottom - (v / Math.max(1, MOST_DIVERGING)) * (bottom - top);
  c.font = SMALL;
  c.textAlign = 'right';
  c.fillStyle = C.dim;
  c.fillText(String(Math.max(1, MOST_DIVERGING)), G.left - 6, top);
  c.fillText('0', G.left - 6, bottom);
  c.textAlign = 'left';
  c.save();
  c.beginPath();
  c.rect(G.left, 0, G.w - G.left - G.right, CURVE_HEIGHT);
  c.clip();
  c.strokeStyle = C.line;
  c.strokeRect(G.left + 0.5, top - 0.5, G.w, bottom - top);
  c.fillStyle = C.cut;
  c.globalAlpha = 0.12;
  for (const span of CUTS) c.fillRect(xOf(span.a), top, (span.b - span.a) * pxPerMs(), bottom - top);
  c.globalAlpha = 1;
  drawSteps(c, y, bottom);
  c.strokeStyle = C.bad;
  for (const it of D.violations) stroke(c, xOf(it.t), top, bottom);
  c.strokeStyle = C.fg;
  stroke(c, xOf(S.cursor), 0, CURVE_HEIGHT);
  const it = D.samples[sampleAt(S.cursor)];
  const text = `${it.diverging} of ${it.sessions}`;
  const w = c.measureText(text).width;
  const x = xOf(S.cursor) + 5;
  plate(c, text, x + w > G.w - G.right ? x - w - 10 : x, top + 7, C.fg);
  c.restore();
  curveCanvas.setAttribute('aria-valuemax', String(D.end));
  curveCanvas.setAttribute('aria-valuenow', String(Math.round(S.cursor)));
  curveCanvas.setAttribute('aria-valuetext', `${clock(S.cursor)}: ${itemWords(it)}`);
}

/** The curve as steps; of the samples in one column the highest is drawn. */
function drawSteps(c, y, bottom) {
  const from = sampleAt(S.a);
  let x = xOf(D.samples[from].t);
  c.beginPath();
  c.moveTo(x, bottom);
  let high = 0;
  for (let i = from; i < D.samples.length; i++) {
    high = Math.max(high, D.samples[i].diverging);
    const next = i + 1 < D.samples.length ? xOf(D.samples[i + 1].t) : xOf(D.end);
    if (next - x < 1 && i + 1 < D.samples.length) continue;
    c.lineTo(x, y(high));
    c.lineTo(next, y(high));
    x = next;
    high = 0;
    if (x > G.w) break;
  }
  c.lineTo(x, bottom);
  c.fillStyle = C.accent;
  c.globalAlpha = 0.2;
  c.fill();
  c.globalAlpha = 1;
  c.strokeStyle = C.accent;
  c.lineWidth = 1.5;
  c.stroke();
  c.lineWidth = 1;
}

function stroke(c, x, y0, y1) {
  c.beginPath();
  c.moveTo(x, y0);
  c.lineTo(x, y1);
  c.stroke();
}

const miniX = (t) => G.left + (t / D.end) * (G.w - G.left - G.right);
const miniT = (x) => ((x - G.left) / (G.w - G.left - G.right)) * D.end;

/** Messages per column of the small picture, lost ones apart; counted once for each width. */
const density = (() => {
  let known = null;
  return () => {
    const w = Math.max(1, Math.floor(G.w - G.left - G.right));
    const groups = [...S.groups].join();
    if (known && known.w === w && known.groups === groups) return known;
    const [all, lost] = [new Uint32Array(w + 1), new Uint32Array(w + 1)];
    for (let m = 0; m < D.messages.count; m++) {
      if (!S.groups.has(GROUPS[GROUP_OF[D.messages.kind[m]]].id)) continue;
      const at = Math.floor((D.messages.t[m] / D.end) * w);
      all[at]++;
      if (LOOKS[m] === LOOK.lost) lost[at]++;
    }
    known = { w, groups, all, lost, most: all.reduce((a, b) => Math.max(a, b), 1) };
    return known;
  };
})();

function paintMini() {
  const c = prepare(miniCanvas, G.w, MINI_HEIGHT);
  const [top, bottom] = [4, MINI_HEIGHT - 4];
  const right = G.w - G.right;
  c.fillStyle = C.dim;
  c.font = SMALL;
  c.fillText(G.left < 70 ? 'run' : 'whole run', 8, MINI_HEIGHT / 2);
  c.fillStyle = C.cut;
  c.globalAlpha = 0.25;
  for (const span of CUTS) c.fillRect(miniX(span.a), top, Math.max(1, miniX(span.b) - miniX(span.a)), bottom - top);
  c.globalAlpha = 1;
  const { w, all, lost, most } = density();
  const height = (n) => Math.sqrt(n / most) * (bottom - top - 4);
  for (let x = 0; x <= w; x++) {
    c.fillStyle = C.write;
    if (all[x]) c.fillRect(G.left + x, bottom - height(all[x]), 1, height(all[x]));
    c.fillStyle = C.bad;
    if (lost[x]) c.fillRect(G.left + x, bottom - height(lost[x]), 1, height(lost[x]));
  }
  c.fillStyle = C.bad;
  for (const it of D.violations) c.fillRect(miniX(it.t) - 1, top, 2, bottom - top);
  const a = Math.max(miniX(S.a), G.left);
  const b = Math.min(Math.max(miniX(S.b), a + 3), right);
  c.fillStyle = C.bg;
  c.globalAlpha = 0.65;
  c.fillRect(G.left, top, a - G.left, bottom - top);
  c.fillRect(b, top, right - b, bottom - top);
  c.globalAlpha = 1;
  c.strokeStyle = C.accent;
  c.lineWidth = 2;
  c.strokeRect(a, top, b - a, bottom - top);
  c.strokeStyle = C.fg;
  c.lineWidth = 1;
  stroke(c, miniX(S.cursor), 0, MINI_HEIGHT);
  miniCanvas.setAttribute('aria-valuemax', String(D.end));
  miniCanvas.setAttribute('aria-valuenow', String(Math.round((S.a + S.b) / 2)));
  miniCanvas.setAttribute('aria-valuetext', `${clock(Math.max(0, S.a))} to ${clock(Math.min(D.end, S.b))}`);
}
