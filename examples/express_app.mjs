// A small shop whose sessions live in a sessionmesh agent: Express and the built-in fetch.
//
//     sessionmesh agent &
//     npm install express
//     node examples/express_app.mjs        # SESSIONMESH_URL, default http://127.0.0.1:8080; PORT, default 8000
//
//     curl -c jar -d user=ada localhost:8000/login
//     curl -b jar -d sku=tea -d count=2 localhost:8000/cart
//     curl -b jar localhost:8000/cart
//     curl -c jar -b jar -X POST localhost:8000/rotate
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

/** Asks the agent; gives status and JSON. The ticket goes in a header: URLs end up in logs. */
async function agent(method, path, ticket, body) {
  const headers = { "content-type": "application/json" };
  if (ticket) headers["session-ticket"] = ticket;
  if (TOKEN) headers.authorization = `Bearer ${TOKEN}`;
  const asked = fetch(AGENT + path, {
    method,
    headers,
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const answer = await asked.catch(() => unavailable("the agent does not answer"));
  return { status: answer.status, body: await answer.json() };
}

function unavailable(why) {
  throw Object.assign(new Error(why), { status: 503 });
}

/** The visitor's ticket, or undefined: a cookie may hold anything. */
function ticketOf(request) {
  const cookies = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  const cookie = cookies.find(([name]) => name === COOKIE)?.[1] ?? "";
  return /^[0-9a-f]{64}$/.test(cookie) ? cookie : undefined;
}

/** Gives the browser the ticket it is to hold from now on. */
function keep(request, response, made) {
  return response.cookie(COOKIE, made.ticket, { httpOnly: true, sameSite: "lax", secure: request.secure });
}

/** The visitor's fields, or undefined for a stranger, whose cookie may be stale or made up. */
async function session(request) {
  const ticket = ticketOf(request);
  if (!ticket) return undefined;
  const { status, body } = await agent("GET", "/v1/session", ticket);
  // The agent cannot know yet. Answering "logged out" would be a lie: let the load balancer try another host.
  if (status === 503) unavailable(body.detail);
  return status === 200 ? body.fields : undefined;
}

app.post("/login", async (request, response) => {
  // A log-in begins a new session: a ticket planted in the browser before must not become a logged-in one. What the
  // visitor had in his cart comes along. The old ticket goes on for ten seconds, should this answer never arrive.
  const { user } = request.body;
  const { status, body } = await agent("POST", "/v1/session/login", ticketOf(request), {
    principal: user,
    set: { user },
    expiry: { sliding_ms: IDLE_MS },
    at_most_ms: LONGEST_MS,
  });
  if (status !== 200) unavailable(body.detail);
  keep(request, response, body).json({ user, carried: body.carried });
});

// A new ticket for the same session: whenever the user gains rights without logging in.
app.post("/rotate", async (request, response) => {
  if (!(await session(request))) return response.status(401).json({ error: "log in first" });
  const { status, body } = await agent("POST", "/v1/session/rotate", ticketOf(request));
  if (status !== 200) return response.status(status).json({ error: body.detail });
  keep(request, response, body).json({ rotated: true });
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
  const { status, body } = await agent("PATCH", "/v1/session", ticketOf(request), change);
  if (status !== 200) return response.status(status).json({ error: body.detail });
  response.json({ replicated: body.replicated });
});

app.post("/logout", async (request, response) => {
  // 200: it has ended, with all that its log-ins made. 404: nobody has it. Anything else is no logout: it may go on
  // elsewhere, and whoever has a copy of the cookie with it. That is told, and the cookie stays, to be tried again.
  const ticket = ticketOf(request);
  if (ticket) {
    const { status, body } = await agent("DELETE", "/v1/session", ticket);
    if (status !== 200 && status !== 404) unavailable(`you may still be logged in, try again: ${body.detail}`);
  }
  response.clearCookie(COOKIE).json({ bye: true });
});

app.use((error, _request, response, _next) => {
  response.status(error.status ?? 500).json({ error: error.message });
});

const server = app.listen(Number(process.env.PORT ?? 8000), "127.0.0.1", () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
