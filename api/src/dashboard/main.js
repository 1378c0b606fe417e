// The page: who is logged in, which tenant is shown, and the beat at which it is asked for.

import { LoggedOut, NoAnswer, Refused, call, isLoggedIn, logIn, logOut, useToken } from "./session.js";
import { at, clock, draw, el, tellTime } from "./paint.js";
import { drawBreakers, drawForecast, drawGlance, drawJobs, drawProviders, drawQueues, drawTenants } from "./figures.js";
import { drawStuck, endingSoon } from "./stuck.js";
import { rights } from "./words.js";

const EVERY_MS = 5_000;
/** What changes slowly, or costs the server more, is asked for less often. */
const SELDOM_MS = 15_000;
const STUCK = 50;
const DAYS = 7;

const OF_TENANT = {
  statistics: ["GET /api/v1/tenants/{tenant}/refresh/statistics"],
  freshness: ["GET /api/v1/tenants/{tenant}/stats/freshness", {}, SELDOM_MS],
  forecast: ["GET /api/v1/tenants/{tenant}/stats/forecast", { days: DAYS }, SELDOM_MS],
  jobs: ["GET /api/v1/tenants/{tenant}/jobs/status"],
  reauth: ["GET /api/v1/tenants/{tenant}/channels", { state: "needs_reauth", limit: STUCK }],
  errors: ["GET /api/v1/tenants/{tenant}/channels", { state: "error", limit: STUCK }],
};
const OF_ALL_TENANTS = {
  statistics: ["GET /api/v1/refresh/statistics"],
  freshness: ["GET /api/v1/stats/freshness", {}, SELDOM_MS],
  forecast: ["GET /api/v1/stats/forecast", { days: DAYS }, SELDOM_MS],
  jobs: ["GET /api/v1/jobs/status"],
  reauth: ["GET /api/v1/channels", { state: "needs_reauth", limit: STUCK }],
  errors: ["GET /api/v1/channels", { state: "error", limit: STUCK }],
};
const OF_PLATFORM = {
  breakers: ["GET /api/v1/breakers"],
  queues: ["GET /api/v1/queues"],
  tenants: ["GET /api/v1/tenants", { limit: 200 }, SELDOM_MS],
};
/** The parts of the page, and whose answers they show. */
const PARTS = {
  figures: ["statistics", "freshness", "jobs"],
  stuck: ["reauth", "errors"],
  bars: ["forecast"],
  ending: ["forecast"],
  jobs: ["jobs", "statistics", "freshness"],
  providers: ["freshness"],
  breakers: ["breakers"],
  queues: ["queues"],
  tenants: ["freshness"],
};
const NAME = document.title;

let me = null;
/** The tenant that is shown; null for all of them. */
let tenant = null;
/** By source: what it answered last and when, and why it does not answer now. */
let heard = new Map();
/** Ends the calls for a tenant that is not shown any more. */
let scope = new AbortController();
let timer = 0;
let beats = 0;
let answeredAt = null;

/** Asks, draws, and asks again after a while; one at a time, and only while somebody looks. */
async function beat() {
  clearTimeout(timer);
  const mine = ++beats;
  if (document.hidden || !isLoggedIn()) return;
  let pause = EVERY_MS;
  try {
    if (!me) await enter();
    pause = Math.max(pause, await ask());
  } catch (error) {
    if (error instanceof LoggedOut) return showDoor(error.message);
    // A fault of the page itself must not stop it in silence either.
    if (!(error instanceof NoAnswer)) console.error(error);
    pause = Math.max(pause, error.pause ?? 0);
    tell(error.message);
  }
  if (mine === beats) timer = setTimeout(beat, pause);
}

async function enter() {
  me = await call("GET /api/v1/me");
  at("door").hidden = true;
  at("visitor").hidden = at("fleet").hidden = false;
  at("who").textContent = me.correo ?? me.nombre;
  at("picker").hidden = !me.platform_admin;
  choose();
}

/** Takes the tenant from the address of the page, so that it can be sent to a colleague. */
function choose() {
  const named = new URLSearchParams(location.hash.slice(1)).get("tenant");
  tenant = me.platform_admin ? named || null : me.tenant_id;
  scope.abort();
  scope = new AbortController();
  heard = new Map();
  at("stuck").replaceChildren();
  at("whose").textContent = tenant ? `Tenant ${tenant}` : "All tenants";
  at("platform").hidden = !me.platform_admin;
  at("tenants-part").hidden = tenant !== null;
  paint();
}

/** Calls every source that is due; how long to pause at least. */
async function ask() {
  const { signal } = scope;
  const now = Date.now();
  const sources = { ...(tenant ? OF_TENANT : OF_ALL_TENANTS), ...(me.platform_admin ? OF_PLATFORM : {}) };
  const due = Object.entries(sources).filter(([name]) => (heard.get(name)?.next ?? 0) <= now);
  const pauses = due.map(async ([name, [address, query, every = 0]]) => {
    const before = heard.get(name);
    try {
      const data = await call(address, { values: { tenant }, query, signal });
      if (!signal.aborted) heard.set(name, { data, next: now + every });
    } catch (error) {
      if (signal.aborted) return 0;
      if (error instanceof Refused) heard.set(name, { refused: error, next: now + every });
      else if (error instanceof NoAnswer) heard.set(name, { ...before, next: 0, failed: error.message });
      else throw error;
      return error.pause ?? 0;
    }
    return 0;
  });
  const longest = Math.max(0, ...(await Promise.all(pauses)));
  if (!signal.aborted) {
    paint();
    tellHow(due.map(([name]) => heard.get(name)));
  }
  return longest;
}

function paint() {
  const data = (name) => heard.get(name)?.data;
  const statistics = data("statistics")?.statistics;
  const freshness = data("freshness");
  drawGlance(statistics, freshness, data("jobs"));
  drawJobs(data("jobs"), statistics, freshness);
  drawProviders(freshness);
  drawForecast(data("forecast")?.calls);
  const { total, items } = data("forecast")?.need_person ?? {};
  draw(at("ending"), [tenant, total, items], () => (items ? endingSoon({ total, items }, !tenant, rights(me), leave) : "–"));
  paintStuck(data("reauth"), data("errors"), statistics?.by_state);
  if (me.platform_admin) {
    drawBreakers(data("breakers"));
    drawQueues(data("queues"));
    drawTenants(freshness);
    paintPicker(data("tenants"));
  }
  paintEmpty(statistics?.total_channels ?? freshness?.all.channels);
  for (const [part, names] of Object.entries(PARTS)) {
    at(part).classList.toggle("old", names.some((name) => heard.get(name)?.failed));
  }
  tellTime();
}

function paintStuck(reauth, errors, states) {
  const channels = [...(errors?.items ?? []), ...(reauth?.items ?? [])];
  const total = states && states.needs_reauth + states.error;
  drawStuck({ channels, total, several: !tenant }, rights(me), leave);
  document.title = total > 0 ? `(${total}) ${NAME}` : NAME;
}

function paintPicker(tenants) {
  const ids = (tenants?.items ?? []).map(({ id, name }) => [id, name === id ? id : `${name} (${id})`]);
  if (tenant && !ids.some(([id]) => id === tenant)) ids.unshift([tenant, tenant]);
  draw(at("tenant"), [ids, tenants?.next_cursor], () => [
    el("option", { value: "" }, "All tenants"),
    ...ids.map(([id, label]) => el("option", { value: id }, label)),
    ...(tenants?.next_cursor ? [el("option", { disabled: true }, "Others: write #tenant=… into the address")] : []),
  ]);
  at("tenant").value = tenant ?? "";
}

function paintEmpty(channels) {
  at("empty").hidden = channels !== 0;
  for (const part of ["stuck", "next", "jobs"]) at(`${part}-title`).parentElement.hidden = channels === 0;
  if (channels !== 0) return;
  const base = new URL("api/v1", document.baseURI);
  const whose = tenant ?? me.tenant_id ?? "acme";
  at("import").textContent = `curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  ${base}/tenants/${whose}/channels -d '{"provider": "tiktok", "display_name": "Our shop",
    "credentials": {"access_token": "act.…", "refresh_token": "rft.…", "expires_in": 7200}}'`;
  at("connect").textContent = `tokenfleet channel connect ${whose} --provider tiktok --name "Our shop"`;
}

/** What stands above everything: whether the figures are of now, and what the visitor may not see. */
function tellHow(asked) {
  const failing = asked.filter(({ failed }) => failed);
  if (failing.length > 0) return tell(failing[0].failed, failing.length < asked.length);
  answeredAt = new Date();
  const refused = heard.get("statistics")?.refused ?? heard.get("jobs")?.refused;
  write(refused ? refused.message : "", "bad");
}

function tell(why, partly = false) {
  const what = partly ? "Some of this page has had no answer" : "No answer";
  const since = answeredAt ? `since ${clock(answeredAt)}` : "yet";
  const old = answeredAt ? "What is grey is from before. " : "";
  write(`${what} ${since}. ${why} ${old}The page keeps asking.`, "bad");
}

function write(text, mood) {
  const banner = at("banner");
  // Said again every few seconds, it would be read aloud as often.
  if (banner.textContent === text) return;
  banner.textContent = text;
  banner.className = text ? mood : "";
}

const leave = (error) => showDoor(error.message);

function showDoor(message) {
  scope.abort();
  beats += 1;
  clearTimeout(timer);
  me = answeredAt = null;
  at("visitor").hidden = at("fleet").hidden = true;
  at("door").hidden = false;
  at("told").textContent = message;
  document.title = NAME;
  write("");
  at("person").elements.email.focus();
}

/** Tries a way in, and says at the door why it did not lead in. */
async function tryToEnter(form, way) {
  const button = form.querySelector("button");
  button.disabled = true;
  at("told").textContent = "";
  try {
    await way(form.elements);
    await enter();
    form.reset();
    at("whose").focus();
    scrollTo(0, 0);
    beat();
  } catch (error) {
    me = null;
    logOut();
    at("told").textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

at("person").addEventListener("submit", (event) => {
  event.preventDefault();
  tryToEnter(event.target, ({ email, password }) => logIn(email.value, password.value));
});
at("bearer").addEventListener("submit", (event) => {
  event.preventDefault();
  tryToEnter(event.target, ({ token }) => useToken(token.value.trim()));
});
at("leave").addEventListener("click", () => {
  logOut();
  showDoor("");
});
at("tenant").addEventListener("change", ({ target }) => { location.hash = target.value && new URLSearchParams({ tenant: target.value }); });
window.addEventListener("hashchange", () => {
  if (!me) return;
  choose();
  beat();
});
document.addEventListener("visibilitychange", beat);

if (isLoggedIn()) beat();
else showDoor("");
