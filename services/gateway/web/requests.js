// Requests: the stages of each as a waterfall, while they happen.
import {count, duration, eachFrame, h, heading, percent} from "/web/dom.js";
import {shortName} from "/web/cluster.js";
import {live} from "/web/live.js";
import {VirtualList} from "/web/virtual_list.js";

const kRowHeight = 40;
const kStages = [
  ["read", "Read", "parsed, rendered, tokenized", "arrived", "prepared"],
  ["place", "Place", "asking the router", "prepared", "placed"],
  ["prompt", "Prompt", "queue, prefill, first token", "placed", "started"],
  ["stream", "Generate", "tokens until the end", "started", "ended"],
];

/** [stage, from, to] of what has begun; a stage that goes on ends now. Pure. */
export function stagesOf(row, now) {
  const spans = [];
  for (const [name, , , from, to] of kStages) {
    if (row[from] < 0) break;
    const end = row[to] >= 0 ? row[to] : row.ended >= 0 ? row.ended : now;
    spans.push([name, row[from], Math.max(end, row[from])]);
    if (row[to] < 0) break;
  }
  return spans;
}

export function outcomeOf(row) {
  if (row.ended < 0) return [row.started >= 0 ? "streaming" : row.placed >= 0 ? "prompt" : "placing", "busy"];
  if (row.status === 200) return ["done", "ok"];
  if (row.status === 499) return ["stopped", "warn"];
  return [row.status ? String(row.status) : "broken", "bad"];
}

function make() {
  const cell = (name) => h("span", {class: name});
  const bars = kStages.map(([name]) => h("span", {class: `stage ${name}`}));
  const row = h("div", {class: "request"}, cell("id"), cell("who"), h("span", {class: "bars"}, bars), cell("tokens"), cell("time"), cell("badge"));
  row.parts = Object.fromEntries(["id", "who", "tokens", "time", "badge"].map((name) => [name, row.querySelector(`.${name}`)]));
  row.bars = bars;
  return row;
}

/** Writes only what differs: scrolling a long list must not lay out what has not changed. */
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

class RequestsPage {
  open(main) {
    this.list = new VirtualList({rowHeight: kRowHeight, make, fill: (row, item) => this.fill(row, item), label: "Requests, the newest first"});
    this.filter = h("select", {"aria-label": "Which requests", onchange: () => this.draw()},
      [["all", "All"], ["open", "In flight"], ["bad", "Failed or stopped"]].map(([value, text]) => new Option(text, value)));
    this.sum = h("p", {class: "muted", role: "status"});
    this.none = h("p", {class: "empty"}, "No request has come yet.");
    this.scale = 1000;
    main.append(heading("Requests", "Stages of the last 10,000 requests at this gateway, as they happen.", this.filter),
      h("ul", {class: "legend keys"}, kStages.map(([name, label, what]) =>
        h("li", null, h("span", {class: `key ${name}`, "aria-hidden": "true"}), `${label}: ${what}`))),
      this.sum, this.none, this.list.element);
    const draw = eachFrame(() => this.draw());
    const end = live.on(["requests", "hello"], draw);
    const moving = setInterval(() => this.open_ && this.list.later(), 100);  // bars that grow
    this.draw();
    return () => {
      end();
      clearInterval(moving);
      this.list.close();
    };
  }
  draw() {
    const kind = this.filter.value;
    const all = [...live.requests.values()].sort((a, b) => a.number - b.number);
    const rows = (kind === "all" ? all : all.filter((r) => (kind === "open" ? r.ended < 0 : r.ended >= 0 && r.status !== 200))).reverse();
    this.open_ = all.reduce((n, r) => n + (r.ended < 0 ? 1 : 0), 0);
    const ends = all.slice(-200).map((r) => (r.ended >= 0 ? r.ended : live.logNow()) - r.arrived).sort((a, b) => a - b);
    this.scale = Math.max(100, ends[Math.floor(ends.length * 0.9)] ?? 1000);
    const firsts = all.filter((r) => r.started >= 0).slice(-200).map((r) => r.started - r.arrived).sort((a, b) => a - b);
    const at = (share) => duration(firsts[Math.min(firsts.length - 1, Math.floor(firsts.length * share))] ?? NaN);
    set(this.sum, `${count(rows.length)} shown, ${count(this.open_)} in flight · first token p50 ${at(0.5)}, p99 ${at(0.99)} (last 200)`);
    this.none.hidden = rows.length > 0;
    this.list.element.hidden = !rows.length;
    const newest = rows[0]?.number ?? 0;
    const added = this.newest ? rows.findIndex((r) => r.number <= this.newest) : 0;
    this.newest = newest;
    this.list.show(rows, Math.max(0, added));
  }
  fill(row, item) {
    const now = live.logNow();
    const {parts} = row;
    const [words, kind] = outcomeOf(item);
    const whole = (item.ended >= 0 ? item.ended : now) - item.arrived;
    set(parts.id, item.id);
    set(parts.who, [item.prefill, item.decode].filter(Boolean).map(shortName).join(" → ") || "–");
    set(parts.tokens, `${count(item.prompt_tokens)} + ${count(item.completion_tokens)}`);
    set(parts.time, duration(whole));
    set(parts.badge, words);
    parts.badge.className = `badge ${kind}`;
    const spans = stagesOf(item, now);
    const scale = Math.max(this.scale, whole);
    row.bars.forEach((bar, i) => {
      const span = spans[i];
      bar.hidden = !span;
      if (!span) return;
      bar.style.left = `${(100 * (span[1] - item.arrived)) / scale}%`;
      bar.style.width = `${Math.max(0.2, (100 * (span[2] - span[1])) / scale)}%`;
    });
    const told = spans.map(([name, from, to]) => `${name} ${duration(to - from)}`).join(", ");
    const cached = item.prompt_tokens ? item.cached_tokens / item.prompt_tokens : 0;
    const at = new Date(live.hello.zero_unix_ms + item.arrived).toLocaleTimeString();
    const label = `${item.id} at ${at}, ${words}: ${told}. ${percent(cached)} of the prompt cached` +
      (item.placements > 1 ? `, placed ${item.placements} times` : "");
    if (row.title !== label) {
      row.title = label;
      row.setAttribute("aria-label", label);
    }
    row.classList.toggle("moved", item.placements > 1);
  }
}

export const requests = {name: "requests", title: "Requests", open: (main) => new RequestsPage().open(main)};
