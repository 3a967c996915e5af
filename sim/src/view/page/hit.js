// What lies under the pointer: a mark before a message, the nearest of each.

/** The message or item at (x, y), or nothing. */
function hit(x, y) {
  return hitMark(x, y) || hitMessage(x, y);
}

function hitMark(x, y) {
  let best = null;
  let nearest = 9;
  for (const it of marksInView()) {
    const away = Math.hypot(xOf(it.t) - x, yOf(it.node) - liftOf(it) - y) - (it.k === 'violation' ? 3 : 0);
    if (away < nearest) {
      nearest = away;
      best = it;
    }
  }
  if (y < G.top && y > 37) {
    for (const it of D.items) {
      const away = Math.abs(xOf(it.t) - x);
      if ((it.k === 'fault' || it.k === 'phase' || it.k === 'end' || it.k === 'violation') && away < nearest) {
        nearest = away;
        best = it;
      }
    }
  }
  return best ? { item: best } : null;
}

function hitMessage(x, y) {
  let best = -1;
  let nearest = 6;
  eachInView((m) => {
    for (const s of segments(m)) {
      const away = distance(x, y, ...s) + (dimmed(m) ? 3 : 0);
      if (away < nearest) {
        nearest = away;
        best = m;
      }
    }
  });
  return best < 0 ? null : { msg: best };
}

/** From a point to a stretch of a line. */
function distance(x, y, x0, y0, x1, y1) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const along = Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
}

/** What a band, a state or a strip at (x, y) means, for the tip. */
function regionWords(x, y) {
  if (x < G.left || x > G.w - G.right) return '';
  const t = tOf(x);
  const lane = Math.floor((y - G.top) / G.lane);
  if (lane >= 0 && lane < D.n) {
    if (Math.abs(y - yOf(lane)) <= G.bar / 2) {
      const state = stateAt(lane, t);
      return `${D.name(lane)} is ${state.as}${state.why ? `: ${state.why}` : ''}`;
    }
    if (y > yOf(lane) + G.bar / 2 && y < yOf(lane) + G.bar / 2 + 9) {
      const span = membersSeenBy(S.viewer)[lane].find((s) => s.a <= t && t < s.b);
      return `${D.name(S.viewer)} thinks ${D.name(lane)} ${span ? (span.alive ? 'alive' : 'dead') : 'unknown'}`;
    }
  }
  const span = CUTS.find((s) => s.a <= t && t < s.b);
  return span && y > 20 && y < 38 ? `cut ${span.label}` : '';
}
