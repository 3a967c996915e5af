"""A small shop whose sessions live in a sessionmesh agent: Flask and the standard library's HTTP client.

    sessionmesh agent &
    pip install flask
    python3 examples/flask_app.py                 # SESSIONMESH_URL, default http://127.0.0.1:8080; PORT, default 8000

    curl -c jar -d user=ada localhost:8000/login
    curl -b jar -d sku=tea -d count=2 localhost:8000/cart
    curl -b jar localhost:8000/cart
    curl -c jar -b jar -X POST localhost:8000/rotate
    curl -b jar -X POST localhost:8000/logout

Run it on several hosts, each with an agent of one mesh, behind any load balancer: no stickiness is needed. Passwords
and CSRF tokens are left out; a real shop has both.
"""

import json
import os
import re
import urllib.error
import urllib.request

from flask import Flask, jsonify, make_response, request
from werkzeug.serving import make_server

AGENT = os.environ.get("SESSIONMESH_URL", "http://127.0.0.1:8080")
TOKEN = os.environ.get("SESSIONMESH_HTTP_TOKEN")
COOKIE = "sid"
TICKET = re.compile("[0-9a-f]{64}")
IDLE_MS = 30 * 60 * 1000
LONGEST_MS = 24 * 60 * 60 * 1000
# An agent waits at most 100 ms for a second copy; much longer means that it is gone.
PATIENCE_S = 5

app = Flask(__name__)


def agent(method, path, ticket=None, body=None):
    """Asks the agent; gives status and JSON. The ticket goes in a header: URLs end up in logs."""
    headers = {"Content-Type": "application/json"}
    if ticket:
        headers["Session-Ticket"] = ticket
    if TOKEN:
        headers["Authorization"] = f"Bearer {TOKEN}"
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(AGENT + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)
    except OSError as gone:
        raise Unavailable("the agent does not answer") from gone


def ticket():
    """The visitor's ticket, or None: a cookie may hold anything."""
    cookie = request.cookies.get(COOKIE, "")
    return cookie if TICKET.fullmatch(cookie) else None


def keep(response, made):
    """Gives the browser the ticket it is to hold from now on."""
    response.set_cookie(COOKIE, made["ticket"], httponly=True, samesite="Lax", secure=request.is_secure)
    return response


def session():
    """The visitor's session: its fields, or None for a stranger, whose cookie may be stale or made up."""
    if not ticket():
        return None
    status, answer = agent("GET", "/v1/session", ticket())
    if status == 503:
        # The agent cannot know yet. Answering "logged out" would be a lie: let the load balancer try another host.
        raise Unavailable(answer["detail"])
    return answer["fields"] if status == 200 else None


class Unavailable(Exception):
    """The agent cannot answer for this session now."""


@app.errorhandler(Unavailable)
def unavailable(error):
    return jsonify(error=str(error)), 503


@app.post("/login")
def login():
    # A log-in begins a new session: a ticket planted in the browser before must not become a logged-in one. What the
    # visitor had in his cart comes along. The old ticket goes on for ten seconds, should this answer never arrive.
    user = request.form["user"]
    wanted = {
        "principal": user,
        "set": {"user": user},
        "expiry": {"sliding_ms": IDLE_MS},
        "at_most_ms": LONGEST_MS,
    }
    status, made = agent("POST", "/v1/session/login", ticket(), wanted)
    if status != 200:
        raise Unavailable(made["detail"])
    return keep(make_response(jsonify(user=user, carried=made["carried"])), made)


@app.post("/rotate")
def rotate():
    """A new ticket for the same session: whenever the user gains rights without logging in."""
    if session() is None:
        return jsonify(error="log in first"), 401
    status, made = agent("POST", "/v1/session/rotate", ticket())
    if status != 200:
        return jsonify(error=made["detail"]), status
    return keep(make_response(jsonify(rotated=True)), made)


@app.get("/cart")
def show_cart():
    fields = session()
    if fields is None:
        return jsonify(error="log in first"), 401
    # One field an article: two requests on two hosts that change different articles both survive.
    cart = {key[5:]: count for key, count in fields.items() if key.startswith("cart:")}
    return jsonify(user=fields["user"], cart=cart)


@app.post("/cart")
def put_in_cart():
    if session() is None:
        return jsonify(error="log in first"), 401
    count = int(request.form.get("count", 1))
    key = "cart:" + request.form["sku"]
    change = {"set": {key: count}} if count > 0 else {"remove": [key]}
    status, answer = agent("PATCH", "/v1/session", ticket(), change)
    if status != 200:
        return jsonify(error=answer["detail"]), status
    return jsonify(replicated=answer["replicated"])


@app.post("/logout")
def logout():
    # 200: it has ended, with all that its log-ins made. 404: nobody has it. Anything else is no logout: it may go on
    # elsewhere, and whoever has a copy of the cookie with it. That is told, and the cookie stays, to be tried again.
    if ticket():
        status, answer = agent("DELETE", "/v1/session", ticket())
        if status not in (200, 404):
            raise Unavailable("you may still be logged in, try again: " + answer["detail"])
    response = make_response(jsonify(bye=True))
    response.delete_cookie(COOKIE)
    return response


if __name__ == "__main__":
    server = make_server("127.0.0.1", int(os.environ.get("PORT", "8000")), app, threaded=True)
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
