// The page: follows the stream, keeps what the node said last, and hands each part that changed to the cards that show
// it. Nothing is drawn while nobody looks.

import { conflicts } from "./conflicts.js";
import { heard, tick } from "./clock.js";
import { events } from "./events.js";
import { showFigures } from "./figures.js";
import { graph } from "./graph.js";
import { showHead, tickHead } from "./head.js";
import { health } from "./health.js";
import { islands } from "./islands.js";
import { matrix } from "./matrix.js";
import { members } from "./members.js";
import { rates } from "./rates.js";
import { sessions } from "./sessions.js";
import { follow } from "./stream.js";
import { tombstones } from "./tombstones.js";

const card = (id) => document.getElementById(id);

/** What the node said last, part by part. */
const parts = {};
let connection = { state: "connecting" };
/** Parts that have changed since they were drawn. */
let stale = new Set();

const CARDS = [
  { needs: ["members", "partitions"], show: graph(card("graph")) },
  { needs: ["health"], show: health(card("health")) },
  { needs: ["members"], show: members(card("members")) },
  { needs: ["partitions", "divergence"], show: islands(card("islands")) },
  { needs: ["matrix"], show: matrix(card("lag")) },
  { needs: ["tombstones"], show: tombstones(card("tombstones")) },
];
const showRates = rates(card("rates"));
const log = events(card("events"));
const ring = conflicts(card("conflicts"));
const held = sessions(card("sessions"));

function draw() {
  if (document.hidden) return;
  showHead(parts, connection);
  if (stale.has("mesh")) {
    showFigures(parts.mesh);
    ring.permit(parts.mesh.permissions.values);
    held.permit(parts.mesh.permissions.values);
  }
  for (const { needs, show } of CARDS) if (needs.some((part) => stale.has(part))) show(parts);
  stale = new Set();
  beat();
}

function beat() {
  if (document.hidden) return;
  tickHead(parts, connection);
  tick();
}

function message(kind, data) {
  heard(data.view.at_ms);
  Object.assign(parts, data.parts);
  for (const name of Object.keys(data.parts)) stale.add(name);
  showRates(parts);
  draw();
  if (kind === "full") {
    log.begin();
    ring.begin();
    held.begin();
  } else {
    log.add(data.events);
    ring.add(data.conflicts);
  }
}

function change(to) {
  const same = connection.state === "live" && to.state === "live";
  connection = to;
  if (!same) draw();
}

const stream = follow("api/v1/stream", { message, change });
document.getElementById("lost-now").addEventListener("click", () => stream.retryNow());
document.addEventListener("visibilitychange", draw);
setInterval(beat, 1_000);
draw();
