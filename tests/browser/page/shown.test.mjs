// What is shown of numbers, of lags, of copies side by side, of news and of names that others publish.

import assert from "node:assert/strict";
import { test } from "node:test";

import { example } from "./contract.mjs";
import { sideBySide } from "../../../src/dashboard/page/compare.js";
import { passes } from "../../../src/dashboard/page/events.js";
import { figures } from "../../../src/dashboard/page/figures.js";
import { bytes, names, relative, short, span, webAddress, writer } from "../../../src/dashboard/page/format.js";
import { chosen, level } from "../../../src/dashboard/page/lag.js";
import { accusations, HEIGHT, layout, WIDTH } from "../../../src/dashboard/page/layout.js";
import { News } from "../../../src/dashboard/page/news.js";
import { prefix } from "../../../src/dashboard/page/sessions.js";
import { valueText } from "../../../src/dashboard/page/stamps.js";

test("times, sizes and counts", () => {
  assert.deepEqual([400, 42_000, 119_999, 7_200_000, 9e7].map(span), ["0.4 s", "42 s", "1 min", "2 h", "1 d"]);
  assert.deepEqual([relative(0, 5_000), relative(5_000, 0), relative(0, 400)], ["5 s ago", "in 5 s", "now"]);
  assert.deepEqual([999, 1_001, 10_001, 2_500_000].map(short), ["999", "1.1k", "11k", "2.5M"]);
  assert.deepEqual([512, 2_621_440].map(bytes), ["512 B", "2.5 MiB"]);
  assert.equal(names(["a", "b", "c"], 2), "a, b and 1 more");
});

test("only addresses of the web become links", () => {
  assert.equal(webAddress("http://127.0.0.1:20001/dashboard/"), "http://127.0.0.1:20001/dashboard/");
  for (const url of ["javascript:alert(1)", "data:text/html,x", "//elsewhere", "", "file:///etc/passwd"]) {
    assert.equal(webAddress(url), null, url);
  }
});

test("a life without a name is told by its number", () => {
  assert.equal(writer({ node: null, origin: "5e7c9ab8d6f513314f6d8ba9c7e6041c" }), "unknown life 5e7c9ab8");
});

test("a hash may be typed as logs have it", () => {
  assert.deepEqual(["#1C9A", " 1c9a77e0 ", "", "xyz", "123456789"].map(prefix), ["1c9a", "1c9a77e0", "", null, null]);
});

test("a value that is not shown has no text, whatever else is there", () => {
  assert.equal(valueText({ bytes: 4, shown: false, hex: null, cut: false, json: "ada" }), null);
  assert.equal(valueText({ bytes: 4, shown: true, hex: null, cut: false, json: "ada" }), '"ada"');
  assert.equal(valueText({ bytes: 4, shown: true, hex: "c1", cut: true }), "0xc1 … cut");
});

test("figures ask for a second look at silent members and unreplicated writes", () => {
  const looked = figures(example("/api/v1/mesh")).filter(([, , , , look]) => look).map(([name]) => name);
  assert.deepEqual(looked, ["members", "unreplicated"]);
});

test("a small matrix is whole; a large one is reduced to what lags", () => {
  assert.equal(chosen(example("/api/v1/matrix")).rows.length, 5);
  assert.deepEqual([null, 0, 9, 10, 100, 1_000].map(level), ["unknown", 0, 1, 2, 3, 4]);
  const size = 40;
  const columns = Array.from({ length: size }, (_, n) => ({ node: `n${n}` }));
  const rows = columns.map((c) => ({ ...c, behind_writes: columns.map(() => 0) }));
  assert.deepEqual(chosen({ columns, rows }).rows, []);
  rows[7].behind_writes[3] = 5;
  rows[9].behind_writes[3] = null;
  const pick = chosen({ columns, rows });
  assert.deepEqual([pick.rows, pick.columns, pick.left_out], [[7, 9], [3], 0]);
  assert.deepEqual([chosen({ columns, rows }, 1).rows, chosen({ columns, rows }, 1).left_out], [[7], 1]);
});

test("everyone has a place of its own inside the picture", () => {
  const sizes = [[1], [5], [2, 3], [1, 1, 1, 1, 1], [64, 64]];
  for (const of of sizes) {
    const islands = of.map((n, i) => ({ nodes: Array.from({ length: n }, (_, k) => `${i}.${k}`), state: "here" }));
    const { places, hulls } = layout(islands);
    assert.equal(places.size, of.reduce((a, b) => a + b));
    assert.equal(hulls.length, of.length);
    assert.equal(new Set([...places.values()].map(({ x, y }) => `${x.toFixed(2)} ${y.toFixed(2)}`)).size, places.size);
    for (const { x, y } of places.values()) assert.ok(x >= 0 && x <= WIDTH && y >= 0 && y <= HEIGHT, `${of}: ${x} ${y}`);
  }
});

test("accusations of the same by the same are told once", () => {
  const [one, ...rest] = accusations(example("/api/v1/members").members);
  assert.deepEqual([one.accusers, one.accused, rest.length], [["a", "b"], ["c", "d", "e"], 0]);
});

test("the dead are told with their cause when nobody accuses them any more", () => {
  const members = example("/api/v1/members").members.map((m) => ({ ...m, accusers: [] }));
  assert.deepEqual(accusations(members).map((c) => [c.accusers, c.accused, c.state]), [[[], ["c", "d", "e"], "dead"]]);
});

test("copies side by side: what differs is marked by its version", () => {
  const { columns, rows } = sideBySide(example("/api/v1/sessions/{hash}"));
  assert.deepEqual(columns.map((c) => c.node), ["a", "b"]);
  assert.deepEqual(rows.map((r) => [r.name, ...r.cells.map((c) => c.mark)]),
    [["cart", "here", "same"], ["coupon", "here", "differs"], ["user", "here", "same"]]);
});

test("a field only one side has is absent on the other", () => {
  const detail = example("/api/v1/sessions/{hash}");
  detail.peers[0].session.fields.shift();
  detail.session.fields.pop();
  const { rows } = sideBySide(detail);
  assert.deepEqual(rows.map((r) => [r.name, ...r.cells.map((c) => c.mark)]),
    [["cart", "here", "absent"], ["coupon", "here", "differs"], ["user", "absent", "differs"]]);
});

test("news are kept once each, the newest of them", () => {
  const news = new News(3);
  news.add([{ seq: 2 }, { seq: 1 }]);
  news.add([{ seq: 2, again: true }, { seq: 3 }, { seq: 4 }]);
  assert.deepEqual(news.list().map((n) => n.seq), [4, 3, 2]);
  assert.equal(news.list()[2].again, true);
  assert.equal(news.oldest, 2);
});

test("events are filtered by kind and by a word of anything they say", () => {
  const [event] = example("/api/v1/events").events;
  assert.ok(passes(event, "", "") && passes(event, "split", "SILENT") && !passes(event, "healed", "") && !passes(event, "", "cheese"));
});
