// The lag of every node behind every other at one sample, as a table whose cells are shaded by it.

const lagTable = document.getElementById('lag-table');
const lagScrub = document.getElementById('lag-scrub');
const lagTime = document.getElementById('lag-time');
const MOST_LAG = D.samples.reduce((most, it) => it.lag.reduce((m, row) => row.reduce((a, b) => Math.max(a, b), m), most), 1);
/** Above this, cells have no room for their numbers. */
const NUMBERED = 12;
const lagCells = [];
let lagShown = -1;

function buildLag() {
  if (!D.samples.length) {
    document.getElementById('lag').hidden = true;
    return;
  }
  const size = D.samples[0].lag.length;
  const table = element('table', { className: size > NUMBERED ? 'tiny' : '' });
  if (size <= NUMBERED) {
    const head = table.createTHead().insertRow();
    head.append(element('th', { scope: 'col' }), ...D.names.slice(0, size).map((name) => element('th', { scope: 'col', textContent: name })));
  }
  const body = table.createTBody();
  for (let i = 0; i < size; i++) {
    const row = body.insertRow();
    if (size <= NUMBERED) row.append(element('th', { scope: 'row', textContent: D.name(i) }));
    lagCells.push(Array.from({ length: size }, () => row.insertCell()));
  }
  lagTable.replaceChildren(table);
  lagScrub.max = String(D.samples.length - 1);
  lagScrub.addEventListener('input', () => moveCursor(D.samples[Number(lagScrub.value)].t));
}

function paintLag() {
  if (!D.samples.length) return;
  const at = sampleAt(S.cursor);
  if (at === lagShown) return;
  lagShown = at;
  const { lag, t } = D.samples[at];
  lagScrub.value = String(at);
  lagScrub.setAttribute('aria-valuetext', clock(t));
  lagTime.textContent = `at ${clock(t)}`;
  lagCells.forEach((row, i) => row.forEach((cell, j) => {
    const behind = (lag[i] || [])[j] || 0;
    // A root, so that being one write behind is seen beside being a thousand behind.
    cell.style.setProperty('--lag', i === j ? '0' : String(behind ? 0.15 + 0.85 * Math.sqrt(behind / MOST_LAG) : 0));
    cell.className = i === j ? 'self' : behind / MOST_LAG > 0.3 ? 'deep' : '';
    if (lag.length <= NUMBERED) cell.textContent = i === j ? '' : String(behind);
    cell.title = i === j ? D.name(i) : `${D.name(i)} lacks ${behind} of ${D.name(j)}`;
  }));
}

/** A new element with properties set; text only ever through `textContent`. */
function element(tag, properties = {}, ...children) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
}
