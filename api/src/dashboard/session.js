// The visitor's log-in, and the one place from which the API is called.

const KEPT = "tokenfleet.tokens";
const PATIENCE_MS = 15_000;

/** There is no log-in, or it is over; the message is for the visitor. */
export class LoggedOut extends Error {}

/** No answer that says anything about the question: it is worth asking again, after `pause` ms. */
export class NoAnswer extends Error {
  constructor(message, pause = 0) {
    super(message);
    this.pause = pause;
  }
}

/** The API understood and says no. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let tokens = JSON.parse(sessionStorage.getItem(KEPT));
let renewal = null;

// A tab that is duplicated takes the refresh token along. Whichever of the two spends it tells
// the other, for a second use would end the log-in of both.
const tabs = new BroadcastChannel(KEPT);
tabs.onmessage = ({ data }) => {
  if (tokens?.refresh && tokens.refresh === data.spent) keep(data.tokens);
};

function keep(fresh) {
  tokens = fresh;
  if (fresh) sessionStorage.setItem(KEPT, JSON.stringify(fresh));
  else sessionStorage.removeItem(KEPT);
}

export const isLoggedIn = () => tokens !== null;

export async function logIn(email, password) {
  const pair = await read(await send("POST /auth/login", null, { body: { email, password } }));
  keep({ access: pair.access_token, refresh: pair.refresh_token });
}

/** Takes an admin or service token, which is tried by the first call. */
export function useToken(token) {
  if (!/^[!-~]+$/.test(token)) throw new Refused("This is not a token.");
  keep({ access: token, refresh: null });
}

/** Forgets the tokens at once; that the server hears of it is a wish. */
export function logOut() {
  const refresh = tokens?.refresh;
  keep(null);
  if (refresh) send("POST /api/auth/logout", null, { body: { refresh_token: refresh } }).catch(() => {});
}

/**
 * Calls an address as the API's table writes it, such as "GET /api/v1/tenants/{tenant}", with
 * `values` in place of the braces. A 401 costs one refresh for all calls that wait for it; then
 * each is made once more.
 */
export async function call(address, options = {}) {
  const used = tokens?.access;
  if (!used) throw new LoggedOut("");
  let response = await send(address, used, options);
  if (response.status === 401) {
    await renewed(used);
    if (!tokens) throw new LoggedOut("");
    response = await send(address, tokens.access, options);
  }
  if (response.status === 401) throw ended("Your log-in has ended. Log in again.");
  return read(response);
}

/** Resolves once there is another access token than the one that was refused. */
async function renewed(used) {
  if (!tokens) throw new LoggedOut("");
  if (tokens.access !== used) return;
  if (!tokens.refresh) throw ended("This token is not valid, or not any more.");
  renewal ??= renew(tokens.refresh).finally(() => { renewal = null; });
  await renewal;
}

async function renew(spent) {
  const response = await send("POST /api/auth/refresh", null, { body: { refresh_token: spent } });
  // The visitor may have logged out meanwhile, or another tab may have been faster.
  if (tokens?.refresh !== spent) return;
  if (response.status === 401) throw ended("Your log-in has ended. Log in again.");
  const pair = await read(response);
  keep({ access: pair.access_token, refresh: pair.refresh_token });
  tabs.postMessage({ spent, tokens });
}

function ended(message) {
  keep(null);
  return new LoggedOut(message);
}

async function send(address, access, { values = {}, query = {}, body, signal, patience = PATIENCE_MS }) {
  const [method, template] = address.split(" ");
  const path = template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name]));
  // Relative to the page, so that it also works behind a proxy that adds a prefix.
  const url = new URL(path.slice(1), document.baseURI);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const headers = {};
  if (access) headers.Authorization = `Bearer ${access}`;
  if (body) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(patience);
  const request = {
    method, headers, cache: "no-store", credentials: "omit", redirect: "error",
    body: body && JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  };
  try {
    return await fetch(url, request);
  } catch {
    throw new NoAnswer("The server does not answer.");
  }
}

async function read(response) {
  const body = response.status === 204 ? null : await response.json().catch(() => undefined);
  if (response.ok && body !== undefined) return body;
  const fields = (body?.errors ?? []).map((error) => `${error.field} ${error.message}.`);
  const said = [body?.detail ?? `The server answered ${response.status}.`, ...fields].join(" ");
  if (response.ok || response.status >= 500 || response.status === 429) {
    throw new NoAnswer(said, 1000 * (Number(response.headers.get("Retry-After")) || 0));
  }
  throw new Refused(said, response.status);
}
