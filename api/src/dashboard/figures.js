// The figures: at a glance, jobs, forecast, freshness, and what only the platform admin sees.

import { at, draw, el, mark, moment, number, share, span, svg, table } from "./paint.js";
import { TROUBLES } from "./words.js";

const HOURS = 24;
/** Shares of valid channels below which somebody should look, and hurry. */
const LOOK_BELOW = 1;
const HURRY_BELOW = 0.95;
/** A channel that is due for longer without having been handed out was overlooked. */
const LATE_SECS = 60;
/** Tenants that the table names. */
const TENANTS = 20;

/** The line of big figures. What nobody knows is a dash, and calm. */
export function drawGlance(statistics, freshness, jobs) {
  const states = statistics?.by_state;
  const all = freshness?.all;
  const alarm = (count, mood) => (count === undefined ? "calm" : count > 0 ? mood : "good");
  const due = jobs && jobs.jobs_active + jobs.jobs_waiting;
  const longest = statistics?.longest_due_secs ?? 0;
  const late = longest > LATE_SECS;
  draw(at("figures"), [statistics, freshness, due], () => [
    figure("Valid", all?.valid, valid(all?.valid_share), all?.channels > 0 && `${share(all.valid_share)} of ${number(all.channels)}`),
    figure("Dead tokens", all?.dead_now, alarm(all?.dead_now, "bad"), "past their end, and still wanted"),
    figure("Need a person", states?.needs_reauth, alarm(states?.needs_reauth, "wait"), "until then they are not tried"),
    figure("Error", states?.error, alarm(states?.error, "bad"), "tried once a day"),
    figure("Due now", due, late ? "bad" : "calm", late ? `one for ${span(1000 * longest)}: no scheduler works` : "waiting, or being refreshed"),
    figure("Paused", states?.paused, "calm", "by an operator"),
    figure("Never expire", states?.never_expires, "calm", "only watched"),
  ]);
}

function valid(share) {
  if (share === undefined || share === null) return "calm";
  return share >= LOOK_BELOW ? "good" : share >= HURRY_BELOW ? "wait" : "bad";
}

function figure(label, value, mood, note) {
  const word = { good: "fine", wait: "look", bad: "trouble" }[mood];
  return el("li", { class: `figure ${mood}` },
    el("span", { class: "label" }, label),
    el("span", { class: "value" }, number(value)),
    el("span", { class: "note" }, word && mark(mood, word), el("span", { class: "dim" }, note || "")));
}

export function drawJobs(jobs, statistics, freshness) {
  const all = freshness?.all;
  const pairs = [
    ["Active", number(jobs?.jobs_active)],
    ["Waiting", number(jobs?.jobs_waiting)],
    ["Delayed", number(jobs?.jobs_delayed)],
    ["Completed, ever", number(jobs?.jobs_completed)],
    ["Failed, ever", number(jobs?.jobs_failed)],
    ["Refreshed in 24 h", number(statistics?.refreshed_24h ?? all?.refreshed)],
    // Nobody counts it for all tenants together.
    ...(statistics?.failed_24h === undefined ? [] : [["Failed in 24 h", number(statistics.failed_24h)]]),
    ["Half done after due within", span(all?.lag_ms.p50)],
    ["99 % done after due within", span(all?.lag_ms.p99)],
    ["Minutes of dead token in 24 h", number(all && Math.round(all.dead_minutes))],
  ];
  draw(at("jobs"), pairs, () => pairs.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

export function drawProviders(freshness) {
  draw(at("providers"), freshness?.by_provider, (providers = {}) => {
    const rows = Object.entries(providers).map(([name, it]) => [
      name, number(it.channels), number(it.valid), share(it.valid_share), number(it.dead_now),
      number(Math.round(it.dead_minutes)), span(it.lag_ms.p50), span(it.lag_ms.p99),
    ]);
    const headings = ["Provider", "Channels", "Valid", "Share", "Dead now", "Dead minutes", "Half done within", "99 % within"];
    return table("Freshness by provider", headings, rows, "Nothing is known yet.");
  });
}

/** One row of bars per provider, so that no colour has to be told from another. */
export function drawForecast(calls) {
  const providers = Object.entries(calls?.by_provider ?? {}).filter(([, it]) => it.total > 0);
  providers.sort(([, a], [, b]) => b.total - a.total);
  draw(at("bars"), providers, () => {
    if (providers.length === 0) return el("p", { class: "dim" }, calls ? "None." : "–");
    const axis = el("div", { class: "bars axis", "aria-hidden": "true" },
      el("span"), el("span", { class: "hours" }, ["now", "6 h", "12 h", "18 h", "24 h"].map((hour) => el("span", {}, hour))), el("span"));
    return [...providers.map(barsOf), axis];
  });
  at("hours").hidden = providers.length === 0;
  draw(at("hours-table"), providers, () => {
    const rows = Array.from({ length: HOURS }, (_, hour) => {
      const each = providers.map(([, it]) => it.by_hour[hour] ?? 0);
      return [`${hour}–${hour + 1} h`, ...each.map(number), number(each.reduce((sum, it) => sum + it, 0))];
    });
    return table("Refresh calls by the hour", ["From now", ...providers.map(([name]) => name), "All"], rows, "None.");
  });
}

function barsOf([name, { total, by_hour }]) {
  const most = Math.max(...by_hour);
  const bars = by_hour.map((calls, hour) => {
    const height = calls === 0 ? 1 : Math.max(2, (calls / most) * 40);
    const bar = svg("rect", { x: hour * 10 + 1, y: 40 - height, width: 8, height, class: calls === 0 ? "none" : "some" });
    bar.append(svg("title", {}, `${hour}–${hour + 1} h: ${number(calls)}`));
    return bar;
  });
  const label = `${name}: ${number(total)} calls, ${number(most)} in the busiest hour, which begins in ${by_hour.indexOf(most)} h`;
  return el("div", { class: "bars" },
    el("span", { class: "label" }, name),
    svg("svg", { viewBox: "0 0 240 40", preserveAspectRatio: "none", role: "img", "aria-label": label }, bars),
    el("span", { class: "total" }, number(total)));
}

export function drawBreakers(breakers) {
  draw(at("breakers"), breakers?.items, (items = []) => {
    const rank = { open: 0, held: 1, closed: 2 };
    const rows = [...items].sort((a, b) => rank[a.state] - rank[b.state]).map((it) => {
      const why = it.state === "closed" && !it.per_second ? "" : it.incident;
      return [
        it.app_identity, breakerMark(it),
        why ? [TROUBLES[why.why] ?? why.why, " ", el("q", {}, why.sample)] : it.usage ? `${it.usage} % of the hour's calls are spent` : "–",
        moment(it.until), it.per_second ? `${number(Math.round(it.per_second))}/s` : it.state === "closed" ? "full" : "–",
      ];
    });
    return table("Breakers", ["App", "State", "Why", "Until", "Speed"], rows, breakers ? "No app was called within the last week." : "–");
  });
}

function breakerMark({ state, per_second }) {
  if (state === "open") return mark("bad", "open: only probes are sent");
  if (state === "held") return mark("wait", "held: nothing is sent");
  return per_second ? mark("wait", "slowed") : mark("good", "closed");
}

export function drawQueues(queues) {
  draw(at("queues"), queues?.items, (items = []) => {
    const rows = items.filter((it) => !isIdle(it)).map((it) => [
      it.queue, it.limits.paused ? mark("wait", "paused") : mark("good", "open"),
      number(it.waiting), number(it.delayed), number(it.active), limits(it),
    ]);
    const idle = items.length - rows.length;
    const rest = idle > 0 && el("p", { class: "dim" }, `Empty, open and without limits: ${number(idle)}`);
    return [rows.length > 0 && table("Queues", ["Queue", "State", "Waiting", "Delayed", "Active", "Limits"], rows), rest].filter(Boolean);
  });
}

const isIdle = ({ waiting, delayed, active, limits: { paused, at_once, rate }, limited_tenants }) =>
  waiting + delayed + active + limited_tenants === 0 && !paused && !at_once && !rate;

function limits({ limits: { at_once, rate }, limited_tenants }) {
  const parts = [
    at_once && `${number(at_once)} at once`,
    rate && `one per ${span(rate.every_ms)}`,
    limited_tenants > 0 && `tenants with limits of their own: ${number(limited_tenants)}`,
  ];
  return parts.filter(Boolean).join(", ") || "–";
}

/** The tenants with the lowest share of valid channels; a link shows one alone. */
export function drawTenants(freshness) {
  draw(at("tenants"), freshness?.by_tenant, (tenants = []) => {
    const rows = tenants.slice(0, TENANTS).map((it) => [
      el("a", { href: `#${new URLSearchParams({ tenant: it.tenant_id })}` }, it.tenant_id), number(it.channels), number(it.valid),
      share(it.valid_share), it.dead_now > 0 ? mark("bad", number(it.dead_now)) : "0", number(Math.round(it.dead_minutes)), span(it.lag_ms.p99),
    ]);
    const count = freshness?.tenants ?? tenants.length;
    const more = count > rows.length && el("p", { class: "dim" }, `and ${number(count - rows.length)} more in a better state`);
    const headings = ["Tenant", "Channels", "Valid", "Share", "Dead now", "Dead minutes", "99 % done within"];
    return [table("Tenants", headings, rows, "Nothing is known yet."), more].filter(Boolean);
  });
}
