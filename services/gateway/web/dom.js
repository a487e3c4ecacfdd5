// Elements and numbers as text. Everything shown goes through text nodes: what a model or a client wrote is never HTML.

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.setAttribute("class", value);
    else if (key === "value" || key === "checked" || key === "disabled" || key === "open") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/** An HTML element: h("p", {class: "x", onclick: f}, "text", child). */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

const grouped = new Intl.NumberFormat("en", {maximumFractionDigits: 0});

export const count = (n) => grouped.format(n ?? 0);
export const percent = (share) => (Number.isFinite(share) ? `${Math.round(100 * share)} %` : "–");

/** 950 µs would be 0.95 ms; 12 ms, 1.24 s, 3 min 05 s. */
export function duration(ms) {
  if (!Number.isFinite(ms) || ms < 0) return "–";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(2)} s`;
  return `${Math.floor(ms / 60000)} min ${String(Math.floor((ms % 60000) / 1000)).padStart(2, "0")} s`;
}

export function rate(perSecond) {
  if (!Number.isFinite(perSecond)) return "–";
  return perSecond < 100 ? perSecond.toFixed(1) : count(perSecond);
}

/** A page's heading; focus goes there when the page is opened. */
export function heading(title, lead, ...aside) {
  return h("div", {class: "heading"},
    h("div", null, h("h1", {tabindex: "-1"}, title), lead ? h("p", {class: "lead"}, lead) : null),
    aside.length ? h("div", {class: "aside"}, aside) : null);
}

/** A horizontal meter with its value in words for those who do not see it. */
export function meter(share, words, kind = "") {
  const bar = h("span", {class: "fill"});
  bar.style.width = `${Math.max(0, Math.min(1, share || 0)) * 100}%`;
  return h("span", {class: `meter ${kind}`, role: "img", "aria-label": words}, bar);
}

/** Asks before something that cannot be taken back at once. Resolves to whether it was confirmed. */
export function confirmed(title, text, action, dangerous = false) {
  return new Promise((resolve) => {
    const heading = h("h2", {id: "confirm-title"}, title);
    const dialog = h("dialog", {class: "confirm", "aria-labelledby": "confirm-title"},
      h("form", {method: "dialog"}, heading, h("p", null, text),
        h("div", {class: "actions"},
          h("button", {value: "no", class: "quiet", autofocus: true}, "Cancel"),
          h("button", {value: "yes", class: dangerous ? "danger" : "primary"}, action))));
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** At most one call per frame, with the last arguments' view of the world. */
export function eachFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}
