// What all canvases share: sizes, colours, patterns, the scale of time, lines clipped to what is in view.

/** Geometry of the lanes; `layout` sets it. */
const G = { w: 0, h: 0, left: 76, right: 10, top: 62, lane: 60, bar: 14 };

/** Makes a canvas as sharp as the screen and returns its context, cleared. */
function prepare(canvas, w, h) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
    canvas.style.width = `${w}px`;
    canvas.style.height = `${h}px`;
  }
  const c = canvas.getContext('2d');
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, w, h);
  c.font = FONT;
  c.textBaseline = 'middle';
  return c;
}
const FONT = '12px system-ui, sans-serif';
const SMALL = '11px system-ui, sans-serif';

/** Colours from the style sheet, read again after the theme changed. */
let C = {};
const patterns = new Map();
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  C = {};
  const all = ['fg', 'dim', 'bg', 'panel', 'line', 'accent', 'bad', 'good', 'warn', 'dup', 'frozen', 'joining', 'fenced',
    'cut', ...GROUPS.map((g) => g.id)];
  for (const name of all) C[name] = get(name);
  patterns.clear();
}

const HATCHES = {
  slash: (c) => { c.moveTo(-2, 10); c.lineTo(10, -2); },
  back: (c) => { c.moveTo(-2, -2); c.lineTo(10, 10); },
  cross: (c) => { c.moveTo(-2, 10); c.lineTo(10, -2); c.moveTo(-2, -2); c.lineTo(10, 10); },
  upright: (c) => { c.moveTo(2, 0); c.lineTo(2, 8); c.moveTo(6, 0); c.lineTo(6, 8); },
  level: (c) => { c.moveTo(0, 4); c.lineTo(5, 4); },
  dots: (c) => { c.rect(1, 1, 1, 1); c.rect(5, 5, 1, 1); },
};
/** A pattern of lines in `colour`. */
function hatch(c, kind, colour, width = 1) {
  const key = `${kind} ${colour} ${width}`;
  if (!patterns.has(key)) {
    const tile = document.createElement('canvas');
    tile.width = tile.height = 8;
    const p = tile.getContext('2d');
    p.strokeStyle = colour;
    p.lineWidth = width;
    p.beginPath();
    HATCHES[kind](p);
    p.stroke();
    patterns.set(key, c.createPattern(tile, 'repeat'));
  }
  return patterns.get(key);
}

/** Time to place and back. */
const xOf = (t) => G.left + ((t - S.a) / (S.b - S.a)) * (G.w - G.left - G.right);
const tOf = (x) => S.a + ((x - G.left) / (G.w - G.left - G.right)) * (S.b - S.a);
const yOf = (lane) => G.top + lane * G.lane + G.lane * 0.46;
const pxPerMs = () => (G.w - G.left - G.right) / (S.b - S.a);

/** The part of a line that lies in view, or nothing: dashes far outside would cost seconds. */
function clipped(x0, y0, x1, y1) {
  const [lo, hi] = [G.left, G.w - G.right];
  if (Math.max(x0, x1) < lo || Math.min(x0, x1) > hi) return null;
  const at = (x) => (x1 === x0 ? y0 : y0 + ((x - x0) / (x1 - x0)) * (y1 - y0));
  const cut = (x, y) => (x < lo ? [lo, at(lo)] : x > hi ? [hi, at(hi)] : [x, y]);
  return [...cut(x0, y0), ...cut(x1, y1)];
}

/** Text that fits `width`, with an ellipsis if it had to be cut, or nothing. */
function fitted(c, text, width) {
  if (c.measureText(text).width <= width) return text;
  let n = text.length;
  while (n > 1 && c.measureText(`${text.slice(0, n)}\u2026`).width > width) n = Math.floor(n * 0.9) || 0;
  return n > 1 ? `${text.slice(0, n)}\u2026` : '';
}

/** Text on a plate of the background's colour. */
function plate(c, text, x, y, colour, alpha = 0.85) {
  const w = c.measureText(text).width;
  c.globalAlpha = alpha;
  c.fillStyle = C.panel;
  c.fillRect(x - 2, y - 7, w + 4, 14);
  c.globalAlpha = 1;
  c.fillStyle = colour;
  c.fillText(text, x, y);
}

/** Steps between ticks, so that about `count` of them are in view. */
function tickStep(span, count) {
  const raw = span / Math.max(1, count);
  const ten = 10 ** Math.floor(Math.log10(raw));
  for (const f of [1, 2, 5, 10]) if (f * ten >= raw) return f * ten;
  return 10 * ten;
}

/** Visits messages in view, block by block. */
function eachInView(visit) {
  const M = D.messages;
  const end = lowerBound(M.count, (m) => M.t[m], S.b);
  const reach = FLIGHT + 6 / pxPerMs();
  for (let block = 0; block << 8 < end; block++) {
    if (M.blockEnd[block] + reach < S.a) continue;
    const stop = Math.min(end, (block + 1) << 8);
    for (let m = block << 8; m < stop; m++) {
      if (M.last[m] + reach >= S.a && S.groups.has(GROUPS[GROUP_OF[M.kind[m]]].id)) visit(m);
    }
  }
}
