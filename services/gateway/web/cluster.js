// Cluster: who is there, what flows between them, and how full each worker is. Workers can be drained and taken back here.
import {confirmed, count, eachFrame, h, heading, meter, percent, rate, svg} from "/web/dom.js";
import {live} from "/web/live.js";

const kRoles = ["gateway", "router", "prefill", "decode"];

/** A worker is slow when one of its streams gets less than this share of what one of the others' median worker gets. */
const kSlowShare = 0.5;

/** Names of the slow ones of [{name, stream}], tokens a second of one stream; null says nothing. Pure, so that it is tested by itself. */
export function slowOnes(workers) {
  const known = workers.filter((w) => w.stream !== null);
  return new Set(known.filter((w) => {
    const others = known.filter((o) => o !== w).map((o) => o.stream).sort((a, b) => a - b);
    return others.length > 0 && w.stream < kSlowShare * others[others.length >> 1];
  }).map((w) => w.name));
}

function slowNow(nodes) {
  return slowOnes(nodes.filter((n) => n.role === "decode" && !n.draining).map((n) => ({name: n.name, stream: live.rates(n.name).stream})));
}

function stateOf(node, slow) {
  if (node.hung) return ["hangs", "bad"];
  if (node.silent_ms > 1500) return [`silent for ${(node.silent_ms / 1000).toFixed(1)} s`, "warn"];
  if (node.draining) return ["drained", "warn"];
  if (slow.has(node.name)) return ["slow", "warn"];
  return node.busy ? ["busy", "busy"] : ["ready", "ok"];
}

/** A worker that was given no name has its address in it: "decode@tcp://127.0.0.1:7001" is shown as "decode :7001", and
 *  "decode@tcp://10.0.0.5:7400" of another machine or container, where ports are all the same, as "decode 10.0.0.5". */
export const shortName = (name) => name.replace(/@tcp:\/\/127\.0\.0\.1(:\d+)$/, " $1").replace(/@tcp:\/\/(.*):\d+$/, " $1");

const sum = (node, field) => node.loads.reduce((all, load) => all + load[field], 0);

/** Places boxes of a row of the map; a full row wraps below. */
function rowOf(nodes, y, width, perRow) {
  return nodes.map((node, i) => {
    const line = Math.floor(i / perRow);
    const inLine = Math.min(perRow, nodes.length - line * perRow);
    return {node, x: (width / (inLine + 1)) * ((i % perRow) + 1), y: y + line * 64};
  });
}

/** Where boxes and the flows between them go. Pure, so that it is tested by itself. */
export function layout(nodes, width) {
  const perRow = Math.max(1, Math.floor(width / 150));
  const of = (role) => nodes.filter((n) => n.role === role);
  const gateways = rowOf(of("gateway"), 40, width, perRow);
  let y = 40 + 64 * Math.ceil(Math.max(1, gateways.length) / perRow) + 26;
  const routers = rowOf([{role: "router", name: "router", loads: []}], y, width, perRow);
  y += 90;
  const prefill = rowOf(of("prefill"), y, width, perRow);
  if (prefill.length) y += 64 * Math.ceil(prefill.length / perRow) + 26;
  const decode = rowOf(of("decode"), y, width, perRow);
  y += 64 * Math.ceil(Math.max(1, decode.length) / perRow);
  const flows = [];
  for (const g of gateways) for (const r of routers) flows.push({from: g, to: r, kind: "control"});
  for (const r of routers) for (const w of [...prefill, ...decode]) flows.push({from: r, to: w, kind: "control"});
  for (const p of prefill) for (const d of decode) flows.push({from: p, to: d, kind: "pages"});
  return {boxes: [...gateways, ...routers, ...prefill, ...decode], flows, height: y - 24};
}

function flowStrength({from, to, kind}) {
  if (kind === "pages") return Math.min(from.node.placed_prefills ?? 0, to.node.placed ?? 0, 4);
  const worker = to.node.role === "router" ? from.node : to.node;
  return Math.min((worker.placed ?? 0) + (worker.placed_prefills ?? 0), 6);
}

/** What a box of the map has room for: of a name with an address the address, since its row tells the role. */
export function fitting(name) {
  const short = shortName(name);
  const shown = short.length > 16 ? short.slice(short.lastIndexOf(" ") + 1) : short;
  return shown.length > 16 ? `${shown.slice(0, 15)}…` : shown;
}

function drawMap(nodes, width, slow) {
  const {boxes, flows, height} = layout(nodes, width);
  const words = kRoles.map((role) => [role, boxes.filter((b) => b.node.role === role).length]).filter(([, n]) => n)
    .map(([role, n]) => `${n} ${role}`).join(", ");
  return svg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, class: "map", role: "img", "aria-label": `Map: ${words}`},
    flows.map((flow) => {
      const {from, to, kind} = flow, strength = flowStrength(flow);
      const a = from.y + 20, b = to.y - 20, middle = (a + b) / 2;
      const path = svg("path", {class: `flow ${kind} ${strength ? "on" : ""}`,
        d: `M${from.x} ${a}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${b}`});
      path.style.strokeWidth = 1 + strength * 0.5;
      return path;
    }),
    boxes.map(({node, x, y}) => {
      const [, kind] = node.role === "router" ? ["", live.cluster?.joined ? "ok" : "bad"] : stateOf(node, slow);
      const under = node.role === "router" ? (live.cluster?.joined ? "answers" : "does not answer")
        : node.role === "gateway" ? "HTTP" : `${sum(node, "running")} running, ${sum(node, "waiting")} waiting`;
      return svg("g", {class: `box ${kind}`, transform: `translate(${x} ${y})`},
        svg("rect", {x: -66, y: -20, width: 132, height: 40, rx: 8}),
        svg("circle", {cx: -54, cy: -5, r: 4}),
        svg("text", {x: -44, y: -1, class: "name"}, fitting(node.name)),
        svg("text", {x: -44, y: 13, class: "under"}, under));
    }));
}

/** One worker: state, queue, pages, rates, and the buttons. Kept and changed, so that focus and scroll stay. */
class WorkerCard {
  constructor(name) {
    this.title = h("h3", null, shortName(name));
    this.badge = h("span", {class: "badge"});
    this.role = h("span", {class: "muted"});
    this.figures = h("div", {class: "figures"});
    this.drain = h("button", {class: "quiet", type: "button", onclick: () => this.toggle()});
    this.kill = h("button", {class: "danger", type: "button", onclick: () => this.killIt()}, "Kill");
    this.said = h("p", {class: "said muted", role: "status"});
    this.element = h("li", {class: "card", "data-worker": name},
      h("div", {class: "card-head"}, this.title, this.badge), this.role, this.figures,
      h("div", {class: "actions"}, this.drain, this.kill), this.said);
    this.name = name;
  }
  show(node, operations, slow) {
    this.node = node;
    const [words, kind] = stateOf(node, slow);
    this.badge.className = `badge ${kind}`;
    this.badge.textContent = words;
    this.role.textContent = `${node.role} · ${node.address}`;
    const may = operations === "drain" || operations === "kill";
    this.drain.hidden = !may;
    this.kill.hidden = operations !== "kill";
    this.drain.textContent = node.draining ? "Undrain" : "Drain";
    this.drain.setAttribute("aria-label", `${this.drain.textContent} ${shortName(this.name)}`);
    this.kill.setAttribute("aria-label", `Kill ${shortName(this.name)}`);
    const {generated, prompts, stream} = live.rates(this.name);
    this.figures.replaceChildren(...node.loads.flatMap((load) => this.load(load)),
      h("dl", {class: "numbers"},
        h("div", null, h("dt", null, "prompt tokens / s"), h("dd", null, rate(prompts))),
        h("div", null, h("dt", null, "generated / s"), h("dd", null, rate(generated))),
        h("div", null, h("dt", null, "of one stream / s"), h("dd", null, stream === null ? "–" : rate(stream))),
        h("div", null, h("dt", null, "placed"), h("dd", null, count(node.placed + node.placed_prefills)))));
  }
  load(load) {
    const used = load.pages_total - load.pages_free;
    const held = Math.max(0, used - load.pages_cached);
    const seats = load.running + load.waiting;
    return [
      h("p", {class: "model"}, load.model),
      h("div", {class: "row"}, h("span", null, "KV pages"),
        meter(load.pages_total ? used / load.pages_total : 0, `${count(held)} pages in use, ${count(load.pages_cached)} cached, ` +
          `${count(load.pages_total)} in all`), h("span", {class: "value"}, `${count(used)} / ${count(load.pages_total)}`)),
      h("div", {class: "row"}, h("span", null, "Sequences"),
        meter(load.capacity ? seats / load.capacity : 0, `${seats} of ${load.capacity} places taken`, "second"),
        h("span", {class: "value"}, `${load.running} + ${load.waiting}`)),
      h("div", {class: "row"}, h("span", null, "Cache hits"),
        meter(load.prompt_tokens + load.cached_tokens ? load.cached_tokens / (load.prompt_tokens + load.cached_tokens) : 0,
          `${count(load.cached_tokens)} prompt tokens came from the cache`, "third"),
        h("span", {class: "value"}, percent(load.cached_tokens / (load.prompt_tokens + load.cached_tokens)))),
    ];
  }
  async order(operation) {
    this.said.textContent = "…";
    try {
      const response = await fetch(`/cluster/workers/${encodeURIComponent(this.name)}/${operation}`, {method: "POST"});
      this.said.textContent = response.ok ? "" : (await response.json()).error.message;
    } catch (error) {
      this.said.textContent = error.message;
    }
  }
  async toggle() {
    if (this.node.draining) return this.order("undrain");
    const running = sum(this.node, "running");
    const yes = await confirmed(`Drain ${shortName(this.name)}?`, "It takes nothing new, and its streams move to other workers while they go " +
      `on${running ? ` (${running} now)` : ""}. You can undrain it here.`, "Drain");
    this.drain.focus();
    if (yes) await this.order("drain");
  }
  async killIt() {
    const yes = await confirmed(`Kill ${shortName(this.name)}?`, "Its process ends at once, as by a crash. Its streams go on at other workers; " +
      "its cache is lost.", "Kill", true);
    if (yes) await this.order("kill");
  }
}

class ClusterPage {
  open(main) {
    this.cards = new Map();
    this.mapBox = h("div", {class: "panel map-box"});
    this.summary = h("dl", {class: "tiles"});
    this.list = h("ul", {class: "cards"});
    this.none = h("p", {class: "empty"}, "No worker is known yet.");
    main.append(heading("Cluster", "Actors, what flows between them, and how full each worker is."), this.summary, this.mapBox,
      h("h2", null, "Workers"), this.none, this.list);
    const draw = eachFrame(() => this.draw());
    const sized = new ResizeObserver(draw);
    sized.observe(this.mapBox);
    const end = live.on(["cluster", "gateway", "hello", "state"], draw);
    draw();
    return () => {
      sized.disconnect();
      end();
    };
  }
  draw() {
    const nodes = live.cluster?.nodes ?? [];
    const workers = live.workers();
    this.none.hidden = workers.length > 0;
    this.drawSummary(workers);
    const slow = slowNow(nodes);
    const width = Math.max(280, Math.floor(this.mapBox.clientWidth - 24));
    this.mapBox.hidden = !live.cluster;
    if (live.cluster) this.mapBox.replaceChildren(drawMap(nodes, width, slow));
    for (const name of this.cards.keys()) {
      if (workers.some((w) => w.name === name)) continue;
      this.cards.get(name).element.remove();
      this.cards.delete(name);
    }
    for (const node of workers) {
      if (!this.cards.has(node.name)) {
        this.cards.set(node.name, new WorkerCard(node.name));
        this.list.append(this.cards.get(node.name).element);
      }
      this.cards.get(node.name).show(node, live.hello?.operations, slow);
    }
  }
  drawSummary(workers) {
    const tile = (name, value, unit) => h("div", {class: "tile"}, h("dt", null, name), h("dd", null, value, unit ? h("small", null, ` ${unit}`) : null));
    const total = (field) => workers.reduce((all, w) => all + sum(w, field), 0);
    const rates = workers.map((w) => live.rates(w.name));
    const ready = workers.filter((w) => !w.draining && !w.hung).length;
    this.summary.replaceChildren(
      tile("Workers ready", `${ready} / ${workers.length}`),
      tile("In flight", count(live.gateway?.in_flight), "at this gateway"),
      tile("Running", count(total("running")), `${count(total("waiting"))} waiting`),
      tile("Generated", rate(rates.reduce((all, r) => all + r.generated, 0)), "tokens / s"),
      tile("Prompts", rate(rates.reduce((all, r) => all + r.prompts, 0)), "tokens / s"));
  }
}

export const cluster = {name: "cluster", title: "Cluster", open: (main) => new ClusterPage().open(main)};
