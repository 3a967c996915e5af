// The stream of what changes: one request that stays open, read by hand so that refusals can be told from a lost node.
// A node that says nothing for three seconds is lost, and is called again, after longer and longer pauses.

/** Silence that means that the node, or the way to it, is lost (ms): three beats. */
export const SILENCE_MS = 3_000;

/** The pause before attempt `attempt` (from 1), with chance in [0, 1) so that many pages do not call in step (ms). */
export function pause(attempt, chance) {
  const base = Math.min(1_000 * 2 ** (attempt - 1), 15_000);
  return Math.round(base * (0.75 + chance / 2));
}

/** Cuts text into server-sent events as it arrives: fields `event` and `data`, comments left out. Pure. */
export class SseParser {
  #rest = "";

  /** Takes what has arrived; returns the events that are complete. */
  push(text) {
    const all = this.#rest + text;
    // A carriage return at the end may be half of a line's end.
    const half = all.endsWith("\r") ? 1 : 0;
    const blocks = all.slice(0, all.length - half).replace(/\r\n?/g, "\n").split("\n\n");
    this.#rest = blocks.pop() + all.slice(all.length - half);
    return blocks.map(SseParser.#block).filter((event) => event.data !== null);
  }

  static #block(block) {
    const event = { kind: "message", data: null };
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon <= 0) continue;
      const value = line.slice(colon + 1).replace(/^ /, "");
      const name = line.slice(0, colon);
      if (name === "event") event.kind = value;
      if (name === "data") event.data = event.data === null ? value : `${event.data}\n${value}`;
    }
    return event;
  }
}

/** Why a refused stream is refused, in a sentence; and whether a token is what is missing. */
async function refusal(response) {
  let said = null;
  try {
    said = (await response.json()).error;
  } catch {
    // no JSON: something between us and the node answered
  }
  const why = said ?? `the stream was answered with ${response.status}`;
  return Object.assign(new Error(why), { login: response.status === 401 });
}

/** Reads one stream until it ends, fails or falls silent; always throws. */
async function read(url, signal, onMessage, abort) {
  let watchdog = 0;
  let silent = false;
  const listen = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => {
      silent = true;
      abort();
    }, SILENCE_MS);
  };
  try {
    listen();
    const response = await fetch(url, { signal, headers: { accept: "text/event-stream" }, cache: "no-store" });
    if (!response.ok) throw await refusal(response);
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the node ended the stream");
      listen();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        onMessage(event.kind, JSON.parse(event.data));
      }
    }
  } catch (error) {
    if (silent) throw new Error(`nothing was heard for ${SILENCE_MS / 1_000} s`);
    throw error.name === "TypeError" ? new Error("the node does not answer") : error;
  } finally {
    clearTimeout(watchdog);
  }
}

/**
 * Follows the stream for as long as the page lives.
 * @param {string} url
 * @param {{message: (kind: string, data: object) => void, change: (connection: object) => void}} to `connection` is
 *   `{state, why, attempt, retry_at, login}`; `retry_at` by `performance.now()`
 * @returns {{retryNow: () => void}}
 */
export function follow(url, to) {
  let wake = () => {};
  const sleep = (ms) => new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  const run = async () => {
    let attempt = 0;
    for (;;) {
      const abort = new AbortController();
      const message = (kind, data) => {
        attempt = 0;
        to.change({ state: "live" });
        to.message(kind, data);
      };
      let failed = null;
      try {
        await read(url, abort.signal, message, () => abort.abort());
      } catch (error) {
        failed = error;
      }
      abort.abort();
      attempt += 1;
      const ms = pause(attempt, Math.random());
      const retry_at = performance.now() + ms;
      to.change({ state: "lost", why: failed.message, login: failed.login === true, attempt, retry_at });
      await sleep(ms);
      to.change({ state: "lost", why: failed.message, login: failed.login === true, attempt, retry_at: null });
    }
  };
  run();
  return { retryNow: () => wake() };
}
