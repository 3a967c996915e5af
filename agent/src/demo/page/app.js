// The page: the shop talks to the node that served it and to no other; the mesh is told by the demo's parent.
"use strict";

const config = JSON.parse(document.getElementById("config").textContent);
const ITEMS = ["lamp", "chair", "book"];
const POLL_MS = 1000;
const PATIENCE_MS = 4000;
const el = (id) => document.getElementById(id);
let survey = null;
let lastServed = null;
let user = null;

function make(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function button(text, onclick, title) {
  const made = make("button", text, title ? { title } : {});
  made.addEventListener("click", async () => {
    made.disabled = true;
    await onclick();
    made.disabled = false;
  });
  return made;
}

async function request(url, body, headers = {}) {
  const options = { headers, signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    options.headers = { ...headers, "content-type": "application/json" };
  }
  const answer = await fetch(url, options);
  return { status: answer.status, data: await answer.json().catch(() => ({})) };
}

async function control(path, body) {
  try {
    const { status, data } = await request(config.control + path, body, { "x-demo-token": config.token });
    if (status === 200) return data;
    told(data.error || `The demo answered ${status}.`);
  } catch {
    if (body !== undefined) told("The demo's parent process did not answer.");
  }
  return null;
}

function told(text) {
  el("told").textContent = text;
}

async function shop(path, body) {
  try {
    const { status, data } = await request(path, body);
    if (status === 503) told(`Node ${config.node} does not serve: ${data.error}. Go on at another.`);
    else if (status !== 200) told(data.error || `The node answered ${status}.`);
    else told(data.replicated === false ? "Done, on this node only so far." : "Done, and a second node has it.");
  } catch {
    told("");
  }
  await who();
}

async function who() {
  try {
    const { status, data } = await request("/api/me");
    if (status === 200) showUser(data);
    else el("who").textContent = `Node ${config.node} does not know yet: ${data.error || status}`;
    lastServed = Date.now();
    el("gone").hidden = true;
    document.body.classList.remove("gone");
  } catch {
    showGone();
  }
}

function showUser(me) {
  user = me.user ?? null;
  const inside = user !== null;
  el("who").textContent = `${inside ? `Logged in as ${user}` : "Not logged in"}. Node ${me.node} answered.`;
  el("login").hidden = inside;
  el("shop").hidden = !inside;
  const rows = Object.entries(me.items).map(([item, count]) => {
    const row = make("li", "");
    row.append(make("span", item), make("span", `× ${count}`));
    return row;
  });
  el("cart").replaceChildren(...(rows.length ? rows : [make("li", "The cart is empty.", { class: "quiet" })]));
}

function survivors() {
  return survey === null ? [] : survey.nodes.filter((node) => node.name !== config.node && isUp(node));
}

function showGone() {
  const seconds = lastServed === null ? 0 : Math.round((Date.now() - lastServed) / 1000);
  const box = el("gone");
  const others = survivors();
  const offer = user === null ? "Go on at:" : "You are still logged in at:";
  const text = `Node ${config.node} has not answered for ${seconds} s. ` +
    (others.length ? offer : "No other node answers either.");
  el("who").textContent = user === null ? "No answer." : `No answer. You were logged in as ${user}.`;
  told("");
  document.body.classList.add("gone");
  box.replaceChildren(make("span", text));
  others.forEach((node) => box.append(make("a", `node ${node.name}`, { href: node.url })));
  box.hidden = false;
}

function row(node) {
  const made = make("li", "");
  const name = make("span", "", { class: "name" });
  const here = node.name === config.node;
  name.append(here ? make("b", `node ${node.name} (here)`) : make("a", `node ${node.name}`, { href: node.url }));
  const sees = node.state === "ready" ? `, sees ${node.sees.join(" ") || "nobody"}` : "";
  name.append(make("span", ` ${node.state}${sees}`, { class: "quiet" }));
  made.append(name);
  const act = (verb) => async () => { await control(`/${verb}/${node.name}`, {}); await refresh(); };
  if (isUp(node)) {
    made.append(button("Kill", act("kill"), "SIGKILL: no goodbye, no flush"));
    if (survey.isolated !== node.name) made.append(button("Cut off", act("cut"), "Drops its packets to and from all others"));
  } else {
    made.append(button("Restart", act("restart"), "With empty memory"));
  }
  return made;
}

// Rows are rebuilt only when they would differ: a button must not vanish under a finger.
let shown = "";
async function refresh() {
  if (config.control === null) return;
  const news = await control("/state");
  if (news === null) {
    el("legend").textContent = "No news from the demo's parent process.";
    return;
  }
  survey = news;
  drawMesh(el("picture"), survey, config.node);
  el("legend").textContent = survey.isolated === null
    ? "Lines are links. Filled: the node that serves this page."
    : `Dashed red: cut. Node ${survey.isolated} and the others cannot hear each other; both sides go on.`;
  el("heal").hidden = survey.isolated === null;
  const key = JSON.stringify([survey.isolated, survey.nodes.map((n) => [n.name, n.state, n.sees])]);
  if (key === shown) return;
  shown = key;
  el("nodes").replaceChildren(...survey.nodes.map(row));
}

function begin() {
  el("node").textContent = config.node;
  document.title = `node ${config.node}: sessionmesh demo`;
  el("add").replaceChildren(...ITEMS.map((item) => button(`Add a ${item}`, () => shop("/cart", { item }))));
  el("login").addEventListener("submit", (event) => {
    event.preventDefault();
    shop("/login", { user: el("user").value });
  });
  el("logout").addEventListener("click", () => shop("/logout", {}));
  el("heal").addEventListener("click", async () => { await control("/heal", {}); await refresh(); });
  const loop = async () => {
    await Promise.all([refresh(), who()]);
    setTimeout(loop, POLL_MS);
  };
  loop();
}

begin();
