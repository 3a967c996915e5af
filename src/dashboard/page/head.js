// The head of the page: the first line, the red banner of a split, the banner of a lost node, and whose view it is.

import { silence } from "./clock.js";
import { el, icon, nameList, redraw, say } from "./dom.js";
import { names, span, webAddress } from "./format.js";
import { split, title, verdict } from "./verdict.js";

const id = (name) => document.getElementById(name);

/** Other members' dashboards, as links; what is not an address of the web is left out. */
function elsewhere(mesh) {
  const others = (mesh?.dashboards ?? []).filter((d) => d.node !== mesh.view.node && webAddress(d.url));
  return others.map((d) => el("a", { href: webAddress(d.url), rel: "noreferrer", "data-dashboard": d.node }, d.node));
}

function showVerdict(parts, connection) {
  const said = verdict(parts, connection);
  const line = id("verdict");
  line.dataset.word = said.key;
  line.dataset.severity = said.severity;
  redraw(id("verdict-icon"), said.severity, () => icon(said.severity));
  say(id("verdict-word"), said.word);
  redraw(id("verdict-evidence"), said.evidence, () => said.evidence.map((text) => el("li", {}, text)));
  document.title = title(parts, connection);
}

function side({ here, label, nodes }, at) {
  return el("li", { class: "side", "data-side": at, "data-here": String(here) },
    el("span", { class: "label" }, `${label} (${nodes.length}): `), nameList(nodes));
}

function showSplit(parts, connection) {
  const cut = split(parts, connection);
  id("split-banner").hidden = cut === null;
  say(id("split-title"), cut ? cut.title : "");
  redraw(id("split-sides"), cut?.sides ?? [], () => (cut?.sides ?? []).map(side));
}

function showLost(parts, connection) {
  const lost = connection.state === "lost";
  const node = parts.mesh?.view.node ?? "the node";
  id("lost-banner").hidden = !lost;
  id("stale").hidden = !lost || !parts.mesh;
  if (!lost) return;
  say(id("lost-title"), `This page has lost ${node}`);
  say(id("lost-why"), `${connection.why}.`);
  const others = elsewhere(parts.mesh);
  redraw(id("lost-others"), [connection.login, others.map((a) => a.href)], () => [
    connection.login ? el("a", { href: "login" }, "Log in") : "",
    ...(others.length ? ["Look from another node: ", ...others.flatMap((a) => [a, " "])] : []),
  ]);
}

function showView(parts, connection) {
  const mesh = parts.mesh;
  document.body.dataset.connection = connection.state;
  say(id("connection"), connection.state);
  if (!mesh) return;
  say(id("cluster"), mesh.view.cluster);
  say(id("view-node"), mesh.view.node);
  say(id("version"), `sessionmesh ${mesh.version} on ${mesh.view.node}, life ${mesh.view.origin.slice(0, 8)}`);
  const others = elsewhere(mesh);
  id("view-menu").hidden = others.length === 0;
  redraw(id("view-list"), others.map((a) => a.href), () => others.map((a) => el("li", {}, a)));
}

/** Shows what the node said last, or that it says nothing more. */
export function showHead(parts, connection) {
  showVerdict(parts, connection);
  showSplit(parts, connection);
  showLost(parts, connection);
  showView(parts, connection);
}

/** What changes by itself: ages and the time to the next attempt. */
export function tickHead(parts, connection) {
  const quiet = silence();
  say(id("view-age"), quiet === null ? "" : `${span(quiet)} old`);
  if (connection.state !== "lost") return;
  const wait = connection.retry_at === null ? null : Math.max(0, connection.retry_at - performance.now());
  const when = wait === null ? "calling it now" : `next attempt in ${Math.ceil(wait / 1_000)} s`;
  say(id("lost-retry"), `Attempt ${connection.attempt} failed, ${when}.`);
  if (parts.mesh) {
    const dead = names(parts.members?.members.filter((m) => m.state === "dead").map((m) => m.node) ?? []);
    say(id("stale"), `All below is what ${parts.mesh.view.node} said ${span(quiet)} ago`
      + (dead ? `, when it called ${dead} dead.` : "."));
  }
}
