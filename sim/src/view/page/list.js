// The list of events: everything that happened, filtered, in step with the cursor. Only rows in sight exist.

const listBox = document.getElementById('list');
const rowsBox = document.getElementById('rows');
const ROW = 24;
/** Browsers cannot make anything much taller than this many rows. */
const MOST_ROWS = 400000;
const UNLISTED = ['sample'];
let rows = [];
let listKey = '';
let listCursor = -1;
let listDrawn = '';

const rowNode = (sel) => (sel.msg === undefined ? sel.item.node : D.messages.from[sel.msg]);

/** Items, and messages if they are wanted, in one order of time. */
function* everything() {
  const M = D.messages;
  let m = S.withMessages ? 0 : M.count;
  for (const it of D.items) {
    while (m < M.count && M.t[m] <= it.t) yield { msg: m++ };
    if (!UNLISTED.includes(it.k)) yield { item: it };
  }
  while (m < M.count) yield { msg: m++ };
}

function wanted(sel, text) {
  if (sel.msg !== undefined && !S.groups.has(GROUPS[GROUP_OF[D.messages.kind[sel.msg]]].id)) return false;
  if (S.ofNode >= 0 && rowNode(sel) !== S.ofNode && (sel.msg === undefined || D.messages.to[sel.msg] !== S.ofNode)) return false;
  const session = sel.msg === undefined ? sessionOf(sel.item) : SESSION_OF[sel.msg];
  // What is about no session, such as a fault, stays: it explains the rest.
  if (S.session && session !== S.session && (sel.msg !== undefined || session)) return false;
  if (!text) return true;
  const words = sel.msg === undefined ? `${kindWords(sel.item)} ${D.names[sel.item.node] ?? ''} ${itemWords(sel.item)}` : `${messageWords(sel.msg)} ${session}`;
  return words.toLowerCase().includes(text);
}

function refill() {
  const key = [S.text, S.ofNode, S.session, S.withMessages, S.withMessages && [...S.groups]].join('\n');
  if (key === listKey) return;
  listKey = key;
  rows = [];
  const text = S.text.trim().toLowerCase();
  let total = 0;
  for (const sel of everything()) {
    if (!wanted(sel, text)) continue;
    total++;
    if (rows.length < MOST_ROWS) rows.push(sel);
  }
  document.getElementById('count').textContent = total > rows.length ? `first ${rows.length} of ${total}` : String(total);
  rowsBox.style.height = `${rows.length * ROW}px`;
  listCursor = -1;
  listDrawn = '';
}

/** The row of the selection, or the last one before the cursor. */
function currentRow() {
  const upTo = lowerBound(rows.length, (i) => timeOf(rows[i]), S.cursor + 1e-9);
  if (S.sel) {
    for (let i = upTo - 1; i >= 0 && timeOf(rows[i]) >= S.cursor; i--) if (sameSelection(rows[i], S.sel)) return i;
  }
  return upTo - 1;
}

function paintList() {
  refill();
  const now = currentRow();
  if (now !== listCursor) {
    listCursor = now;
    const y = Math.max(0, now) * ROW;
    if (y < listBox.scrollTop + ROW || y > listBox.scrollTop + listBox.clientHeight - 2 * ROW) {
      listBox.scrollTop = y - listBox.clientHeight / 2;
    }
  }
  drawRows();
}

function drawRows() {
  const from = Math.max(0, Math.floor(listBox.scrollTop / ROW) - 4);
  const to = Math.min(rows.length, from + Math.ceil(listBox.clientHeight / ROW) + 9);
  const key = [from, to, listCursor, S.sel && selectionName(S.sel)].join();
  if (key === listDrawn) return;
  listDrawn = key;
  const drawn = [];
  for (let i = from; i < to; i++) drawn.push(rowElement(i));
  if (!rows.length) drawn.push(element('p', { className: 'dim', textContent: 'Nothing matches.' }));
  rowsBox.replaceChildren(...drawn);
  if (listCursor >= from && listCursor < to) listBox.setAttribute('aria-activedescendant', `row${listCursor}`);
  else listBox.removeAttribute('aria-activedescendant');
}

function rowElement(i) {
  const sel = rows[i];
  const node = rowNode(sel);
  const [kind, text] = sel.msg === undefined ? [kindWords(sel.item), itemWords(sel.item)] : ['message', messageWords(sel.msg)];
  const row = element('div', { id: `row${i}`, className: 'row', title: text },
    element('span', { className: 'time', textContent: clock(timeOf(sel)) }),
    element('span', { className: 'who', textContent: node === undefined || node === null ? '' : D.name(node) }),
    element('span', { className: `kind k-${kind}`, textContent: kind }),
    element('span', { className: 'what', textContent: text }));
  row.style.top = `${i * ROW}px`;
  row.setAttribute('role', 'option');
  row.setAttribute('aria-selected', String(sameSelection(sel, S.sel)));
  row.setAttribute('aria-setsize', String(rows.length));
  row.setAttribute('aria-posinset', String(i + 1));
  if (i === listCursor) row.classList.add('now');
  if (sel.msg !== undefined && LOOKS[sel.msg] === LOOK.lost) row.classList.add('lost');
  row.addEventListener('click', () => select(sel));
  return row;
}

/** Selects the row `by` below the current one. */
function stepRow(by) {
  if (!rows.length) return;
  select(rows[Math.min(Math.max(listCursor + by, 0), rows.length - 1)]);
}
