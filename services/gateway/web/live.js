// What the gateway tells over /events/cluster, kept for every page. One stream, while the tab is visible; after a break all is
// told again from the start, so nothing has to be put together from two streams.

const kMaxRequests = 10000;
const kMaxPlacements = 64;

/** Rates need two looks; older ones are forgotten. What one stream gets is told over a longer time, since streams come and go. */
const kRateWindowMs = 3000;
const kStreamWindowMs = 12000;
const kLeastStreamMs = 4000;

export class Live extends EventTarget {
  constructor(open = () => new EventSource("/events/cluster"), now = () => performance.now()) {
    super();
    this.open = open;
    this.now = now;
    this.state = "waiting";  // waiting, live, lost
    this.forget();
  }

  forget() {
    this.hello = null;
    this.gateway = null;
    this.cluster = null;
    this.offset = 0;              // of this page's clock to the request log's
    this.placements = [];         // the newest first
    this.requests = new Map();    // number -> row
    this.looks = [];              // {at, generated, prompts, running} per worker name, for rates
  }

  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.disconnect() : this.connect()));
    if (!document.hidden) this.connect();
  }

  connect() {
    if (this.source) return;
    clearTimeout(this.again);
    const source = (this.source = this.open());
    source.addEventListener("hello", (e) => this.onHello(JSON.parse(e.data)));
    source.addEventListener("clock", (e) => (this.offset = this.now() - Number(e.data)));
    source.addEventListener("gateway", (e) => this.set("gateway", JSON.parse(e.data)));
    source.addEventListener("cluster", (e) => this.onCluster(JSON.parse(e.data)));
    source.addEventListener("placements", (e) => this.onPlacements(JSON.parse(e.data)));
    source.addEventListener("requests", (e) => this.onRequests(JSON.parse(e.data)));
    source.onerror = () => {
      this.disconnect();
      this.setState("lost");
      this.again = setTimeout(() => this.connect(), 1000);
    };
  }

  disconnect() {
    clearTimeout(this.again);
    this.source?.close();
    this.source = null;
  }

  onHello(hello) {
    this.forget();
    this.hello = hello;
    this.setState("live");
    this.tell("hello");
    this.tell("requests");
    this.tell("placements");
  }

  onCluster(cluster) {
    this.cluster = cluster;
    const at = this.now();
    const sums = new Map(cluster.nodes.map((node) => [node.name, {
      generated: node.loads.reduce((sum, load) => sum + load.generated_tokens, 0),
      prompts: node.loads.reduce((sum, load) => sum + load.prompt_tokens, 0),
      running: node.loads.reduce((sum, load) => sum + load.running, 0),
    }]));
    for (const [name, sum] of sums) {  // another process took the name: what the one before counted says nothing of it
      const before = this.looks.at(-1)?.sums.get(name);
      if (before && (sum.generated < before.generated || sum.prompts < before.prompts)) this.looks.forEach((look) => look.sums.delete(name));
    }
    this.looks.push({at, sums});
    while (this.looks.length > 2 && at - this.looks[0].at > kStreamWindowMs) this.looks.shift();
    this.tell("cluster");
  }

  onPlacements(placements) {
    const key = (p) => `${p.request}/${p.epoch}`;
    const fresh = new Map(placements.map((p) => [key(p), p]));
    const kept = this.placements.map((p) => {
      const newer = fresh.get(key(p));
      fresh.delete(key(p));
      return newer ?? p;
    });
    this.placements = [...[...fresh.values()].reverse(), ...kept].slice(0, kMaxPlacements);
    this.tell("placements");
  }

  onRequests(rows) {
    let newest = 0;
    for (const row of rows) {
      const request = Object.fromEntries(this.hello.columns.map((name, i) => [name, row[i]]));
      this.requests.set(request.number, request);
      newest = Math.max(newest, request.number);
    }
    // Rows come by when they changed; the oldest ones leave by their number.
    if (this.requests.size > kMaxRequests)
      for (const number of this.requests.keys()) if (number <= newest - kMaxRequests) this.requests.delete(number);
    this.tell("requests");
  }

  /** Milliseconds on the request log's clock. */
  logNow() {
    return this.now() - this.offset;
  }

  /** How a worker's counters grew over this time, at least between the last two looks: {seconds, generated, prompts, running}, the last
   *  its mean; null when it was not seen twice. */
  growth(name, windowMs) {
    const last = this.looks.at(-1);
    const seen = this.looks.filter((look, i) => (last.at - look.at <= windowMs || i >= this.looks.length - 2) && look.sums.has(name));
    const a = seen[0]?.sums.get(name), b = last?.sums.get(name), seconds = (last?.at - seen[0]?.at) / 1000;
    if (!a || !b || !(seconds > 0)) return null;
    const running = seen.reduce((all, look) => all + look.sums.get(name).running, 0) / seen.length;
    return {seconds, generated: b.generated - a.generated, prompts: b.prompts - a.prompts, running};
  }

  /** Tokens a second of a worker over the last seconds: {generated, prompts, stream}, the last of one stream (null where none runs, or
   *  not for long). */
  rates(name) {
    const recent = this.growth(name, kRateWindowMs), longer = this.growth(name, kStreamWindowMs);
    const per = (field) => (recent ? recent[field] / recent.seconds : 0);
    return {generated: per("generated"), prompts: per("prompts"),
      stream: longer?.running >= 0.5 && longer.seconds * 1000 >= kLeastStreamMs ? longer.generated / longer.seconds / longer.running : null};
  }

  workers() {
    return this.cluster?.nodes.filter((n) => n.role === "decode" || n.role === "prefill") ?? [];
  }

  set(name, value) {
    this[name] = value;
    this.tell(name);
  }
  setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.tell("state");
  }
  tell(what) {
    this.dispatchEvent(new Event(what));
  }
  /** Calls `work` on any of these events; returns how to end that. */
  on(events, work) {
    for (const event of events) this.addEventListener(event, work);
    return () => events.forEach((event) => this.removeEventListener(event, work));
  }
}

export const live = new Live();
