// Numbers, sizes, times and names as people read them. Pure: tested by tests/browser/page/.

const UNITS = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1_000, "s"]];

/** A length of time in its largest unit: "42 s", "3 min". Below a second: "0.4 s". */
export function span(ms) {
  const length = Math.abs(ms);
  if (length < 1_000) return `${(length / 1_000).toFixed(1)} s`;
  const [unit, name] = UNITS.find(([unit]) => length >= unit);
  return `${Math.floor(length / unit)} ${name}`;
}

/** A moment relative to now: "42 s ago", "in 3 min", "now". */
export function relative(at_ms, now_ms) {
  const age = now_ms - at_ms;
  if (Math.abs(age) < 1_000) return "now";
  return age > 0 ? `${span(age)} ago` : `in ${span(age)}`;
}

/** A count, short: 950, "1.2k", "3.4M". Rounded up where it is rounded, so that a lag is never told too small. */
export function short(count) {
  if (count < 1_000) return String(count);
  const [unit, name] = count < 1_000_000 ? [1_000, "k"] : count < 1e9 ? [1e6, "M"] : [1e9, "G"];
  const scaled = count / unit;
  return scaled < 10 ? `${(Math.ceil(scaled * 10) / 10).toFixed(1)}${name}` : `${Math.ceil(scaled)}${name}`;
}

/** A count with separators: "1,204". */
export const count = (n) => n.toLocaleString("en-US");

/** "1 write", "2 writes". */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A size in powers of 1024. */
export function bytes(n) {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let scaled = n;
  while (scaled >= 1_024 && at < names.length - 1) {
    scaled /= 1_024;
    at += 1;
  }
  return `${at === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${names[at]}`;
}

/** A rate of events. */
export const rate = (n) => `${n >= 100 ? Math.round(n) : n.toFixed(1)}/s`;

const pad = (n, width = 2) => String(n).padStart(width, "0");

/** A moment as the reader's wall clock has it; with its day unless that is today's. */
export function clockTime(at_ms, now_ms, millis = false) {
  const at = new Date(at_ms);
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const text = millis ? `${time}.${pad(at.getMilliseconds(), 3)}` : time;
  const same = at.toDateString() === new Date(now_ms).toDateString();
  return same ? text : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${text}`;
}

/** The whole moment, for a tooltip. */
export const iso = (at_ms) => new Date(at_ms).toISOString();

/** Who wrote something, where a life may have no name here. */
export const writer = (stamp) => stamp.node ?? `unknown life ${stamp.origin.slice(0, 8)}`;

/** "a, b and 3 more". */
export function names(list, most = 12) {
  if (list.length <= most) return list.join(", ");
  return `${list.slice(0, most).join(", ")} and ${list.length - most} more`;
}

/** An address only if a browser may follow it: what members publish is not ours. */
export function webAddress(url) {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol) ? url : null;
  } catch {
    return null;
  }
}
