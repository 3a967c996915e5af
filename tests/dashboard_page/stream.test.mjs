// Reading server-sent events as they arrive, and how often a lost node is called.

import assert from "node:assert/strict";
import { test } from "node:test";

import { pause, SseParser } from "../../src/dashboard/page/stream.js";

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
