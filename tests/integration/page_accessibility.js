// What a screen reader, a keyboard and weak eyes need of a page, checked by rules: names, landmarks, headings, ids, contrast.
// check() returns sentences that say what is wrong.

function visible(element) {
  if (element.closest("[hidden], [aria-hidden=true]")) return false;
  const box = element.getBoundingClientRect(), style = getComputedStyle(element);
  return box.width > 0 && box.height > 0 && style.visibility !== "hidden" && style.display !== "none";
}

function nameOf(element) {
  const by = element.getAttribute("aria-labelledby");
  if (by) return by.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
  const label = element.getAttribute("aria-label");
  if (label) return label.trim();
  const own = [...(element.labels ?? [])].map((l) => l.textContent).join(" ").trim();
  if (own) return own;
  if (element.matches("input, select, textarea")) return element.title;
  return (element.textContent || element.title || "").trim();
}

const where = (element) => `<${element.tagName.toLowerCase()}${element.id ? `#${element.id}` : ""} class="${element.getAttribute("class") ?? ""}"> "${(element.textContent ?? "").trim().slice(0, 30)}"`;

function names() {
  const wrong = [];
  const named = "a[href], button, input:not([type=hidden]), select, textarea, [role=img], [role=region], [role=list], [role=group], nav, dialog, svg:not([aria-hidden=true]), table *[scope]";
  for (const element of document.querySelectorAll(named)) {
    if (!visible(element) || element.closest("[role=img]") !== null && !element.matches("[role=img]")) continue;
    if (!nameOf(element)) wrong.push(`no name: ${where(element)}`);
  }
  return wrong;
}

function structure() {
  const wrong = [];
  const one = (selector) => {
    const found = document.querySelectorAll(selector).length;
    if (found !== 1) wrong.push(`${found} of ${selector}, not one`);
  };
  ["main", "h1", "body > header", "nav[aria-label=Pages]", ".tabs [aria-current=page]"].forEach(one);
  if (!document.documentElement.lang) wrong.push("the page does not say its language");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) wrong.push(`two elements have the id ${id}`);
  for (const element of document.querySelectorAll("[aria-labelledby], [for]")) {
    for (const id of (element.getAttribute("aria-labelledby") ?? element.getAttribute("for")).split(" "))
      if (!document.getElementById(id)) wrong.push(`${where(element)} names ${id}, which is not there`);
  }
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!visible(heading)) continue;
    const next = Number(heading.tagName[1]);
    if (next > level + 1) wrong.push(`${where(heading)} follows a heading of level ${level}`);
    level = next;
  }
  for (const element of document.querySelectorAll("[tabindex]"))
    if (element.tabIndex > 0) wrong.push(`${where(element)} puts itself before others in the order of focus`);
  for (const list of document.querySelectorAll("ul"))
    for (const child of list.children) if (child.tagName !== "LI") wrong.push(`${where(child)} stands in a list and is no item`);
  for (const element of document.querySelectorAll("[role=listitem]"))
    if (!element.closest("[role=list]")) wrong.push(`${where(element)} is an item of no list`);
  return wrong;
}

function parse(colour) {
  const numbers = colour.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
  return {rgb: numbers.slice(0, 3), alpha: numbers[3] ?? 1};
}
function over(top, alpha, ground) {
  return top.map((c, i) => c * alpha + ground[i] * (1 - alpha));
}
function groundOf(element) {
  if (!element) return getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
  const {rgb, alpha} = parse(getComputedStyle(element).backgroundColor);
  return alpha === 1 ? rgb : over(rgb, alpha, groundOf(element.parentElement));
}
function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ratio(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

function contrast() {
  const wrong = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !visible(element) || element.closest(":disabled, .sr, .skip, noscript, option")) continue;
    const style = getComputedStyle(element);
    const inSvg = element.closest("svg");
    const box = inSvg && element.closest("g")?.querySelector("rect");  // a label of a box of the map stands on its fill
    const ground = box ? parse(getComputedStyle(box).fill).rgb : groundOf(inSvg ? inSvg.parentElement : element);
    const {rgb, alpha} = parse(inSvg ? style.fill : style.color);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const found = ratio(over(rgb, alpha, ground), ground);
    if (found < (large ? 3 : 4.5)) wrong.add(`contrast ${found.toFixed(2)}: ${where(element)}`);
  }
  return [...wrong];
}

function check() {
  return [...names(), ...structure(), ...contrast()];
}
