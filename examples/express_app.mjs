// A small shop whose sessions live in a sessionmesh agent: Express and the built-in fetch.
//
//     sessionmesh agent &
//     npm install express
//     node examples/express_app.mjs        # SESSIONMESH_URL, default http://127.0.0.1:8080; PORT, default 8000
//
//     curl -c jar -d user=ada localhost:8000/login
//     curl -b jar -d sku=tea -d count=2 localhost:8000/cart
//     curl -b jar localhost:8000/cart
//     curl -b jar -X POST localhost:8000/logout
//
// The same routes, cookie and fields as flask_app.py: a visitor may meet either, request by request. Passwords and
// CSRF tokens are left out; a real shop has both.

import express from "express";

const AGENT = process.env.SESSIONMESH_URL ?? "http://127.0.0.1:8080";
const TOKEN = process.env.SESSIONMESH_HTTP_TOKEN;
const COOKIE = "sid";
const IDLE_MS = 30 * 60 * 1000;
const LONGEST_MS = 24 * 60 * 60 * 1000;
// An agent waits at most 100 ms for a second copy; much longer means that it is gone.
const PATIENCE_MS = 5000;

const app = express();
app.use(express.urlencoded({ extended: false }));

/** Asks the agent; gives status and JSON. The id goes in a header: URLs end up in logs. */
async function agent(method, path, sid, body) {
  const headers = { "content-type": "application/json" };
  if (sid) headers["session-id"] = sid;
  if (TOKEN) headers.authorization = `Bearer ${TOKEN}`;
  const answer = await fetch(AGENT + path, {
    method,
    headers,
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { status: answer.status, body: await answer.json() };
}

function sessionId(request) {
  const cookies = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  return cookies.find(([name]) => name === COOKIE)?.[1];
}

/** The visitor's fields, or undefined for a stranger, whose cookie may be stale or made up. */
async function session(request) {
  const sid = sessionId(request);
  if (!sid) return undefined;
  const { status, body } = await agent("GET", "/v1/session", sid);
  // The agent cannot know yet. Answering "logged out" would be a lie: let the load balancer try another host.
  if (status === 503) throw Object.assign(new Error(body.detail), { status });
  return status === 200 ? body.fields : undefined;
}

app.post("/login", async (request, response) => {
  const old = sessionId(request);
  // A new login gets a new id: one planted in the browser before must not become a logged-in one.
  if (old) await agent("DELETE", "/v1/session", old);
  const { status, body } = await agent("POST", "/v1/sessions", undefined, {
    expiry: { sliding_ms: IDLE_MS },
    at_most_ms: LONGEST_MS,
    fields: { user: request.body.user },
  });
  if (status !== 201) return response.status(503).json({ error: body.detail });
  response.cookie(COOKIE, body.id, { httpOnly: true, sameSite: "lax", secure: request.secure });
  response.json({ user: request.body.user });
});

app.get("/cart", async (request, response) => {
  const fields = await session(request);
  if (!fields) return response.status(401).json({ error: "log in first" });
  // One field an article: two requests on two hosts that change different articles both survive.
  const articles = Object.entries(fields).filter(([key]) => key.startsWith("cart:"));
  const cart = Object.fromEntries(articles.map(([key, count]) => [key.slice(5), count]));
  response.json({ user: fields.user, cart });
});

app.post("/cart", async (request, response) => {
  if (!(await session(request))) return response.status(401).json({ error: "log in first" });
  const count = Number(request.body.count ?? 1);
  const key = `cart:${request.body.sku}`;
  const change = count > 0 ? { set: { [key]: count } } : { remove: [key] };
  const { status, body } = await agent("PATCH", "/v1/session", sessionId(request), change);
  if (status !== 200) return response.status(status).json({ error: body.detail });
  response.json({ replicated: body.replicated });
});

app.post("/logout", async (request, response) => {
  const sid = sessionId(request);
  if (sid) await agent("DELETE", "/v1/session", sid);
  response.clearCookie(COOKIE).json({ bye: true });
});

app.use((error, _request, response, _next) => {
  response.status(error.status ?? 500).json({ error: error.message });
});

const server = app.listen(Number(process.env.PORT ?? 8000), "127.0.0.1", () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
