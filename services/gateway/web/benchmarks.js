// Benchmarks: plots of runs that `troupe bench --json` recorded, from this machine's folder or from a file that is dropped here.
import {count, duration, h, heading, rate} from "/web/dom.js";
import {distribution, plot} from "/web/plot.js";

const ms = (ns) => ns / 1e6;

/** What is plotted of one run, or an Error with what is wrong with it. Pure. */
export function readRun(text) {
  let run;
  try {
    run = JSON.parse(text);
  } catch {
    return new Error("this is no JSON");
  }
  const endpoints = run?.endpoints;
  if (!Array.isArray(endpoints) || !endpoints.length || !endpoints.every((e) => e?.summary && Array.isArray(e.records)))
    return new Error("this is no run of troupe bench --json: it has no endpoints with records");
  return {
    settings: run.settings ?? {}, comparison: run.comparison, foreign: run.foreign_share, interrupted: Boolean(run.interrupted),
    endpoints: endpoints.map((e, i) => {
      const good = e.records.filter((r) => !r.error);
      return {
        name: `${e.model} at ${e.place}${endpoints.length > 1 ? ` (${i ? "second" : "first"})` : ""}`, summary: e.summary,
        first: good.filter((r) => r.first_token_ns !== undefined).map((r) => ms(r.first_token_ns)),
        whole: good.map((r) => ms(r.ended_ns - r.due_ns)),
        over: good.filter((r) => r.first_token_ns !== undefined).map((r) => [r.due_ns / 1e9, ms(r.first_token_ns)]),
      };
    }),
  };
}

const kRows = [["time_to_first_token_ms", "Time to first token"], ["between_tokens_ms", "Between tokens"], ["end_to_end_ms", "End to end"]];

function numbers(run) {
  const head = ["", ...(run.endpoints.length > 1 ? ["Endpoint"] : []), "p50", "p90", "p99", "mean", "max"];
  return h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Latencies"}, h("table", {class: "grid"},
    h("thead", null, h("tr", null, head.map((t) => h("th", {scope: "col"}, t || h("span", {class: "sr"}, "Latency"))))),
    h("tbody", null, kRows.flatMap(([field, label]) => run.endpoints.map((e, i) => h("tr", null,
      h("th", {scope: "row"}, label), run.endpoints.length > 1 ? h("td", null, h("span", {class: `key c${i}`, "aria-hidden": "true"}), e.name) : null,
      ["p50", "p90", "p99", "mean", "max"].map((p) => h("td", null, duration(e.summary[field]?.[p])))))))));
}

function tiles(run) {
  const tile = (name, value, unit) => h("div", {class: "tile"}, h("dt", null, name), h("dd", null, value, unit ? h("small", null, ` ${unit}`) : null));
  return run.endpoints.map((e, i) => h("dl", {class: "tiles"},
    run.endpoints.length > 1 ? tile(i ? "Second" : "First", h("span", {class: `key c${i}`, "aria-hidden": "true"}), e.name) : null,
    tile("Answered", `${count(e.summary.answered)} / ${count(e.summary.requests)}`),
    tile("Output", rate(e.summary.output_tokens_per_second), "tokens / s"), tile("Prompts", rate(e.summary.prompt_tokens_per_second), "tokens / s"),
    tile("Cached", count(e.summary.cached_tokens), "tokens"), tile("Took", duration(e.summary.seconds * 1000))));
}

function ratios(comparison) {
  if (!comparison?.figures?.length) return null;
  return h("section", {class: "panel"}, h("h3", null, "First / second"),
    h("p", {class: "muted"}, `Medians over ${comparison.repeats} alternating repeats, with 95 % intervals.`),
    h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Ratios"}, h("table", {class: "grid"},
      h("thead", null, h("tr", null, ["Figure", "First", "Second", "Ratio", "Interval"].map((t) => h("th", {scope: "col"}, t)))),
      h("tbody", null, comparison.figures.map((f) => h("tr", null, h("th", {scope: "row"}, f.name.replaceAll("_", " ")),
        h("td", null, f.first?.toFixed(2)), h("td", null, f.second?.toFixed(2)), h("td", null, h("strong", null, `${f.ratio?.toFixed(2)}x`)),
        h("td", null, `${f.low?.toFixed(2)} to ${f.high?.toFixed(2)}`)))))));
}

function plots(run) {
  const share = {label: "share of requests", format: (t) => `${Math.round(100 * t)} %`, low: 0, high: 1};
  const time = (label) => ({label, log: true, format: (t) => duration(t)});
  const middle = (field) => run.endpoints.map((e) => `${e.name}: half within ${duration(e.summary[field]?.p50)}, 99 % within ${duration(e.summary[field]?.p99)}`).join("; ");
  const lines = (of) => run.endpoints.map((e) => ({name: e.name, kind: "line", points: distribution(of(e))}));
  return h("div", {class: "plots"},
    plot({title: "Time to first token", series: lines((e) => e.first), x: time("time"), y: share, words: middle("time_to_first_token_ms")}),
    plot({title: "End to end", series: lines((e) => e.whole), x: time("time"), y: share, words: middle("end_to_end_ms")}),
    plot({title: "First tokens over the run", series: run.endpoints.map((e) => ({name: e.name, kind: "dots", points: e.over})),
      x: {label: "seconds since the run's begin", format: (t) => String(t)}, y: {label: "time to first token", log: true, format: (t) => duration(t)},
      words: middle("time_to_first_token_ms")}));
}

export function showRun(name, run) {
  const s = run.settings;
  return h("article", {class: "run"}, h("h2", null, name),
    h("p", {class: "lead"}, [s.workload, s.load].filter(Boolean).join(" · "), run.interrupted ? h("span", {class: "badge warn"}, "stopped early") : null,
      run.foreign > 0.02 ? h("span", {class: "badge warn"}, `${(100 * run.foreign).toFixed(1)} % of the machine went to others`) : null),
    tiles(run), h("section", {class: "panel"}, plots(run)), h("section", {class: "panel"}, h("h3", null, "Latencies"), numbers(run)), ratios(run.comparison));
}

class BenchmarksPage {
  open(main) {
    this.shown = h("div", {class: "shown", "aria-live": "polite"});
    const file = h("input", {type: "file", id: "run-file", accept: ".json,application/json", class: "sr", onchange: () => this.takeFile(file.files[0])});
    this.zone = h("div", {class: "panel drop",
      ondragover: (event) => {
        event.preventDefault();
        this.zone.classList.add("over");
      },
      ondragleave: () => this.zone.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        this.zone.classList.remove("over");
        this.takeFile(event.dataTransfer.files[0]);
      }},
    h("p", null, "Drop the file of ", h("code", null, "troupe bench --json FILE"), " here, or ",
      file, h("label", {for: "run-file", class: "button"}, "choose one")));
    this.runs = h("select", {"aria-label": "Recorded runs", onchange: () => this.runs.value && this.fetchRun(this.runs.value)});
    this.folder = h("label", {class: "field inline", hidden: true}, h("span", null, "Recorded here"), this.runs);
    main.append(heading("Benchmarks", "Recorded runs: latencies, distributions, ratios.", this.folder), this.zone, this.shown);
    this.loadFolder();
    return () => {};
  }
  async loadFolder() {
    try {
      const {runs} = await (await fetch("/benchmarks")).json();
      this.folder.hidden = !runs.length;
      this.runs.replaceChildren(new Option("choose a run", ""), ...runs.map((name) => new Option(name, name)));
    } catch {
      // Without the gateway a file can still be dropped.
    }
  }
  show(name, text) {
    const run = readRun(text);
    this.shown.replaceChildren(run instanceof Error ? h("p", {class: "error", role: "alert"}, `${name}: ${run.message}`) : showRun(name, run));
  }
  async takeFile(file) {
    if (file) this.show(file.name, await file.text());
  }
  async fetchRun(name) {
    const response = await fetch(`/benchmarks/${encodeURIComponent(name)}`);
    this.show(name, await response.text());
  }
}

export const benchmarks = {name: "benchmarks", title: "Benchmarks", open: (main) => new BenchmarksPage().open(main)};
