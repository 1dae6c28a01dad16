// What keeps connections busy: a swap would wait for it.

import { duration, el, shown } from "./text.js";

export function holders(list, caption, locked) {
  const elsewhere = list.some((holder) => holder.program || holder.pid);
  const heads = ["What", "For", "Query", ...(elsewhere ? ["Process"] : [])];
  return el("table", { class: "holders" },
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...list.map((holder) => el("tr", {},
      el("td", {}, kind(holder, locked)),
      el("td", { class: "number" }, holder.for_ns ? duration(holder.for_ns) : "just seen"),
      el("td", {}, el("code", {}, shown(holder.query.trim()))),
      elsewhere ? el("td", {}, holder.pid || holder.program ? shown(`${holder.program ?? ""} ${holder.pid ?? ""}`) : "this one") : null))));
}

// kind adds to what holds a connection what it may be waiting for: another holder, or the
// lock of another process.
function kind(holder, locked) {
  if (locked && holder.kind === "call" && holder.for_ns >= 1e9) return "call, maybe waiting for that lock";
  return holder.waits ? `${holder.kind}, maybe only waiting` : holder.kind;
}

// lock says which other process has the file locked.
export function lock({ pid, command }) {
  const process = pid ? `${command} (process ${pid})` : "A process of another namespace";
  return el("p", { class: "warning" }, shown(`${process} has the file locked`));
}
