// Reading server-sent events as they arrive, and how often a lost node is called.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { follow, pause, SILENCE_MS, SseParser } from "../../../src/dashboard/page/stream.js";

const TEXT = 'event: full\ndata: {"n":1}\n\n: a comment\n\nevent: delta\r\ndata: {"n":\r\ndata: 2}\r\n\r\ndata: 3\n\n';
const WANTED = [{ kind: "full", data: '{"n":1}' }, { kind: "delta", data: '{"n":\n2}' }, { kind: "message", data: "3" }];

test("events are the same however the text is cut", () => {
  for (let size = 1; size <= TEXT.length; size += 1) {
    const parser = new SseParser();
    const found = [];
    for (let at = 0; at < TEXT.length; at += size) found.push(...parser.push(TEXT.slice(at, at + size)));
    assert.deepEqual(found, WANTED, `pieces of ${size}`);
  }
});

test("an event that is not complete is not told", () => {
  assert.deepEqual(new SseParser().push("data: 1\n"), []);
});

test("pauses grow to 15 s, and differ from page to page by a quarter", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 40].map((n) => pause(n, 0.5)), [1e3, 2e3, 4e3, 8e3, 15e3, 15e3, 15e3]);
  assert.equal(pause(1, 0), 750);
  assert.ok(pause(1, 0.999) < 1_251);
});

/** A node that answers each call with the next of `answers`, and what the page was told of it. */
function against(answers) {
  const [changes, messages] = [[], []];
  mock.method(globalThis, "fetch", async (_, { signal }) => answers.shift()(signal));
  mock.timers.enable({ apis: ["setTimeout"] });
  const stream = follow("api/v1/stream", {
    message: (kind, data) => messages.push([kind, data]),
    change: (to) => changes.push(to),
  });
  return { stream, changes, messages };
}

/** Lets everything run that waits for no timer. */
async function settle() {
  for (let n = 0; n < 20; n += 1) await turn();
}

/** A stream of one message that then stays open, or ends. */
const speaks = (ends) => (signal) => ({
  ok: true,
  body: new ReadableStream({
    start(to) {
      to.enqueue(new TextEncoder().encode('event: full\ndata: {"n":1}\n\n'));
      if (ends) to.close();
      else signal.addEventListener("abort", () => to.error(new DOMException("aborted", "AbortError")));
    },
  }),
});

const never = () => new Promise(() => {});

test("a node that says nothing for three seconds is lost, and called again after a pause", async (t) => {
  t.after(() => mock.reset());
  const { changes, messages } = against([speaks(false), speaks(false)]);
  await settle();
  assert.deepEqual(messages, [["full", { n: 1 }]]);
  mock.timers.tick(SILENCE_MS - 1);
  await settle();
  assert.equal(changes.at(-1).state, "live");
  mock.timers.tick(1);
  await settle();
  const { state, why, attempt } = changes.at(-1);
  assert.deepEqual([state, why, attempt], ["lost", "nothing was heard for 3 s", 1]);
  mock.timers.tick(1_250);
  await settle();
  assert.equal(changes.at(-1).state, "live");
  assert.equal(messages.length, 2);
});

test("every message puts the silence off", async (t) => {
  t.after(() => mock.reset());
  let to = null;
  const say = () => to.enqueue(new TextEncoder().encode('event: delta\ndata: {}\n\n'));
  const answer = (signal) => {
    signal.addEventListener("abort", () => to.error(new DOMException("aborted", "AbortError")));
    return { ok: true, body: new ReadableStream({ start: (controller) => { to = controller; } }) };
  };
  const { changes, messages } = against([answer, never]);
  await settle();
  for (let n = 1; n <= 5; n += 1) {
    say();
    await settle();
    mock.timers.tick(SILENCE_MS - 1);
    await settle();
    assert.deepEqual([changes.at(-1).state, messages.length], ["live", n]);
  }
});

test("an ended stream and a refusal are told apart, and a wish to try now is heard", async (t) => {
  t.after(() => mock.reset());
  const refused = () => ({ ok: false, status: 401, json: async () => ({ error: "a token is needed" }) });
  const { stream, changes } = against([speaks(true), refused, never]);
  await settle();
  assert.equal(changes.at(-1).why, "the node ended the stream");
  stream.retryNow();
  await settle();
  assert.deepEqual([changes.at(-1).why, changes.at(-1).login, changes.at(-1).attempt], ["a token is needed", true, 2]);
});
