// The channels that do not go on by themselves: why, since when, and what helps.

import { LoggedOut, call } from "./session.js";
import { at, drawEach, el, mark, moment, number, span, table } from "./paint.js";
import { canBeLinked, codes, meaning } from "./words.js";

const ATTEMPTS = 20;
/** So many are shown until somebody asks for more; the style sheet has the same number. */
const FEW = 5;
/** Seconds that the API waits for the end of a refresh. */
const WAIT = 20;

/**
 * Draws them; `may` says what the visitor is allowed to do, and `onEnd` hears of a log-in that
 * is over.
 */
export function drawStuck({ channels, total, several }, may, onEnd) {
  const shown = channels.length;
  at("stuck-note").textContent = stuckNote(shown, total);
  const key = (channel) => `${channel.tenant_id} ${channel.id} ${channel.created_at}`;
  drawEach(at("stuck"), channels, key, () => row(several, may, onEnd));
  const more = at("all-stuck");
  more.hidden = shown <= FEW || !at("stuck").classList.contains("few");
  more.textContent = `Show all ${number(shown)}`;
}

at("all-stuck").addEventListener("click", ({ target }) => {
  at("stuck").classList.remove("few");
  target.hidden = true;
  at("stuck").children[FEW]?.querySelector("button").focus();
});

function stuckNote(shown, total) {
  if (total === undefined) return "–";
  if (total === 0) return "Nothing. Every channel goes on by itself.";
  return shown < total ? `The first ${number(shown)} of ${number(total)}.` : "";
}

function row(several, may, onEnd) {
  let channel;
  const name = el("button", { type: "button", class: "plain", "aria-expanded": "false" });
  const [state, facts, why, code] = [el("span"), el("p", { class: "dim" }), el("p"), el("p", { class: "code" })];
  const help = el("div", { class: "help" });
  const told = el("div", { role: "status" });
  const history = el("div", { class: "wide", hidden: true });
  const node = el("li", {}, el("h3", {}, state, " ", name), help, facts, why, code, told, history);

  const act = (label, work) => acting(label, told, () => work(channel), onEnd);
  const showHistory = async () => {
    try {
      history.replaceChildren(timeline(await attemptsOf(channel)));
    } catch (error) {
      if (error instanceof LoggedOut) onEnd(error);
      else history.replaceChildren(mark("bad", error.message));
    }
  };
  name.addEventListener("click", () => {
    history.hidden = !history.hidden;
    name.setAttribute("aria-expanded", String(!history.hidden));
    if (!history.hidden) showHistory();
  });

  let last = "";
  node.update = (fresh) => {
    const text = JSON.stringify(fresh);
    if (text === last) return;
    last = text;
    channel = fresh;
    const person = channel.state === "needs_reauth";
    const { error, details, at: failedAt } = channel.last_error ?? {};
    const reason = channel.reason ?? details?.reason;
    state.replaceChildren(person ? mark("wait", "needs a person") : mark("bad", "error"));
    name.textContent = channel.display_name;
    const where = [channel.provider, channel.id, several && channel.tenant_id].filter(Boolean).join(" · ");
    facts.replaceChildren(`${where} · since `, moment(failedAt ?? channel.updated_at));
    why.textContent = meaning(reason, error);
    if (details?.provider_message) why.append(" ", el("q", {}, details.provider_message));
    code.textContent = codes(reason, error, details);
    const helps = person ? linking(channel, may, act) : may.refresh && act("Refresh now", refreshNow);
    help.replaceChildren(helps || "");
    if (!history.hidden) showHistory();
  };
  return node;
}

/** A button whose work tells in `told` what came of it. */
function acting(label, told, work, onEnd) {
  const button = el("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      told.replaceChildren(await work());
    } catch (error) {
      if (error instanceof LoggedOut) onEnd(error);
      else told.replaceChildren(mark("bad", error.message));
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

function linking(channel, may, act) {
  if (!canBeLinked(channel.provider)) return el("p", { class: "dim" }, "Import it again with new credentials.");
  return may.connect && act("Connect link", (it) => linkFor(it.tenant_id, it.provider, it.id));
}

/** A link with which the person connects the channel's account again, to be copied. */
async function linkFor(tenant, provider, channel_id) {
  const link = await call("POST /api/v1/tenants/{tenant}/connect-links", { values: { tenant }, body: { provider, channel_id } });
  const text = el("input", { type: "text", readonly: true, value: link.url, "aria-label": "Connect link", onfocus: () => text.select() });
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    // Without https there is no clipboard: then what is selected can be copied by hand.
    text.focus();
    await navigator.clipboard?.writeText(link.url).then(() => { copy.textContent = "Copied"; }, () => {});
  });
  return el("div", { class: "link" }, text, copy, el("span", { class: "dim" }, "for the person who owns the account, once; ends ", moment(link.expires_at)));
}

async function refreshNow(channel) {
  const result = await call("POST /api/v1/tenants/{tenant}/channels/{channel}/refresh", {
    values: { tenant: channel.tenant_id, channel: channel.id },
    query: { wait: WAIT },
    patience: (WAIT + 15) * 1000,
  });
  if (result.success === undefined) return mark("calm", `The job is ${result.state}, and goes on.`);
  if (!result.success) return mark("bad", `${meaning(result.details?.reason, result.error)} ${codes(result.details?.reason, result.error, result.details)}`);
  return mark("good", result.refreshed ? "Refreshed." : "Not needed.");
}

const attemptsOf = (channel) => call("GET /api/v1/tenants/{tenant}/channels/{channel}/attempts", {
  values: { tenant: channel.tenant_id, channel: channel.id }, query: { limit: ATTEMPTS },
});

function timeline({ items }) {
  const rows = items.map((it) => {
    const { reason, provider_code, provider_subcode, trace_id } = it.details ?? {};
    const well = it.outcome === "refreshed" || it.outcome === "not_needed";
    const outcome = it.outcome.replaceAll("_", " ");
    return [
      moment(it.started_at), mark(well ? "good" : "bad", outcome), reason ?? "–",
      [provider_code, provider_subcode].filter(Boolean).join("/") || "–", trace_id ?? "–", span(it.duration_ms),
    ];
  });
  return table("What was tried", ["When", "Outcome", "Reason", "Provider's code", "Trace id", "Took"], rows, "Nothing was tried yet.");
}

/** The grants that end soon, in the order of their ends; a link can be sent before they do. */
export function endingSoon({ total, items }, several, may, onEnd) {
  const told = el("div", { role: "status" });
  const link = (it) => acting("Connect link", told, () => linkFor(it.tenant_id, it.provider, it.channel_id), onEnd);
  const rows = items.map((it) => [
    moment(it.ends_at), it.display_name, it.provider, ...(several ? [it.tenant_id] : []), el("code", {}, it.channel_id),
    may.connect && canBeLinked(it.provider) ? link(it) : "",
  ]);
  const headings = ["Ends", "Channel", "Provider", ...(several ? ["Tenant"] : []), "Id", "What helps"];
  const more = total > items.length && el("p", { class: "dim" }, `and ${number(total - items.length)} more`);
  return [table("Grants that end", headings, rows, "Nobody: no grant ends."), more, told].filter(Boolean);
}
