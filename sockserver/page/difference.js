// How two schemas differ, with what is not the same in a definition marked.

import { el, shown } from "./text.js";

// mostPairs bounds the comparison of two definitions: beyond it they stand unmarked.
const mostPairs = 250000;

export function differences(schema) {
  const list = schema.differences.map((d) => el("li", {}, el("h4", {}, shown(d.name), " ", el("small", {}, kind(d))), ...definitions(d)));
  if (schema.more) list.push(el("li", {}, `and ${schema.more} more`));
  return el("ul", { class: "differences", "aria-label": "Differences of the schemas" }, ...list);
}

function kind(d) {
  if (!d.new) return "only in the live database";
  if (!d.live) return "only in the new one";
  return "differs";
}

function definitions(d) {
  const [live, fresh] = d.live && d.new ? compare(tokens(d.live), tokens(d.new)) : [[[d.live, true]], [[d.new, true]]];
  return [
    d.live ? el("pre", { class: "live" }, el("b", {}, "live"), ...marked(live, "del")) : null,
    d.new ? el("pre", { class: "new" }, el("b", {}, "new"), ...marked(fresh, "ins")) : null,
  ].filter(Boolean);
}

function marked(parts, name) {
  return parts.map(([text, differs]) => (differs ? el(name, {}, shown(text)) : shown(text)));
}

function tokens(sql) {
  return sql.split(/(\s+|[(),;])/).filter((token) => token !== "");
}

// compare returns the tokens of both texts, each with whether it is not part of their
// longest common subsequence.
function compare(a, b) {
  if (a.length * b.length > mostPairs) return [[[a.join(""), false]], [[b.join(""), false]]];
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const left = [];
  const right = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      left.push([a[i++], false]);
      right.push([b[j++], false]);
    } else if (j === b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) left.push([a[i++], true]);
    else right.push([b[j++], true]);
  }
  return [left, right];
}
