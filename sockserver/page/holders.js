// What keeps connections busy: a swap would wait for it.

import { duration, el, shown } from "./text.js";

export function holders(list, caption) {
  const elsewhere = list.some((holder) => holder.program || holder.pid);
  const heads = ["What", "For", "Query", ...(elsewhere ? ["Process"] : [])];
  return el("table", { class: "holders" },
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...list.map((holder) => el("tr", {},
      el("td", {}, holder.waits ? `${holder.kind}, maybe only waiting` : holder.kind),
      el("td", { class: "number" }, holder.for_ns ? duration(holder.for_ns) : "just seen"),
      el("td", {}, el("code", {}, shown(holder.query.trim()))),
      elsewhere ? el("td", {}, holder.pid || holder.program ? shown(`${holder.program ?? ""} ${holder.pid ?? ""}`) : "this one") : null))));
}
