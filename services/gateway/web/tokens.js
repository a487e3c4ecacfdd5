// Tokens of an answer with their probabilities: as spans that a pointer or the arrow keys explain.
import {h, percent} from "/web/dom.js";

/** 0 (likely) to 4 (a surprise). */
export function surprise(probability) {
  const bounds = [0.9, 0.6, 0.3, 0.1];
  const at = bounds.findIndex((bound) => probability >= bound);
  return at === -1 ? bounds.length : at;
}

/**
 * Pieces of text with the tokens behind them, from a stream's deltas. A character of several tokens is one piece with all of
 * them; drafted says of each token whether a draft proposed it (null: the stream does not say).
 */
export class TokenPieces {
  constructor() {
    this.waiting = [];
  }
  push(text, entries = [], drafted = null) {
    const tokens = entries.map((entry, i) => ({
      text: entry.token,
      probability: Math.exp(entry.logprob),
      others: (entry.top_logprobs ?? []).map((o) => ({text: o.token, probability: Math.exp(o.logprob)})),
      drafted: drafted ? Boolean(drafted[i]) : null,
    }));
    if (text === "") {
      this.waiting.push(...tokens);
      return [];
    }
    const all = [...this.waiting.splice(0), ...tokens];
    if (all.length > 1 && all.map((t) => t.text).join("") === text)
      return all.map((token) => ({text: token.text, tokens: [token]}));
    return [{text, tokens: all}];
  }
}

function shownText(text) {
  return text.replaceAll("\n", "⏎").replaceAll(" ", "␣") || "∅";
}

function explain(piece, panel) {
  const rows = piece.tokens.flatMap((token) => {
    const origin = token.drafted === null ? "" : token.drafted ? " · drafted" : " · plain";
    const others = token.others.filter((o) => o.text !== token.text);
    return [
      h("dt", null, h("code", null, shownText(token.text))),
      h("dd", null, h("strong", null, `${(100 * token.probability).toFixed(1)} %`), origin,
        others.length ? h("ul", {class: "others", "aria-label": "instead"},
          others.map((o) => h("li", null, h("code", null, shownText(o.text)), ` ${percent(o.probability)}`))) : null),
    ];
  });
  panel.replaceChildren(rows.length ? h("dl", null, rows) : h("p", {class: "muted"}, "Nothing is known of this piece."));
}

/** An element that text is appended to; its tokens are explained in `panel`. One tab stop, arrow keys inside. */
export class TokenText {
  constructor(panel) {
    this.panel = panel;
    this.element = h("div", {class: "tokens", tabindex: "0", role: "group",
      "aria-label": "Answer. Left and right arrow keys go through its tokens.",
      onkeydown: (event) => this.key(event), onclick: (event) => this.pick(event.target), onblur: () => this.unmark()});
    this.pieces = new WeakMap();
  }
  append(pieces) {
    this.element.append(...pieces.map((piece) => {
      const worst = Math.min(1, ...piece.tokens.map((t) => t.probability));
      const drafted = piece.tokens.some((t) => t.drafted === true);
      const span = h("span", {class: `t s${surprise(worst)}${drafted ? " drafted" : ""}`}, piece.text);
      this.pieces.set(span, piece);
      return span;
    }));
  }
  unmark() {
    this.marked?.classList.remove("marked");
  }
  pick(span) {
    const piece = this.pieces.get(span);
    if (!piece) return;
    this.unmark();
    this.marked = span;
    span.classList.add("marked");
    this.panel.hidden = false;
    explain(piece, this.panel);
  }
  key(event) {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    const next = !this.marked ? this.element.firstElementChild
      : step > 0 ? this.marked.nextElementSibling : this.marked.previousElementSibling;
    if (next) this.pick(next);
  }
}
