// Small SVG plots: distribution functions and scatters, on linear or logarithmic scales.
import {h, svg} from "/web/dom.js";

/** Round values between low and high: at most about `most`. Pure. */
export function ticks(low, high, most, logarithmic) {
  if (!(high > low)) return [low];
  const found = [];
  if (logarithmic) {
    const steps = Math.log10(high / low) > 3 ? [1] : [1, 2, 5];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power)
      for (const step of steps) found.push(step * 10 ** power);
  } else {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough);
    for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Number(at.toPrecision(12)));
  }
  return found.filter((t) => t >= low * (1 - 1e-9) && t <= high * (1 + 1e-9));
}

/** [value, share of values up to it], at most `most` points. Pure. */
export function distribution(values, most = 400) {
  const sorted = [...values].sort((a, b) => a - b);
  const every = Math.max(1, Math.ceil(sorted.length / most));
  return sorted.map((v, i) => [v, (i + 1) / sorted.length]).filter((_, i) => i % every === 0 || i === sorted.length - 1);
}

const kWidth = 520, kHeight = 260, kLeft = 54, kRight = 14, kTop = 12, kBottom = 40;

/**
 * series: [{name, points: [[x, y]], kind: "line" | "dots"}]. x and y: {label, log, format, low, high}. The table of `words` is
 * what a screen reader reads.
 */
export function plot({title, series, x, y, words}) {
  const all = series.flatMap((s) => s.points);
  if (!all.length) return h("figure", {class: "plot"}, h("figcaption", null, title), h("p", {class: "muted"}, "nothing measured"));
  const range = (axis, i) => {
    const values = all.map((p) => p[i]);
    const high = axis.high ?? Math.max(...values);
    const low = axis.low ?? (axis.log ? Math.max(Math.min(...values), high / 1e5) : Math.min(0, ...values));
    return high > low ? [low, high] : [low, low + (Math.abs(low) || 1)];
  };
  const scale = (axis, [low, high], from, to) => (v) => {
    const share = axis.log ? Math.log(Math.max(v, low) / low) / Math.log(high / low) : (v - low) / (high - low);
    return from + share * (to - from);
  };
  const rx = range(x, 0), ry = range(y, 1);
  const px = scale(x, rx, kLeft, kWidth - kRight), py = scale(y, ry, kHeight - kBottom, kTop);
  const marks = [
    ticks(ry[0], ry[1], 5, y.log).map((t) => [svg("line", {class: "rule", x1: kLeft, x2: kWidth - kRight, y1: py(t), y2: py(t)}),
      svg("text", {class: "tick", x: kLeft - 6, y: py(t) + 4, "text-anchor": "end"}, y.format(t))]),
    ticks(rx[0], rx[1], 6, x.log).map((t) => [svg("line", {class: "rule", x1: px(t), x2: px(t), y1: kTop, y2: kHeight - kBottom}),
      svg("text", {class: "tick", x: px(t), y: kHeight - kBottom + 16, "text-anchor": "middle"}, x.format(t))]),
    svg("text", {class: "axis", x: (kLeft + kWidth - kRight) / 2, y: kHeight - 4, "text-anchor": "middle"}, x.label),
  ];
  const shapes = series.map((s, i) => s.kind === "dots"
    ? s.points.map(([a, b]) => svg("circle", {class: `dot c${i}`, cx: px(a), cy: py(b), r: 2.2}))
    : svg("path", {class: `line c${i}`, d: s.points.map(([a, b], j) => `${j ? "L" : "M"}${px(a).toFixed(1)} ${py(b).toFixed(1)}`).join("")}));
  return h("figure", {class: "plot"},
    h("figcaption", null, title, h("span", {class: "muted"}, ` ${y.label}`)),
    svg("svg", {viewBox: `0 0 ${kWidth} ${kHeight}`, role: "img", "aria-label": `${title}. ${words}`}, marks, shapes));
}
