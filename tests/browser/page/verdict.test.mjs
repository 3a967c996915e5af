// The first line and the banner, from what the contract's examples say.

import assert from "node:assert/strict";
import { test } from "node:test";

import { schema, example } from "./contract.mjs";
import { shape, split, title, verdict } from "../../../src/dashboard/page/verdict.js";

const LIVE = { state: "live" };
const LOST = { state: "lost", why: "the node does not answer" };
const cut = () => ({ mesh: example("/api/v1/mesh"), partitions: example("/api/v1/partitions") });

test("a split is named with its shape and its evidence", () => {
  const said = verdict(cut(), LIVE);
  assert.equal(said.word, "split 2|3");
  assert.equal(said.key, "split");
  assert.equal(said.severity, "critical");
  assert.deepEqual(said.evidence, cut().mesh.evidence);
});

test("the banner names the nodes of each side, this node's first", () => {
  const { title: told, sides } = split(cut(), LIVE);
  assert.match(told, /is split 2\|3, as a sees it/);
  assert.deepEqual(sides.map((s) => [s.here, s.nodes.join()]), [[true, "a,b"], [false, "c,d,e"]]);
});

test("a shape that gossip has not carried yet is not shown", () => {
  const parts = cut();
  const [here, silent] = parts.partitions.islands;
  parts.partitions.islands = [{ ...here, nodes: ["a"] }, { ...here, nodes: ["b"], this_side: false, state: "unknown", alive_set: null }, silent];
  assert.equal(verdict(parts, LIVE).word, "split (sides not known yet)");
  const { title: told, sides } = split(parts, LIVE);
  assert.match(told, /is split \(sides not known yet\), as a sees it/);
  assert.deepEqual(sides.map((s) => [s.label, s.nodes.length]),
    [["this side", 1], ["answers, side not known yet", 1], ["silent", 3]]);
});

test("every other word of the contract is shown as it is, without a banner", () => {
  for (const word of schema("Mesh").properties.word.enum.filter((w) => w !== "split")) {
    const parts = cut();
    parts.mesh.word = word;
    assert.equal(verdict(parts, LIVE).word, word);
    assert.equal(split(parts, LIVE), null, word);
  }
});

test("islands alone make no banner: one silent member may have crashed", () => {
  const parts = cut();
  parts.mesh.word = "degraded";
  assert.equal(parts.partitions.split, true);
  assert.equal(split(parts, LIVE), null);
});

test("a lost node's last word is not passed off as the present", () => {
  const said = verdict(cut(), LOST);
  assert.equal(said.word, "lost a");
  assert.equal(said.severity, "critical");
  assert.match(said.evidence.join(), /last word was "split 2\|3"/);
  assert.match(split(cut(), LOST).title, /was split 2\|3 when a was last heard/);
});

test("before the first message nothing is claimed", () => {
  assert.equal(verdict({}, { state: "connecting" }).word, "connecting");
  assert.equal(verdict({}, LOST).word, "no answer");
  assert.equal(split({}, LIVE), null);
});

test("a severity this page does not know is not shown as fine", () => {
  const parts = cut();
  parts.mesh.severity = "dire";
  assert.equal(verdict(parts, LIVE).severity, "warning");
});

test("the tab's title begins with the word", () => {
  assert.equal(title(cut(), LIVE), "!! split 2|3 · shop · sessionmesh");
  assert.equal(shape(cut().partitions), "2|3");
});
