// Small things that the page is drawn with. Whatever the API tells goes into the page as text
// alone: names come from tenants, and messages from providers.

const SVG = "http://www.w3.org/2000/svg";
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

export const at = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

const drawn = new WeakMap();

/**
 * Draws `data` in `place`, unless it is what stands there: a page that is drawn anew every few
 * seconds could not be read aloud, selected or clicked. Who has the focus keeps it, by its id.
 */
export function draw(place, data, paint) {
  const text = JSON.stringify(data ?? null);
  if (drawn.get(place) === text) return;
  drawn.set(place, text);
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.replaceChildren(...[paint(data)].flat());
  if (focused) at(focused)?.focus();
}

/** The same for a list whose items hold buttons and open parts: only what changed is redrawn. */
export function drawEach(place, items, keyOf, make) {
  const there = new Map([...place.children].map((node) => [node.dataset.key, node]));
  const nodes = items.map((item) => {
    const node = there.get(keyOf(item)) ?? make(item);
    node.dataset.key = keyOf(item);
    node.update(item);
    return node;
  });
  const same = nodes.length === place.children.length && nodes.every((node, i) => node === place.children[i]);
  if (!same) place.replaceChildren(...nodes);
}

export function table(caption, headings, rows, none) {
  if (rows.length === 0) return el("p", { class: "dim" }, none);
  const cell = (content, i) => (i === 0 ? el("th", { scope: "row" }, content) : el("td", {}, content));
  return el("table", {},
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, headings.map((heading) => el("th", { scope: "col" }, heading)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((content, i) => cell(content, i))))));
}

/** A mark that says by sign, word and colour how it is; `mood` is good, wait, bad or calm. */
export function mark(mood, word) {
  const sign = { good: "✓", wait: "▲", bad: "✕", calm: "·" }[mood];
  return el("span", { class: `mark ${mood}` }, el("span", { "aria-hidden": "true" }, sign), ` ${word}`);
}

export const number = (value) => (value === undefined || value === null ? "–" : value.toLocaleString("en"));

export const clock = (date) => date.toLocaleTimeString("en-GB", CLOCK);

export function share(value) {
  if (value === undefined || value === null) return "–";
  // 99.96 % is not all: it is rounded down.
  return `${Math.floor(value * 1000) / 10} %`;
}

export function span(ms) {
  if (ms === undefined || ms === null) return "–";
  const steps = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1000, "s"]];
  const [size, unit] = steps.find(([size]) => Math.abs(ms) >= size) ?? [1, "ms"];
  const value = ms / size;
  return `${Math.abs(value) < 10 && size > 1 ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`;
}

/** A point in time as one would say it, kept up to date by [`tellTime`]. */
export function moment(text) {
  if (!text) return "–";
  const date = new Date(text);
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  const node = el("time", { datetime: text, title: `${day}, ${clock(date)}` });
  node.textContent = fromNow(date);
  return node;
}

export function tellTime() {
  for (const node of document.querySelectorAll("time")) {
    const text = fromNow(new Date(node.dateTime));
    if (node.textContent !== text) node.textContent = text;
  }
}

function fromNow(date) {
  const ms = date - Date.now();
  if (Math.abs(ms) < 1000) return "now";
  return ms < 0 ? `${span(-ms)} ago` : `in ${span(ms)}`;
}
