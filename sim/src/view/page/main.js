// Wires the controls, and starts.

const byName = (id) => document.getElementById(id);

function setViewer(node) {
  S.viewer = node;
  byName('viewer').value = String(node);
  repaint();
}

function setSession(session) {
  S.session = session;
  byName('session').value = session;
  repaint();
}

function setTheme(theme) {
  S.theme = theme;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  readColours();
  repaint();
}

function buildTitle() {
  const title = byName('title');
  titleParts().forEach((part, i) => {
    if (i) title.append(element('span', { className: 'dot', textContent: ' \u00b7 ' }));
    const tag = part.strong ? 'b' : part.code ? 'code' : 'span';
    title.append(element(tag, { textContent: part.text, className: part.mood || '' }));
  });
  document.title = `${D.about.head.name}: ${D.simulated ? 'simulated run' : 'node log'}`;
  const text = notes();
  byName('notes').hidden = !text;
  byName('notes').textContent = text;
  if (!D.violations.length) return;
  const jump = element('button', { id: 'jump', className: 'alarm', textContent: 'Jump to the violation' });
  jump.addEventListener('click', () => {
    goToViolation(D.violations[0]);
    canvas.focus();
  });
  title.append(' ', jump);
}

function buildControls() {
  const nodes = () => D.names.map((name, i) => element('option', { value: String(i), textContent: name }));
  byName('viewer').append(...(D.simulated ? nodes() : nodes().slice(0, 1)));
  byName('of-node').append(element('option', { value: '-1', textContent: 'all nodes' }), ...nodes());
  byName('sessions').append(...D.sessions.slice(0, 2000).map((value) => element('option', { value })));
  const longest = Math.max(...D.names.map((name) => name.length));
  document.body.style.setProperty('--who', `${Math.min(66, Math.max(24, longest * 7.2))}px`);
  const present = new Set(GROUP_OF);
  GROUPS.forEach((group, g) => {
    if (!present.has(g)) return;
    const box = element('input', { type: 'checkbox', value: group.id });
    box.addEventListener('change', () => {
      if (box.checked) S.groups.add(group.id); else S.groups.delete(group.id);
      repaint();
    });
    const swatch = element('i', { className: 'swatch' });
    swatch.style.background = `var(--${group.id})`;
    byName('groups').append(element('label', {}, box, swatch, group.label));
  });
  if (!D.violations.length) byName('violations').hidden = true;
  if (!D.samples.length) byName('curve-box').hidden = true;
}

/** Shows in the controls what the state says. */
function syncControls() {
  byName('viewer').value = String(S.viewer);
  byName('session').value = S.session;
  for (const box of byName('groups').querySelectorAll('input')) box.checked = S.groups.has(box.value);
}

function listenToControls() {
  const on = (id, event, act) => byName(id).addEventListener(event, act);
  on('zoom-in', 'click', () => zoom(0.6));
  on('zoom-out', 'click', () => zoom(1 / 0.6));
  on('fit', 'click', fit);
  on('prev-violation', 'click', () => stepViolation(-1));
  on('next-violation', 'click', () => stepViolation(1));
  on('viewer', 'change', (e) => setViewer(Number(e.target.value)));
  on('session', 'input', (e) => {
    const value = e.target.value.trim();
    // Half a name would dim everything.
    if (value === '' || D.sessions.includes(value)) setSessionTyped(value);
  });
  on('of-node', 'change', (e) => { S.ofNode = Number(e.target.value); repaint(); });
  on('with-msgs', 'change', (e) => { S.withMessages = e.target.checked; repaint(); });
  let typing = 0;
  on('text', 'input', (e) => {
    clearTimeout(typing);
    typing = setTimeout(() => { S.text = e.target.value; repaint(); }, 150);
  });
  listBox.addEventListener('scroll', drawRows, { passive: true });
  listBox.addEventListener('keydown', (e) => {
    const by = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 }[e.key];
    if (!by) return;
    e.preventDefault();
    e.stopPropagation();
    stepRow(by);
  });
  on('theme', 'click', () => {
    const dark = S.theme ? S.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    setTheme(dark ? 'light' : 'dark');
  });
  on('help', 'click', () => {
    const legend = byName('legend');
    legend.hidden = !legend.hidden;
    byName('help').setAttribute('aria-expanded', String(!legend.hidden));
    repaint();
  });
  document.addEventListener('keydown', (e) => {
    if (['INPUT', 'SELECT', 'TEXTAREA'].includes(e.target.tagName) || e.key.startsWith('Arrow')) return;
    onKey(e);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readColours(); repaint(); });
  // At once, not in the next frame: in between the old picture would be shown at the wrong size.
  const sizes = new ResizeObserver(paintNow);
  sizes.observe(byName('scroll'));
  sizes.observe(listBox);
  addEventListener('hashchange', () => { if (readAddress()) { setTheme(S.theme); syncControls(); } });
}

function setSessionTyped(value) {
  S.session = value;
  repaint();
}

const LEGEND = [
  ['arrows', 'from sending to arrival, in the colour of their group; dashed, red and ending in a cross: lost; magenta: delivered more than once'],
  ['lane', 'plain: ready; slanted lines: joining; crossed lines: fenced; upright lines: frozen; broken outline: crashed, suspended, left or not yet there'],
  ['strip under a lane', 'solid: the chosen node thinks it alive; broken, red: dead; none: unknown'],
  ['marks', 'circle: create; diamond: edit; square: destroy; triangle: touch or lifetime; small dot: read; red: refused; small triangle above the lane: event; triangle with !: warning; upright stroke: start; cross: crash'],
  ['bands', 'links are cut; islands carry letters and patterns; a dashed wall runs between neighbouring lanes whose traffic is cut'],
  ['past', 'what is selected keeps its causal past bright; its direct causes are drawn thick. A restarted node has forgotten, so its past begins anew'],
  ['keys', 'arrows move and select, shift with arrows moves the cursor, + - zoom, f fits, , . step by 1 ms, n p go to violations, Escape clears; a click on a name chooses whose members are shown'],
];

function start() {
  buildTitle();
  buildControls();
  buildLag();
  const legend = element('dl');
  for (const [term, text] of LEGEND) legend.append(element('dt', { textContent: term }), element('dd', { textContent: text }));
  byName('legend').append(legend);
  listenToLanes();
  listenToStrips();
  listenToControls();
  if (!readAddress()) {
    fit();
    // Where it is worth looking first: where a rule was broken, else when faults were in force, else the end.
    const fault = D.items.find((it) => it.k === 'fault');
    S.cursor = D.violations.length ? D.violations[0].t : fault ? fault.t + 1 : D.end;
  }
  setTheme(S.theme);
  syncControls();
  painters.push(paintLanes, paintCurve, paintMini, paintLag, paintDetails, paintList);
  repaint();
}
start();
