// Pointer, wheel, touch and keyboard on the canvases.

/** Pointers that are down on the lanes, by id: two of them pinch. */
const pointers = new Map();
let dragged = 0;
let pinch = 0;

const placeIn = (e, target) => {
  const box = target.getBoundingClientRect();
  return [e.clientX - box.left, e.clientY - box.top];
};

function listenToLanes() {
  canvas.addEventListener('wheel', onWheel, { passive: false });
  canvas.addEventListener('pointerdown', (e) => {
    canvas.setPointerCapture(e.pointerId);
    pointers.set(e.pointerId, placeIn(e, canvas));
    if (pointers.size === 1) dragged = 0;
    pinch = 0;
    hideTip();
  });
  canvas.addEventListener('pointermove', onMove);
  canvas.addEventListener('pointerup', (e) => {
    const [x, y] = placeIn(e, canvas);
    if (pointers.delete(e.pointerId) && dragged < 5 && !pinch) onClick(x, y);
  });
  canvas.addEventListener('pointercancel', (e) => pointers.delete(e.pointerId));
  canvas.addEventListener('pointerleave', hideTip);
  canvas.addEventListener('dblclick', (e) => zoom(0.4, tOf(placeIn(e, canvas)[0])));
  canvas.addEventListener('keydown', onKey);
}

function onWheel(e) {
  const [x] = placeIn(e, canvas);
  // Over the names the wheel scrolls the lanes, if they do not all fit.
  if (x < G.left) return;
  e.preventDefault();
  const lines = e.deltaMode === 1 ? 16 : 1;
  if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) pan(((e.deltaX || e.deltaY) * lines) / pxPerMs());
  else zoom(Math.exp(Math.max(-1, Math.min(1, e.deltaY * lines * 0.002))), tOf(x));
}

function onMove(e) {
  const before = pointers.get(e.pointerId);
  const [x, y] = placeIn(e, canvas);
  if (!before) {
    hover(x, y);
    return;
  }
  pointers.set(e.pointerId, [x, y]);
  if (pointers.size === 2) {
    const [[xa, ya], [xb, yb]] = [...pointers.values()];
    const apartBy = Math.hypot(xa - xb, ya - yb);
    if (pinch) zoom(pinch / Math.max(1, apartBy), tOf((xa + xb) / 2));
    pinch = Math.max(1, apartBy);
    return;
  }
  dragged += Math.abs(x - before[0]) + Math.abs(y - before[1]);
  if (dragged >= 5) pan((before[0] - x) / pxPerMs());
}

function onClick(x, y) {
  if (x < G.left) {
    const lane = Math.floor((y - G.top) / G.lane);
    if (lane >= 0 && lane < D.n) setViewer(lane);
    return;
  }
  const found = hit(x, y);
  if (found) select(found, false);
  else {
    S.sel = S.past = null;
    moveCursor(tOf(x), false);
  }
}

const tip = document.getElementById('tip');
let hovering = 0;
const hideTip = () => { cancelAnimationFrame(hovering); tip.hidden = true; };
function hover(x, y) {
  cancelAnimationFrame(hovering);
  hovering = requestAnimationFrame(() => {
    const found = x >= G.left ? hit(x, y) : null;
    const text = found ? tipWords(found) : regionWords(x, y);
    canvas.style.cursor = found || x < G.left ? 'pointer' : 'grab';
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const box = document.getElementById('scroll');
    const left = Math.min(x + 14, G.w - tip.offsetWidth - 6);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${y - box.scrollTop + 18}px`;
  });
}

function tipWords(sel) {
  const node = sel.msg === undefined ? D.names[sel.item.node] : undefined;
  const what = sel.msg === undefined ? itemWords(sel.item) : messageWords(sel.msg);
  return [clock(timeOf(sel)), node, what].filter(Boolean).join('  ');
}

/** Keys of the lanes; most work on the whole page too, outside of fields. */
function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const step = (S.b - S.a) * 0.12;
  const act = {
    ArrowLeft: () => (e.shiftKey ? moveCursor(S.cursor - step / 6) : pan(-step)),
    ArrowRight: () => (e.shiftKey ? moveCursor(S.cursor + step / 6) : pan(step)),
    ArrowUp: () => stepRow(-1), ArrowDown: () => stepRow(1),
    ',': () => moveCursor(S.cursor - 1), '.': () => moveCursor(S.cursor + 1),
    '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1 / 0.6),
    f: fit, 0: fit, Home: () => { moveCursor(0); }, End: () => { moveCursor(D.end); },
    n: () => stepViolation(1), p: () => stepViolation(-1), Escape: () => select(null),
  }[e.key];
  if (!act) return;
  e.preventDefault();
  e.stopPropagation();
  act();
}

/** A canvas on which pressing or dragging goes to a time, and the arrows step. */
function scrubber(target, toTime, go, step) {
  const at = (e) => go(toTime(placeIn(e, target)[0]));
  target.addEventListener('pointerdown', (e) => {
    target.setPointerCapture(e.pointerId);
    at(e);
  });
  target.addEventListener('pointermove', (e) => { if (e.buttons) at(e); });
  target.addEventListener('keydown', (e) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[e.key];
    if (!by) return;
    e.preventDefault();
    step(by);
  });
}

function listenToStrips() {
  scrubber(curveCanvas, tOf, (t) => moveCursor(t, false), (by) => {
    const next = D.samples[Math.min(Math.max(sampleAt(S.cursor) + by, 0), D.samples.length - 1)];
    if (next) moveCursor(next.t);
  });
  const centre = (t) => show(t - (S.b - S.a) / 2, t + (S.b - S.a) / 2);
  scrubber(miniCanvas, miniT, centre, (by) => pan(by * (S.b - S.a) * 0.2));
  miniCanvas.addEventListener('wheel', (e) => {
    e.preventDefault();
    zoom(e.deltaY > 0 ? 1.2 : 1 / 1.2, miniT(placeIn(e, miniCanvas)[0]));
  }, { passive: false });
}
