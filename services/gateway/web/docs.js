// The API's document as a page. Everything shown goes through text nodes.
(() => {
  "use strict";
  const main = document.getElementById("main");
  const contents = document.getElementById("contents");
  let api = null;

  function h(tag, props, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(props ?? {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
    return element;
  }

  /** What a reference stands for; other schemas stand for themselves. */
  function resolved(node) {
    if (!node || !node.$ref) return node;
    return node.$ref.slice(2).split("/").reduce((at, name) => at[name], api);
  }

  const nameOf = (node) => node.$ref ? node.$ref.split("/").pop() : "";

  function words(schema) {
    if (schema.$ref) return [nameOf(schema)];
    if (schema.anyOf) return schema.anyOf.flatMap(words);
    if (schema.const !== undefined) return [JSON.stringify(schema.const)];
    if (schema.enum) return schema.enum.filter((v) => v !== null).map((v) => JSON.stringify(v));
    return [schema.type ?? "any"].flat().filter((type) => type !== "null")
      .map((type) => type === "array" && schema.items ? `array of ${typeText(schema.items)}` : type);
  }

  /** "string or array of ChatMessage"; null, which everything may be, is left out. */
  function typeText(schema) {
    return [...new Set(words(schema))].join(" or ");
  }

  /** Bounds and default, each as a phrase. */
  function limits(schema) {
    const out = [];
    if (schema.minimum !== undefined && schema.maximum !== undefined) out.push(`${schema.minimum} to ${schema.maximum}`);
    else if (schema.minimum !== undefined) out.push(`at least ${schema.minimum}`);
    if (schema.minItems !== undefined) out.push(`at least ${schema.minItems}`);
    if (schema.pattern !== undefined) out.push(schema.pattern);
    if (schema.default !== undefined) out.push(`default ${JSON.stringify(schema.default)}`);
    return out.join("; ") || "–";
  }

  /** Objects that a value may hold: their schemas, which have names where they are referred to. */
  function inner(schema) {
    if (schema.$ref) return [schema];
    if (schema.anyOf) return schema.anyOf.flatMap(inner);
    if (schema.items) return inner(schema.items);
    return schema.properties ? [schema] : [];
  }

  /** Opened, it makes what it holds: schemas may refer to themselves. */
  function lazily(props, summary, make) {
    let made = false;
    const details = h("details", props, h("summary", null, summary));
    details.addEventListener("toggle", () => {
      if (!details.open || made) return;
      made = true;
      details.append(make());
    });
    return details;
  }

  function fieldRow(name, schema, required) {
    const held = inner(schema).map((each) =>
      lazily(null, nameOf(each) || `fields of ${name}`, () => fieldTable(resolved(each), nameOf(each) || name)));
    return [h("tr", {class: held.length ? "holds" : null},
      h("th", {scope: "row"}, h("code", null, name), required ? h("span", {class: "badge warn"}, "required") : null),
      h("td", null, h("code", null, typeText(schema))), h("td", null, limits(schema)),
      h("td", null, schema.description ?? "")),
    held.length ? h("tr", null, h("td", {class: "held", colspan: "4"}, held)) : null];
  }

  function table(label, head, rows) {
    return h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": label},
      h("table", {class: "grid fields"}, h("thead", null, h("tr", null, head.map((t) => h("th", {scope: "col"}, t)))),
        h("tbody", null, rows)));
  }

  function fieldTable(schema, label) {
    const required = new Set(schema.required ?? []);
    const rows = Object.entries(schema.properties ?? {}).map(([name, each]) => fieldRow(name, each, required.has(name)));
    if (!rows.length) return h("p", {class: "muted"}, typeText(schema));
    return table(`Fields of ${label}`, ["Field", "Type", "Bounds and default", "What it is"], rows);
  }

  function parameterTable(list) {
    const rows = list.map((p) => fieldRow(p.name, {...p.schema, description: `${p.description} (${p.in})`}, p.required));
    return table("Parameters", ["Parameter", "Type", "Bounds and default", "What it is"], rows);
  }

  function contentTable(content) {
    return Object.entries(content ?? {}).map(([type, {schema}]) => {
      const shown = inner(schema).map((each) => lazily(null, nameOf(each) || "Fields", () => fieldTable(resolved(each), nameOf(each) || type)));
      return h("div", null, h("code", null, type), shown);
    });
  }

  function answerRow(status, answer) {
    const codes = answer["x-codes"];
    const told = codes ? lazily(null, `${codes.length} error ${codes.length === 1 ? "code" : "codes"}`, () => h("dl", {class: "codes"}, codes.flatMap((c) =>
      [h("dt", null, h("code", null, c.code), h("span", {class: "badge"}, `retry ${c.retry}`)), h("dd", null, c.text)]))) : answer.description;
    return h("tr", null, h("th", {scope: "row"}, h("span", {class: `badge ${status < 400 ? "ok" : status < 500 ? "warn" : "bad"}`}, status)),
      h("td", null, contentTable(answer.content)), h("td", null, told));
  }

  function inside(operation) {
    const body = operation.requestBody?.content;
    return h("div", {class: "inside"},
      operation.parameters ? h("div", null, h("h3", null, "Parameters"), parameterTable(operation.parameters)) : null,
      body ? Object.entries(body).map(([type, {schema}]) => h("div", null, h("h3", null, "Request, ", h("code", null, type)),
        fieldTable(resolved(schema), nameOf(schema)))) : null,
      h("div", null, h("h3", null, "Answers"), table("Answers", ["Status", "Content", "When"],
        Object.entries(operation.responses).map(([status, answer]) => answerRow(status, resolved(answer))))));
  }

  function operationOf(method, path, operation) {
    const summary = [h("span", {class: `badge method ${method === "get" ? "ok" : method === "post" ? "busy" : "bad"}`}, method.toUpperCase()),
      h("code", null, path), h("span", {class: "muted"}, operation.summary)];
    return lazily({class: "operation", id: operation.operationId, "data-text": `${method} ${path} ${operation.summary}`.toLowerCase()},
      summary, () => inside(operation));
  }

  function sections() {
    const byTag = new Map(api.tags.map((tag) => [tag.name, []]));
    for (const [path, methods] of Object.entries(api.paths))
      for (const [method, operation] of Object.entries(methods)) byTag.get(operation.tags[0]).push([method, path, operation]);
    return byTag;
  }

  function find(text) {
    const wanted = text.trim().toLowerCase();
    let found = 0;
    for (const section of main.querySelectorAll("section")) {
      let left = 0;
      for (const each of section.querySelectorAll(".operation")) {
        each.hidden = !each.dataset.text.includes(wanted);
        left += each.hidden ? 0 : 1;
      }
      section.hidden = left === 0;
      found += left;
    }
    document.getElementById("found").textContent = `${found} operations`;
  }

  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target?.classList.contains("operation")) return;
    target.open = true;
    target.scrollIntoView({block: "start"});
    target.querySelector("summary").focus({preventScroll: true});
  }

  function show() {
    const groups = [...sections()];
    const schemes = Object.values(api.components.securitySchemes).map((s) => s.scheme ?? s.name).join(", ");
    main.replaceChildren(
      h("h1", {tabindex: "-1"}, "API"), h("p", {class: "lead"}, api.info.description),
      h("p", {class: "muted"}, `Keys, where there are any: ${schemes}.`),
      h("label", {class: "field find"}, h("span", null, "Find an operation"),
        h("input", {type: "text", autocomplete: "off", oninput: (event) => find(event.target.value)})),
      h("p", {id: "found", class: "muted", role: "status"}),
      ...groups.map(([tag, list]) => h("section", {"aria-label": tag}, h("h2", null, tag), list.map((each) => operationOf(...each)))));
    contents.replaceChildren(...groups.flatMap(([tag, list]) =>
      [h("p", null, tag), ...list.map(([method, path, operation]) =>
        h("a", {href: `#${operation.operationId}`}, `${method.toUpperCase()} ${path}`))]));
    find("");
    openTarget();
  }

  async function load() {
    try {
      const answer = await fetch("/openapi.json");
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      api = await answer.json();
      show();
    } catch (error) {
      main.replaceChildren(h("p", {class: "error", role: "alert"}, `The document cannot be read: ${error.message}`));
    }
  }

  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  window.addEventListener("hashchange", openTarget);
  load();
})();
