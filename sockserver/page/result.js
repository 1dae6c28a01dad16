// How a push ended, in words.

import { differences } from "./difference.js";
import { holders } from "./holders.js";
import { duration, el, plural, shown, shownLines, size } from "./text.js";

// outcome describes the report of a push that succeeded.
export function outcome(report) {
  const facts = [];
  const fact = (name, value) => facts.push(el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  fact("Size", size(report.bytes));
  if (report.method) fact("Method", report.method);
  if (report.swapped) {
    fact("Generation", String(report.generation));
    fact("Pause", duration(report.pause_ns));
    if (report.writes_pause_ns > report.pause_ns) fact("Writes waited", duration(report.writes_pause_ns));
    fact("Closed", plural(report.connections, "connection"));
    if (report.attempts > 1) fact("Attempts", String(report.attempts));
    if (report.peers?.length) fact("Peers", String(report.peers.length));
  }
  const title = report.dry_run ? "Checked: it can be pushed. Nothing was replaced." : report.swapped ? "The new database is live." : "Unchanged: the last push had the same bytes.";
  return [
    el("h3", {}, title),
    report.in_place_because ? el("p", {}, shown(`In place, because ${report.in_place_because}`)) : null,
    el("dl", { class: "figures" }, ...facts),
    report.backup_path ? el("p", {}, "The replaced one is kept as ", el("code", {}, shown(report.backup_path))) : null,
    report.sha256 ? el("p", { class: "quiet" }, "SHA-256 ", el("code", {}, report.sha256)) : null,
    report.holders?.length ? holders(report.holders, "Held an attempt up") : null,
  ].filter(Boolean);
}

// unplanned are the problems that are nobody's refusal.
const unplanned = ["interrupted", "internal", "outcome-unknown"].map((word) => `urn:hotswap:problem:${word}`);

// verdict tells a database that is live from one that was turned away.
function verdict(problem) {
  if (problem.report?.swapped) return "The new database is live, but";
  return !problem.type || unplanned.includes(problem.type) ? "Failed" : "Refused";
}

// unknown says what to do if the page, served by the command, has an option that the
// program's hotswap is too old for.
function unknown(problem) {
  const parameter = /^unknown parameter "(\w+)"/.exec(problem.detail ?? "");
  return parameter && `The program's hotswap is older than this page: push without --${parameter[1].replaceAll("_", "-")}, or build the program with the version that serves the page.`;
}

// refusal describes a problem. What differs in the schemas is shown apart, so the text
// need not repeat it.
export function refusal(problem) {
  const differs = problem.schema?.differences?.length > 0;
  const detail = differs ? problem.detail.slice(0, problem.detail.indexOf("differs from the live one") + "differs from the live one".length) : problem.detail;
  return [
    el("h3", {}, shown(`${verdict(problem)}: ${problem.title}`)),
    el("p", {}, shownLines(detail)),
    problem.hint ? el("p", { class: "hint" }, shownLines(problem.hint)) : null,
    unknown(problem) ? el("p", { class: "hint" }, shown(unknown(problem))) : null,
    differs ? differences(problem.schema) : null,
    problem.holders?.length ? holders(problem.holders, "Held by") : null,
    problem.type ? el("p", { class: "quiet" }, el("code", {}, shown(problem.type))) : null,
  ].filter(Boolean);
}
