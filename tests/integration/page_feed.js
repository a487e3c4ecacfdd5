// A cluster that stands still, so that pictures of its pages can be compared: the events of one moment, given to the page as if the
// gateway had told them. Workers in every state, a placement of each kind, requests at every stage.
const {live} = await import("/web/live.js");
live.disconnect();

const kModel = "smollm2-135m-instruct", kPages = 512, kSteps = 12, kStepMs = 500;
const hello = {...live.hello, gateway: "5f0c1a2b", operations: "kill", zero_unix_ms: 1767225600000};

// Counters of a worker after `steps`: what it generates and reads in one step, and what it holds.
const load = (steps, {generates = 0, reads = 0, running = 0, waiting = 0, free = kPages, cached = 0, hits = 0}) => ({
  model: kModel, running, waiting, capacity: 64, pages_total: kPages, pages_free: free, pages_cached: cached, pages_reserved: 0,
  queued_prompt_tokens: 40 * waiting, prompt_tokens: 4000 + reads * steps, generated_tokens: generates * steps, cached_tokens: hits});
const node = (role, port, steps, has, state = {}) => ({
  id: String(port).padStart(8, "0"), role, name: `${role}@tcp://127.0.0.1:${port}`, address: `tcp://127.0.0.1:${port}`,
  draining: false, hung: false, busy: false, silent_ms: 40, placed: has?.running ?? 0, placed_prefills: 0,
  loads: has ? [load(steps, has)] : [], ...state});
const nodes = (steps) => [
  node("gateway", 7430, steps, null),
  node("prefill", 7410, steps, {reads: 600, running: 1, free: 380, cached: 96, hits: 1200}, {busy: true, placed_prefills: 2}),
  node("decode", 7420, steps, {generates: 90, reads: 50, running: 4, waiting: 1, free: 204, cached: 140, hits: 2600}, {busy: true}),
  node("decode", 7421, steps, {generates: 20, reads: 10, running: 3, free: 350, cached: 64, hits: 900}, {busy: true}),
  node("decode", 7422, steps, {free: 500, cached: 12, hits: 300}, {draining: true}),
  node("decode", 7423, steps, {free: 512}, {silent_ms: 2600}),
];

let at = 0;
live.now = () => at;
live.onHello(hello);
live.offset = 0;
live.set("gateway", {in_flight: 8, http_in_flight: 9, connections: 12, text_queue: 0, draining: false});
for (let step = 0; step <= kSteps; ++step) {
  at = step * kStepMs;
  live.onCluster({joined: true, router: "0a1b2c3d", nodes: nodes(step)});
}

const candidate = (port, role, cached, load, queue, prefill, transfer, decode, others) => ({
  worker: `${role}@tcp://127.0.0.1:${port}`, cached_tokens: cached, cache_is_predicted: false, load, capacity: 64, queued_tokens: load * 40,
  pages_available: 480 - 60 * load,
  terms_us: {queue, prefill, transfer, decode, others, score: queue + prefill + transfer + decode + others},
  first_token_us: queue + prefill + transfer + decode});
const placed = (request, more) => ({request, epoch: 1, model: kModel, policy: "predicted_ttft", prompt_tokens: 640, prefill: null, fetch: null,
  took_us: 212000, reason: "soonest first token", sources: [], prefill_candidates: [], ...more});
live.onPlacements([
  placed("9b3e11d0", {refused: "the first token would come later than router.first_token_slo", retry_after_ms: 1500, decode_candidates: []}),
  placed("c4d20a77", {decode: "decode@tcp://127.0.0.1:7421", epoch: 2, decode_candidates: [candidate(7421, "decode", 0, 3, 9000, 310000, 0, 42000, 8000)]}),
  placed("71aa52fe", {decode: "decode@tcp://127.0.0.1:7420", prefill: "prefill@tcp://127.0.0.1:7410",
    decode_candidates: [candidate(7420, "decode", 448, 4, 12000, 96000, 21000, 51000, 14000),
      candidate(7421, "decode", 64, 3, 9000, 290000, 30000, 42000, 8000),
      {...candidate(7423, "decode", 0, 0, 0, 0, 0, 0, 0), terms_us: undefined, first_token_us: undefined}],
    prefill_candidates: [candidate(7410, "prefill", 128, 1, 4000, 152000, 0, 0, 3000)]}),
]);

const request = (number, ends, more) => ({number, id: (0x5a0000 + 7919 * number).toString(16).padStart(8, "0"), model: kModel, chat: true, stream: true,
  arrived: 100 * number, prepared: 100 * number + 3, placed: 100 * number + 9, started: 100 * number + 60 + 11 * (number % 7),
  ended: ends ? 100 * number + 400 + 37 * (number % 11) : -1, decode: `decode@tcp://127.0.0.1:${7420 + (number % 2)}`, prefill: "",
  prompt_tokens: 90 + 13 * (number % 9), cached_tokens: 64, completion_tokens: 8 + (number % 24), placements: 1, status: ends ? 200 : 0, ...more});
const rows = Array.from({length: 24}, (_, i) => request(i + 1, true, {}));
Object.assign(rows[23], {started: -1, ended: -1, placed: -1, decode: "", status: 0, completion_tokens: 0, arrived: 5700, prepared: 5704});
Object.assign(rows[22], {ended: -1, status: 0, arrived: 5400, prepared: 5403, placed: 5410, started: 5520});
Object.assign(rows[21], {status: 499});
Object.assign(rows[20], {status: 503, started: -1, placements: 2, completion_tokens: 0});
Object.assign(rows[18], {prefill: "prefill@tcp://127.0.0.1:7410", placements: 2});
live.onRequests(rows.map((row) => hello.columns.map((name) => row[name])));
