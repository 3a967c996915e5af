// Asks the node this page came from, and nobody else. All paths are relative to where the dashboard is mounted.

/** A refusal or a failure, with the status of the answer; 0: there was none. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * The JSON of `api/v1/<path>`.
 * @param {string} path
 * @param {Record<string, string|number|null|undefined>} query what is null is left out
 */
export async function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const tail = given.length ? `?${new URLSearchParams(given)}` : "";
  return answered(`${path}${tail}`, {});
}

/**
 * The JSON that `api/v1/<path>` answers to a body: for what no address may hold.
 * @param {string} path
 * @param {object} body
 */
export const post = (path, body) =>
  answered(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

async function answered(path, how) {
  let response;
  try {
    response = await fetch(`api/v1/${path}`, { cache: "no-store", ...how });
  } catch {
    throw new ApiError("the node does not answer", 0);
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    throw new ApiError(`the answer (${response.status}) is no JSON`, response.status);
  }
  if (!response.ok) throw new ApiError(body.error ?? `answered with ${response.status}`, response.status);
  return body;
}
