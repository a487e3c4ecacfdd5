// Techniques that a person switched for the chat's requests; kept in this browser.
const kKey = "troupe.switches";

/** Field of the request's "troupe" object -> boolean. */
export function switches() {
  try {
    return JSON.parse(localStorage.getItem(kKey) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

/** undefined: as the gateway was started. */
export function setSwitch(field, value) {
  const all = switches();
  if (value === undefined) delete all[field];
  else all[field] = value;
  localStorage.setItem(kKey, JSON.stringify(all));
}

/** {"speculation.enabled": false} becomes {speculation: {enabled: false}}; undefined when nothing is switched. */
export function requestObject(all = switches()) {
  const object = {};
  for (const [path, value] of Object.entries(all)) {
    const steps = path.split(".");
    let at = object;
    for (const step of steps.slice(0, -1)) at = at[step] ??= {};
    at[steps.at(-1)] = value;
  }
  return Object.keys(object).length ? object : undefined;
}
