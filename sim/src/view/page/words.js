// Everything the page says in words: times, items, messages. All of it reaches the page as text, never as markup.

/** A span of time, in the unit that fits. */
function ms(t) {
  if (Math.abs(t) < 1000) return `${round(t)} ms`;
  return Math.abs(t) < 120000 ? `${round(t / 1000)} s` : `${Math.floor(t / 60000)} min ${round((t % 60000) / 1000)} s`;
}
const round = (x) => String(Math.round(x * 1000) / 1000);

/** A point in time, with enough digits for the step between two ticks. */
function clock(t, step = 1) {
  const digits = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
  if (t < 60000 || D.end < 120000) return `${(t / 1000).toFixed(digits)} s`;
  const seconds = (t % 60000) / 1000;
  return `${Math.floor(t / 60000)}:${seconds.toFixed(digits).padStart(digits ? digits + 3 : 2, '0')}`;
}

/** The wall time at `t`, as the run counts it. */
function wall(t) {
  const at = new Date(Number(D.about.head.epoch_ms || 0) + t);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString().replace('T', ' ').replace('Z', ' UTC');
}

/** What became of a message. */
const FATES = {
  __proto__: null,
  ok: 'delivered', lost: 'lost on the way', cut: 'cut off by a partition', queue: 'dropped: the queue was full',
  size: 'dropped: too large', late: 'too late', corrupt: 'damaged on the way', duplicate: 'delivered more than once',
  replay: 'delivered again later', sent: 'sent (a node cannot know more)', received: 'received',
};
const fateWords = (fate) => FATES[fate] || fate;
const kindOf = (m) => D.about.kinds[D.messages.kind[m]];
const fateOf = (m) => D.about.fates[D.messages.fate[m]];

/** A message in one line. */
function messageWords(m) {
  const M = D.messages;
  const fate = fateOf(m);
  const tail = fate === 'ok' || fate === 'sent' || fate === 'received' ? '' : `, ${fateWords(fate)}`;
  return `${kindOf(m)} ${D.name(M.from[m])} \u2192 ${D.name(M.to[m])}, ${M.bytes[m]} B${tail}`;
}

/** The session an item is about; an acknowledgement is about its operation's. */
const sessionOf = (it) => it.session || (it.of && it.of.session) || '';

/** An item in one line, its node left out. */
const ITEM_WORDS = {
  __proto__: null,
  start: (it) => `${it.why} as life ${it.life}`,
  crash: () => 'crashes',
  suspend: () => 'is suspended',
  leave: () => 'leaves',
  freeze: (it) => `freezes for ${ms(it.until - it.t)}`,
  serving: (it) => `is ${it.as}${it.why ? `: ${it.why}` : ''}`,
  op: (it) => [`${it.op}${it.ok ? '' : ' refused'}`, it.session, (it.keys || []).join(' '), it.note].filter(Boolean).join(' '),
  acked: (it) => `${it.of ? `${it.of.op} ${it.of.session || ''}` : `operation ${it.op}`} is on ${it.copies} ${it.copies === 1 ? 'copy' : 'copies'}`,
  fault: (it) => it.text,
  cuts: (it) => (it.pairs.length ? `cut: ${cutLabel(it)}` : 'no link is cut'),
  link: (it) => `link to ${D.name(it.peer)} is ${it.up ? 'up' : 'down'}${it.text ? `: ${it.text}` : ''}`,
  members: (it) => `thinks ${it.alive.length ? it.alive.map(D.name).join(' ') : 'nobody'} alive${it.dead && it.dead.length ? `, dead ${it.dead.map(D.name).join(' ')}` : ''}`,
  event: (it) => [it.event, it.session, it.text].filter(Boolean).join(' '),
  warn: (it) => it.text,
  note: (it) => [it.peer === undefined ? '' : `${D.name(it.peer)}:`, it.session, it.text].filter(Boolean).join(' '),
  sample: (it) => `${it.diverging} of ${it.sessions} sessions diverge`,
  violation: (it) => [`${it.invariant}:`, it.text, it.session].filter(Boolean).join(' '),
  phase: (it) => it.as,
  end: (it) => `${it.ok ? 'ok' : 'failed'}${it.text ? `: ${it.text}` : ''}`,
};
const itemWords = (it) => (ITEM_WORDS[it.k] ? ITEM_WORDS[it.k](it) : it.k);

function cutLabel(it) {
  const span = CUTS.find((s) => s.pairs === it.pairs);
  return span ? span.label : it.pairs.map(([a, b]) => `${D.name(a)} \u21f8 ${D.name(b)}`).join(', ');
}

/** What the list calls a kind of item. */
const KIND_WORDS = { __proto__: null, op: 'op', warn: 'warning', cuts: 'cut', serving: 'serving', acked: 'acked' };
const kindWords = (it) => KIND_WORDS[it.k] || it.k;

/** The first line of the page. */
function titleParts() {
  const { head } = D.about;
  const what = D.simulated ? 'simulated run' : 'log of a real node';
  const parts = [{ text: head.name, strong: true }, { text: what }];
  if (D.simulated) parts.push({ text: `seed ${head.seed}` });
  if (D.last) parts.push({ text: `hash ${D.last.hash}`, code: true });
  if (D.simulated) parts.push(verdict());
  return parts;
}

function verdict() {
  if (!D.last) return { text: 'unfinished: the trace has no end', mood: 'bad' };
  const said = D.last.text ? `: ${D.last.text}` : '';
  return D.last.ok ? { text: `\u2714 passed${said}`, mood: 'good' } : { text: `\u2716 failed${said}`, mood: 'bad' };
}

/** What the reader of the trace has to say about it. */
function notes() {
  const out = [];
  const ignored = Object.entries(D.about.ignored);
  if (ignored.length) out.push(`Not shown, of kinds this viewer does not know: ${ignored.map(([k, n]) => `${n} ${k}`).join(', ')}.`);
  if (D.about.truncated) out.push('The last line of the trace is cut off.');
  if (!D.simulated) out.push('A node sees only its own side: frames are stubs, without the time of sending or of arrival at the other end.');
  return out.join(' ');
}
