// The latest swaps, a bar for each, as high as its pause was long.

import { clock, date, duration, el } from "./text.js";

const height = 56;
const step = 11;
const width = 8;

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function describe(swap) {
  return `generation ${swap.generation}, ${date(swap.at)}, pause ${duration(swap.pause_ns)}${remark(swap) && `, ${remark(swap)}`}`;
}

// remark says what is not as in most swaps.
function remark(swap) {
  if (swap.external) return "put there by something else";
  return swap.writes_only ? "only writes waited" : "";
}

export function chart(swaps) {
  const longest = Math.max(...swaps.map((swap) => swap.pause_ns), 1);
  const bars = swaps.map((swap, i) => {
    const high = Math.max(2, (swap.pause_ns / longest) * height);
    return svg("rect", { x: i * step, y: height - high, width, height: high, class: swap.external ? "external" : swap.writes_only ? "writes" : "swap" },
      svg("title", {}, describe(swap)));
  });
  const across = Math.max(swaps.length, 12) * step;
  const picture = svg("svg", {
    viewBox: `0 0 ${across} ${height + 1}`, width: across, height: height + 1, role: "img",
    "aria-label": `Pauses of the last ${swaps.length} swaps, the longest of them ${duration(longest)}`,
  }, svg("line", { x1: 0, x2: across, y1: height + 0.5, y2: height + 0.5 }), ...bars);
  return el("div", { class: "chart" },
    el("div", { class: "scale", "aria-hidden": "true" }, el("span", {}, duration(longest)), el("span", {}, "0")),
    picture,
    el("p", { class: "span" }, swaps.length > 1 ? `${clock(swaps[0].at)} to ${clock(swaps.at(-1).at)}` : clock(swaps[0].at), legend(swaps)));
}

// legend says what bars that are not filled stand for, if there are any.
function legend(swaps) {
  const kinds = [
    swaps.some((swap) => swap.writes_only && !swap.external) ? "hollow: only writes waited" : "",
    swaps.some((swap) => swap.external) ? "dashed: put there by something else" : "",
  ].filter(Boolean);
  return kinds.map((kind) => ` · ${kind}`).join("");
}

// table has the same in words.
export function table(swaps) {
  const rows = swaps.toReversed().map((swap) => el("tr", {},
    el("td", {}, String(swap.generation)), el("td", {}, date(swap.at)), el("td", {}, duration(swap.pause_ns)),
    el("td", {}, remark(swap))));
  return el("table", {}, el("thead", {}, el("tr", {}, ...["Generation", "At", "Pause", ""].map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...rows));
}
