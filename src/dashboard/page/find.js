// Finds sessions by what a user or a browser has of them: an id, a ticket, a cookie, or the user. It is sent in a body,
// asked for once, and kept nowhere: the field is emptied as soon as the node has it.

import { post } from "./api.js";
import { el } from "./dom.js";
import { plural } from "./format.js";

/**
 * The form.
 * @param {(rows: object[], said: string) => void} show what was found
 */
export function finder(show) {
  const kind = el("select", { id: "session-by", "aria-label": "What is known of the session" },
    el("option", { value: "id" }, "by id, ticket or cookie"), el("option", { value: "principal" }, "by user"));
  const input = el("input", { id: "session-known", type: "password", autocomplete: "off", spellcheck: "false", maxlength: 3000,
    "aria-label": "The id, ticket or cookie, or the user" });
  const find = el("button", { type: "submit", id: "session-find-known" }, "Find");
  const form = el("form", { class: "tools", role: "search" }, kind, input, find);
  kind.addEventListener("change", () => {
    // A user's name may be read over a shoulder; what opens a session may not.
    input.type = kind.value === "id" ? "password" : "text";
    input.value = "";
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const asked = { [kind.value]: input.value };
    input.value = "";
    try {
      const { hash, sessions, left_out } = await post("sessions/find", asked);
      const more = left_out ? `, and ${left_out} more` : "";
      show(sessions, hash && sessions.length === 0
        ? `Its hash is ${hash}; this node does not hold it.`
        : `${plural(sessions.length, "session")} found${more}.`);
    } catch (error) {
      show([], error.message);
    }
  });
  return form;
}
