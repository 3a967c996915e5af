// The panel about the selection: what it is, why it happened, what came of it.

const detailsBox = document.getElementById('details');
let detailsOf = undefined;

function paintDetails() {
  if (detailsOf !== undefined && sameSelection(detailsOf, S.sel)) return;
  detailsOf = S.sel;
  detailsBox.replaceChildren(...(S.sel ? selectionDetails(S.sel) : nothingSelected()));
}

function nothingSelected() {
  const hint = 'Click an operation, a message or an event: its causal past lights up, and this panel tells about it.';
  const children = [element('h2', { textContent: 'Selection' }), element('p', { className: 'dim', textContent: hint })];
  if (D.violations.length) {
    const first = D.violations[0];
    const more = D.violations.length > 1 ? ` (the first of ${D.violations.length})` : '';
    const button = element('button', { className: 'link bad', textContent: itemWords(first) });
    button.addEventListener('click', () => goToViolation(first));
    children.push(element('h3', { textContent: `Violation at ${clock(first.t)}${more}` }), button);
  }
  return children;
}

function selectionDetails(sel) {
  const head = element('h2', { textContent: sel.msg === undefined ? itemTitle(sel.item) : `Message ${D.messages.id[sel.msg]}: ${kindOf(sel.msg)}` });
  const close = element('button', { textContent: '\u2715', title: 'Clear the selection (Escape)', className: 'close' });
  close.setAttribute('aria-label', 'Clear the selection');
  close.addEventListener('click', () => select(null));
  head.append(close);
  const facts = sel.msg === undefined ? itemFacts(sel.item) : messageFacts(sel.msg);
  const list = element('dl');
  for (const [term, value] of facts) {
    if (value === '' || value === undefined || value === null) continue;
    list.append(element('dt', { textContent: term }), element('dd', {}, value instanceof Node ? value : String(value)));
  }
  return [head, list, ...chainDetails(), ...effectDetails(sel)];
}

function itemTitle(it) {
  if (it.k === 'op') return `Operation ${it.id}: ${it.op}`;
  const word = kindWords(it);
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function messageFacts(m) {
  const M = D.messages;
  const arrivals = [...M.arrivals.subarray(M.first[m], M.first[m + 1])];
  return [
    ['from', `${D.name(M.from[m])} to ${D.name(M.to[m])}`],
    [LOOKS[m] === LOOK.received ? 'received' : 'sent', clock(M.t[m])],
    ['arrives', LOOKS[m] >= LOOK.sent ? '' : arrivals.map((at) => `${clock(at)} (after ${ms(at - M.t[m])})`).join(', ') || 'never'],
    ['fate', fateWords(fateOf(m))],
    ['size', `${M.bytes[m]} bytes`],
    ['session', SESSION_OF[m] ? sessionLink(SESSION_OF[m]) : ''],
    ['wall time', wall(M.t[m])],
    ['line', `${M.line[m]} of the trace`],
    ['past', pastWords()],
  ];
}

function itemFacts(it) {
  const hasNode = it.node !== undefined && it.node !== null;
  return [
    ['node', hasNode ? D.name(it.node) : ''],
    ['time', clock(it.t)],
    ['what', itemWords(it)],
    ['session', it.session ? sessionLink(it.session) : ''],
    ['fields', (it.keys || []).join(', ')],
    ['result', it.k === 'op' ? (it.ok ? 'done' : 'refused') : ''],
    ['write', it.dot ? `number ${it.dot[1]} of life ${it.dot[0]}` : ''],
    ['acked', it.k === 'op' ? ackWords(it) : ''],
    ['wall time', wall(it.t)],
    ['line', `${it.n} of the trace`],
    ['past', hasNode ? pastWords() : ''],
  ];
}

function ackWords(op) {
  return D.items.filter((it) => it.k === 'acked' && it.op === op.id).map((it) => `${clock(it.t)}: ${it.copies} copies`).join(', ');
}

function pastWords() {
  const { past } = S;
  if (!past || past.empty) return '';
  return `${past.ops} operations and ${past.messages} messages happened before it`;
}

function sessionLink(session) {
  const button = element('button', { className: 'link', textContent: session, title: 'Show only this session' });
  button.addEventListener('click', () => setSession(S.session === session ? '' : session));
  return button;
}

/** A line that selects what it names. */
function link(sel) {
  const text = sel.msg === undefined ? itemWords(sel.item) : messageWords(sel.msg);
  const node = nodeOf(sel);
  const where = node === undefined || node === null || sel.msg !== undefined ? '' : `${D.name(node)} `;
  const button = element('button', { className: 'link', textContent: `${clock(timeOf(sel))} ${where}${text}` });
  button.addEventListener('click', () => select(sel));
  return element('li', {}, button);
}

function chainDetails() {
  const chain = S.past.chain.slice(1);
  if (!chain.length) return [];
  const list = element('ol', {}, ...chain.slice(0, 30).map(link));
  return [element('h3', { textContent: 'Because of' }), list];
}

function effectDetails(sel) {
  const id = sel.msg === undefined ? (sel.item.k === 'op' ? sel.item.id : -1) : D.messages.id[sel.msg];
  if (id < 0) return [];
  const effects = effectsOf(id, 13);
  if (!effects.length) return [];
  const more = effects.length > 12 ? [element('li', { textContent: 'and more' })] : [];
  return [element('h3', { textContent: 'Leads to' }), element('ul', {}, ...effects.slice(0, 12).map(link), ...more)];
}
