// Techniques: the registry, what each does to an answer, and switches for the chat's requests where a request may choose.
import {h, heading} from "/web/dom.js";
import {setSwitch, switches} from "/web/switches.js";

const classes = {
  exact: "the same bytes as plain decoding",
  law: "the same distribution",
  lossy: "another answer: only when asked for, and the response says so",
};

/** A link for "arXiv:2403.02310"; the rest stays text. */
function paper(text) {
  const found = text.match(/arXiv:(\d{4}\.\d{4,5})/);
  if (!found) return text;
  return [text.slice(0, found.index), h("a", {href: `https://arxiv.org/abs/${found[1]}`, rel: "noopener noreferrer", target: "_blank"},
    found[0]), text.slice(found.index + found[0].length)];
}

function switchOf(technique) {
  if (!technique.request) return h("span", {class: "muted"}, technique.option ? "set at start" : "always on");
  const chosen = switches()[technique.request];
  const select = h("select", {"aria-label": `${technique.name} for the chat's requests`, onchange: () =>
    setSwitch(technique.request, select.value === "" ? undefined : select.value === "on")},
  [["", "as started"], ["on", "on"], ["off", "off"]].map(([value, text]) => new Option(text, value)));
  select.value = chosen === undefined ? "" : chosen ? "on" : "off";
  return select;
}

export function techniqueTable(techniques, options) {
  const row = (t) => h("tr", null,
    h("th", {scope: "row"}, t.name, h("p", {class: "muted"}, t.summary)),
    h("td", null, h("span", {class: `badge class-${t.class}`, title: classes[t.class]}, t.class)),
    h("td", null, t.service), h("td", null, t.needs), h("td", null, paper(t.paper)),
    h("td", null, t.option ? [h("code", null, t.option), h("br"), options[t.option] || "–"] : "–"),
    h("td", null, switchOf(t)));
  return h("table", {class: "grid techniques"},
    h("thead", null, h("tr", null, ["Technique", "Class", "Where", "Needs", "Paper", "Here", "Chat's requests"].map((t) => h("th", {scope: "col"}, t)))),
    h("tbody", null, techniques.map(row)));
}

/** Option names to their values as text, from /config. */
export function optionTexts(config) {
  return Object.fromEntries(Object.entries(config ?? {}).map(([name, option]) => [name, option.text]));
}

class TechniquesPage {
  open(main) {
    this.table = h("div", {class: "scroll panel", tabindex: "0", role: "region", "aria-label": "Techniques"}, h("p", {class: "muted"}, "Loading"));
    main.append(heading("Techniques", "What this cluster knows to do. The class says what that does to an answer."),
      h("ul", {class: "legend keys"}, Object.entries(classes).map(([name, what]) =>
        h("li", null, h("span", {class: `badge class-${name}`}, name), ` ${what}`))), this.table);
    this.load();
    return () => {};
  }
  async load() {
    try {
      const [list, config] = await Promise.all(["/techniques", "/config"].map(async (path) => (await fetch(path)).json()));
      this.table.replaceChildren(techniqueTable(list.techniques, optionTexts(config)));
    } catch (error) {
      this.table.replaceChildren(h("p", {class: "error", role: "alert"}, `The registry cannot be read: ${error.message}`));
    }
  }
}

export const techniques = {name: "techniques", title: "Techniques", open: (main) => new TechniquesPage().open(main)};
