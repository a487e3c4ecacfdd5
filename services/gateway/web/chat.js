// Chat: the public API, as any client uses it, with each token's probability and what the answer cost.
import {answer} from "/web/answer_stream.js";
import {count, duration, h, heading, meter, percent, rate} from "/web/dom.js";
import {live} from "/web/live.js";
import {requestObject} from "/web/switches.js";
import {TokenPieces, TokenText} from "/web/tokens.js";

const field = (label, input, hint) => h("label", {class: "field"}, h("span", null, label), input,
  hint ? h("small", null, hint) : null);

const number = (name, value, min, max, step) => h("input", {type: "number", name, value, min, max, step, inputmode: "decimal"});

class Settings {
  constructor() {
    this.model = h("select", {name: "model"});
    this.temperature = number("temperature", "0.7", 0, 2, 0.1);
    this.topP = number("top_p", "1", 0, 1, 0.05);
    this.maxTokens = number("max_tokens", "256", 1, 100000, 1);
    this.seed = h("input", {type: "number", name: "seed", placeholder: "random", inputmode: "numeric"});
    this.system = h("textarea", {name: "system", rows: 3, placeholder: "none"});
    this.colours = h("input", {type: "checkbox", name: "colours", checked: true});
    this.element = h("details", {class: "panel settings", open: matchMedia("(min-width: 60rem)").matches},
      h("summary", null, "Settings"),
      field("Model", this.model),
      h("div", {class: "pair"}, field("Temperature", this.temperature), field("Top p", this.topP)),
      h("div", {class: "pair"}, field("Longest answer", this.maxTokens), field("Seed", this.seed)),
      field("System message", this.system),
      h("label", {class: "check"}, this.colours, h("span", null, "Colour tokens by probability")));
  }
  async loadModels() {
    try {
      const {data} = await (await fetch("/v1/models")).json();
      const chosen = this.model.value;
      this.model.replaceChildren(...data.filter((m) => m.chat).map((m) => new Option(m.id, m.id, false, m.id === chosen)));
    } catch {
      // The state line says that the gateway is away; the list stays as it was.
    }
  }
  body(history) {
    const system = this.system.value.trim();
    const body = {
      model: this.model.value,
      messages: [...(system ? [{role: "system", content: system}] : []), ...history],
      stream: true, stream_options: {include_usage: true},
    };
    for (const [name, input] of [["temperature", this.temperature], ["top_p", this.topP], ["max_tokens", this.maxTokens],
      ["seed", this.seed]]) {
      if (input.value !== "") body[name] = Number(input.value);
    }
    if (this.colours.checked) Object.assign(body, {logprobs: true, top_logprobs: 5});
    if (this.colours.checked) body.troupe = {drafted: true};
    const troupe = requestObject();
    if (troupe) body.troupe = {...body.troupe, ...troupe};
    return body;
  }
}

const reasons = {stop: "", length: "cut at the longest answer", stopped: "stopped", error: "broke off"};

/** What an answer cost, beneath it. */
function costs(times, usage, reason) {
  const item = (name, value) => h("div", null, h("dt", null, name), h("dd", null, value));
  const parts = [item("first token", duration(times.first - times.sent)), item("whole", duration(times.last - times.sent))];
  const tokens = usage?.completion_tokens ?? times.pieces;
  if (tokens > 1) parts.push(item("tokens / s", rate((tokens - 1) / ((times.last - times.first) / 1000))));
  if (usage) {
    const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
    const share = usage.prompt_tokens ? cached / usage.prompt_tokens : 0;
    parts.push(item("tokens", `${count(usage.prompt_tokens)} + ${count(usage.completion_tokens)}`),
      item("prompt cached", [meter(share, `${percent(share)} of the prompt was cached`, "small"), ` ${percent(share)}`]));
  }
  if (reasons[reason]) parts.push(item("end", reasons[reason]));
  return h("dl", {class: "costs"}, parts);
}

class ChatPage {
  constructor() {
    this.history = [];
    this.settings = new Settings();
    this.text = h("textarea", {id: "message", rows: 2, placeholder: "Ask something", "aria-label": "Message",
      onkeydown: (event) => this.key(event)});
    this.send = h("button", {class: "primary", type: "submit"}, "Send");
    this.stop = h("button", {class: "quiet", type: "button", disabled: true, onclick: () => this.abort?.abort()}, "Stop");
    this.panel = h("div", {class: "explained", role: "status", hidden: true});
    this.empty = h("p", {class: "empty"}, "Nothing said yet. Answers stream token by token; a token's shade is its probability.");
    this.log = h("div", {class: "log", role: "log", "aria-label": "Conversation"}, this.empty);
    this.clear = h("button", {class: "quiet", type: "button", onclick: () => this.forget()}, "New conversation");
    const legend = h("p", {class: "legend", "aria-label": "Shades of probability"}, "likely ",
      [0, 1, 2, 3, 4].map((s) => h("span", {class: `t s${s}`, "aria-hidden": "true"}, "   ")), " surprise ",
      h("span", {class: "t drafted"}, "drafted"));
    this.element = h("div", {class: "chat"},
      heading("Chat", "Streams from this cluster through /v1/chat/completions.", this.clear),
      h("div", {class: "columns"},
        h("div", {class: "talk"}, this.log,
          h("form", {class: "composer", onsubmit: (event) => {
            event.preventDefault();
            this.say();
          }}, this.text, h("div", {class: "actions"}, this.stop, this.send))),
        h("aside", {class: "side", "aria-label": "Settings and tokens"}, this.settings.element,
          h("section", {class: "panel"}, h("h2", null, "Token"), legend, this.panel))));
  }

  open(main) {
    main.append(this.element);
    this.settings.loadModels();
    return live.on(["hello"], () => this.settings.loadModels());
  }
  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.say();
  }
  forget() {
    this.abort?.abort();
    this.history = [];
    this.log.replaceChildren(this.empty);
    this.panel.hidden = true;
    this.text.focus();
  }

  async say() {
    const text = this.text.value.trim();
    if (!text || this.abort) return;
    this.text.value = "";
    this.empty.remove();
    this.history.push({role: "user", content: text});
    this.log.append(h("article", {class: "turn user"}, h("h2", null, "You"), h("p", {class: "said"}, text)));
    this.busy(true);
    const turn = h("article", {class: "turn assistant", "aria-busy": "true"}, h("h2", null, this.settings.model.value || "Model"));
    this.log.append(turn);
    const history = this.history;
    const said = await this.listen(turn, history);
    turn.removeAttribute("aria-busy");
    if (said) history.push({role: "assistant", content: said});
    else history.pop();
    this.busy(false);
  }

  /** Streams one answer into `turn`; returns its text. */
  async listen(turn, history) {
    const coloured = new TokenText(this.panel);
    turn.append(coloured.element);
    const pieces = new TokenPieces();
    const times = {sent: performance.now(), first: NaN, last: NaN, pieces: 0};
    let text = "", usage = null, reason = "stop";
    this.abort = new AbortController();
    try {
      for await (const event of answer(this.settings.body(history), this.abort.signal)) {
        usage = event.usage ?? usage;
        const choice = event.choices[0];
        if (!choice) continue;
        reason = choice.finish_reason ?? reason;
        const content = choice.delta.content ?? "";
        const entries = choice.logprobs?.content ?? [];
        if (!content && !entries.length) continue;
        times.last = performance.now();
        if (!times.pieces++) times.first = times.last;
        text += content;
        coloured.append(pieces.push(content, entries, choice.troupe?.drafted));
        this.follow();
      }
    } catch (error) {
      reason = error.name === "AbortError" ? "stopped" : "error";
      if (reason === "error") turn.append(h("p", {class: "error", role: "alert"}, error.message));
    }
    if (times.pieces) turn.append(costs(times, usage, reason));
    else if (reason === "stopped") turn.append(h("p", {class: "muted"}, "Stopped before the first token."));
    this.follow();
    return text;
  }

  /** Keeps the end in view while it is. */
  follow() {
    const log = this.log;
    if (log.scrollHeight - log.scrollTop - log.clientHeight < 160) log.scrollTop = log.scrollHeight;
  }
  busy(yes) {
    if (!yes) this.abort = null;
    this.send.disabled = yes;
    this.stop.disabled = !yes;
    if (!yes && document.activeElement === document.body) this.text.focus();
  }
}

let page = null;
export const chat = {name: "chat", title: "Chat", open: (main) => (page ??= new ChatPage()).open(main)};
