// Draws the mesh: a circle per node, a line per pair. Everything shown is set as text, never as markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const CENTRE_Y = 125;

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function places(nodes) {
  const turn = (at) => -Math.PI / 2 + (2 * Math.PI * at) / nodes.length;
  return nodes.map((_, at) => ({ x: 150 + 105 * Math.cos(turn(at)), y: CENTRE_Y + 82 * Math.sin(turn(at)) }));
}

function caption(node) {
  if (node.state !== "ready") return node.state;
  return node.sessions === 1 ? "1 session" : `${node.sessions} sessions`;
}

function isUp(node) {
  return ["ready", "joining", "fenced"].includes(node.state);
}

// A link is what both ends say they have; a cut is what the drill drops; both may be true for a second.
function lineClass(one, other, isolated) {
  if (!isUp(one) || !isUp(other)) return "nolink";
  if (isolated !== null && (one.name === isolated) !== (other.name === isolated)) return "cut";
  return one.linked.includes(other.name) && other.linked.includes(one.name) ? "link" : "nolink";
}

function drawMesh(svg, survey, here) {
  const at = places(survey.nodes);
  const drawn = [];
  survey.nodes.forEach((one, i) => {
    survey.nodes.slice(i + 1).forEach((other, more) => {
      const [from, to] = [at[i], at[i + 1 + more]];
      const kind = lineClass(one, other, survey.isolated);
      drawn.push(shape("line", { class: kind, x1: from.x, y1: from.y, x2: to.x, y2: to.y }));
    });
  });
  survey.nodes.forEach((node, i) => {
    const kind = !isUp(node) ? "dead" : node.name === here ? "here" : node.state === "ready" ? "" : "late";
    drawn.push(shape("circle", { class: `dot ${kind}`, cx: at[i].x, cy: at[i].y, r: 20 }));
    drawn.push(shape("text", { class: `letter ${kind}`, x: at[i].x, y: at[i].y }, node.name));
    // Outside the ring of nodes, where no line crosses it.
    const y = at[i].y < CENTRE_Y - 1 ? at[i].y - 30 : at[i].y + 38;
    drawn.push(shape("text", { class: "count", x: at[i].x, y }, caption(node)));
  });
  svg.replaceChildren(...drawn);
}
