// Router: why a request went where it went. Every candidate, every term of its score.
import {count, duration, eachFrame, h, heading, percent} from "/web/dom.js";
import {shortName} from "/web/cluster.js";
import {live} from "/web/live.js";

const kTerms = [
  ["queue", "Queue", "what waits there already"],
  ["prefill", "Prompt", "its own uncached tokens"],
  ["transfer", "Transfer", "pages on their way"],
  ["decode", "Decode", "rows in every step until then"],
  ["others", "Others", "what it costs those who are there"],
];
const us = (value) => (value === undefined ? "–" : duration(value / 1000));
const key = (p) => `${p.request}/${p.epoch}`;

/** The terms side by side, on one scale for all candidates; in colours that the legend explains. */
function bar(terms, most) {
  const words = kTerms.filter(([name]) => terms[name] > 0).map(([name, label]) => `${label} ${us(terms[name])}`).join(", ");
  return h("span", {class: "terms", role: "img", "aria-label": words || "nothing to wait for"}, kTerms.map(([name], i) => {
    const part = h("span", {class: `c${i}`});
    part.style.width = `${most > 0 ? (100 * Math.max(0, terms[name])) / most : 0}%`;
    return part;
  }));
}

function candidateTable(title, candidates, chosen) {
  const scores = candidates.map((c) => c.terms_us?.score ?? 0);
  const most = Math.max(1, ...candidates.map((c) => kTerms.reduce((all, [name]) => all + Math.max(0, c.terms_us?.[name] ?? 0), 0)));
  const best = Math.min(...scores.filter((s) => s > 0));
  const scored = candidates.some((c) => c.terms_us);
  const head = ["Worker", ...(scored ? ["Score", ...kTerms.map(([, label]) => label)] : []), "Cached", "Queued", "Load", "Pages free"];
  const row = (c) => h("tr", {class: c.worker === chosen ? "chosen" : ""},
    h("th", {scope: "row"}, shortName(c.worker), c.worker === chosen ? h("span", {class: "badge ok"}, "chosen") : null,
      !scored ? null : c.terms_us ? bar(c.terms_us, most) : h("small", {class: "muted"}, "could not take it")),
    scored ? [
      h("td", null, h("strong", null, us(c.terms_us?.score)), c.terms_us?.score > best
        ? h("small", {class: "muted"}, ` +${percent(c.terms_us.score / best - 1)}`) : null),
      ...kTerms.map(([name]) => h("td", null, us(c.terms_us?.[name]))),
    ] : [],
    h("td", null, count(c.cached_tokens), c.cache_is_predicted ? h("span", {class: "muted"}, " presumed") : null),
    h("td", null, count(c.queued_tokens)), h("td", null, `${c.load} / ${c.capacity || "–"}`), h("td", null, count(c.pages_available)));
  return h("section", null, h("h3", null, title),
    h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": title},
      h("table", {class: "grid"}, h("thead", null, h("tr", null, head.map((t) => h("th", {scope: "col"}, t)))),
        h("tbody", null, candidates.map(row)))));
}

function sentence(p) {
  if (p.refused) return `Refused: ${p.refused}${p.retry_after_ms ? `, try again in ${duration(p.retry_after_ms)}` : ""}.`;
  const winner = p.decode_candidates.find((c) => c.worker === p.decode);
  const cached = winner?.cached_tokens ?? 0;
  const parts = [`${shortName(p.decode)} decodes it`, p.prefill ? `${shortName(p.prefill)} computes its prompt` : "and computes its prompt too",
    `${count(cached)} of ${count(p.prompt_tokens)} prompt tokens are cached there`];
  return `${parts.join(", ")}. Reason: ${p.reason}.`;
}

function details(p) {
  const winner = p.decode_candidates.find((c) => c.worker === p.decode);
  const shown = p.decode_candidates.length + p.prefill_candidates.length;
  const fact = (name, value) => h("div", null, h("dt", null, name), h("dd", null, value));
  return [
    h("h2", {id: "why"}, `Request ${p.request}`, p.epoch > 1 ? h("span", {class: "badge warn"}, `placement ${p.epoch}`) : null),
    h("p", null, sentence(p)),
    h("dl", {class: "facts"}, fact("policy", p.policy), fact("model", p.model),
      fact("first token, predicted", us(winner?.first_token_us)), fact("first token, as it came", p.took_us ? us(p.took_us) : "–")),
    candidateTable("To decode it", p.decode_candidates, p.decode),
    p.prefill_candidates.length ? candidateTable("To compute its prompt", p.prefill_candidates, p.prefill) : null,
    (p.candidates ?? shown) > shown ? h("p", {class: "muted"}, `${p.candidates - shown} more with worse scores are not shown.`) : null,
    h("ul", {class: "legend keys"}, kTerms.map(([, label, what], i) => h("li", null, h("span", {class: `key c${i}`, "aria-hidden": "true"}), `${label}: ${what}`))),
  ];
}

class RouterPage {
  open(main) {
    this.chosen = null;
    this.list = h("ul", {class: "choices"});
    this.why = h("div", {class: "panel why"});
    this.none = h("p", {class: "empty"}, "No request has been placed yet. Say something in the chat.");
    this.follow = h("input", {type: "checkbox", checked: true, onchange: () => this.draw()});
    main.append(heading("Router", "Why this placement: the latest decisions with every candidate and every term.",
      h("label", {class: "check"}, this.follow, h("span", null, "Follow the newest"))), this.none,
    h("div", {class: "columns router"}, h("nav", {class: "panel", "aria-label": "Placements"}, this.list), this.why));
    const draw = eachFrame(() => this.draw());
    const end = live.on(["placements", "hello"], draw);
    this.draw();
    return end;
  }
  draw() {
    const all = live.placements;
    this.none.hidden = all.length > 0;
    this.list.parentElement.hidden = this.why.hidden = !all.length;
    if (!all.length) return;
    if (this.follow.checked || !all.some((p) => key(p) === this.chosen)) this.chosen = key(all[0]);
    const focused = document.activeElement?.dataset?.placement;
    this.list.replaceChildren(...all.map((p) => h("li", null, h("button", {type: "button", "data-placement": key(p),
      "aria-pressed": String(key(p) === this.chosen), onclick: () => this.choose(p)},
    h("code", null, p.request), h("small", null, p.refused ? "" : p.reason),
    h("span", null, p.refused ? "refused" : [p.prefill, p.decode].filter(Boolean).map(shortName).join(" → "))))));
    if (focused) this.list.querySelector(`[data-placement="${focused}"]`)?.focus();
    this.why.replaceChildren(...details(all.find((p) => key(p) === this.chosen)).filter(Boolean));
  }
  choose(placement) {
    this.follow.checked = false;
    this.chosen = key(placement);
    this.draw();
  }
}

export const router = {name: "router", title: "Router", open: (main) => new RouterPage().open(main)};
