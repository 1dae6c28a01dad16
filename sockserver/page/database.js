// One managed database: its figures, what holds it, who else has it open, its latest
// swaps, and what can be done with it.

import { snapshot } from "./api.js";
import { chart, table } from "./chart.js";
import { holders, lock } from "./holders.js";
import { PushPanel } from "./push.js";
import { ago, baseName, date, directory, duration, el, plural, setText, shown, size } from "./text.js";

const figures = ["Size", "Generation", "Journal", "Connections", "Busy", "Held", "Waiting", "Last swap", "Last pause", "Longest pause"];

export class Database {
  constructor(path) {
    this.path = path;
    this.drawn = {};
    this.figures = new Map(figures.map((name) => [name, el("dd")]));
    this.badge = el("span", { class: "badge", hidden: true });
    this.parts = new Map(["warnings", "holders", "openers", "swaps"].map((name) => [name, el("div", { class: name })]));
    this.panel = new PushPanel(path);
    this.pushButton = this.opener("Push a database…", () => this.panel.useFile());
    this.backButton = this.opener("Go back to the backup…", () => this.panel.useBackup());
    this.backupText = el("p", { class: "quiet backup" });
    this.unopened = el("p", { class: "quiet", hidden: true }, "Not open: managed because it matches Config.DatabasePaths.");
    const title = shown(baseName(path));
    this.element = el("article", { "aria-label": title, dragover: (event) => this.dragged(event), dragleave: () => this.element.classList.remove("target"), drop: (event) => this.dropped(event) },
      el("h2", {}, title, " ", this.badge),
      el("p", { class: "path quiet" }, shown(directory(path))),
      this.parts.get("warnings"),
      el("dl", { class: "figures" }, ...figures.map((name) => el("div", {}, el("dt", {}, name), this.figures.get(name)))),
      this.unopened,
      this.parts.get("holders"),
      this.parts.get("openers"),
      this.parts.get("swaps"),
      el("div", { class: "actions" },
        el("a", { class: "button", href: snapshot(path), download: baseName(path) }, "Download a copy"),
        el("a", { class: "button", href: snapshot(path, true), download: baseName(path) }, "Check, then download"),
        this.pushButton, this.backButton),
      this.backupText,
      this.panel.element);
  }

  // opener is a button that shows the panel, or hides it again.
  opener(text, open) {
    return el("button", { type: "button", hidden: true, "aria-expanded": "false", click: (event) => {
      this.panel.toggle(event.currentTarget, open);
    } }, text);
  }

  allow(settings) {
    this.panel.allow(settings);
    this.pushButton.hidden = !settings.push;
    this.showBack();
  }

  showBack() {
    this.backButton.hidden = !this.panel.allowed || !this.backup;
  }

  dragged(event) {
    if (!this.panel.allowed || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.element.classList.add("target");
  }

  dropped(event) {
    this.element.classList.remove("target");
    if (!this.panel.allowed || event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    this.panel.choose(event.dataTransfer.files[0], this.pushButton);
  }

  // draw makes a part anew if what it shows has changed.
  draw(name, value, make) {
    const key = JSON.stringify(value);
    if (this.drawn[name] === key) return;
    this.drawn[name] = key;
    this.parts.get(name).replaceChildren(...make());
  }

  update(info) {
    this.updateFigures(info);
    this.draw("warnings", info.warnings, () => info.warnings.map((text) => el("p", { class: "warning", role: "alert" }, shown(text))));
    this.draw("holders", [info.holders, info.locked_by], () => [
      ...(info.locked_by ? [lock(info.locked_by)] : []),
      ...(info.holders.length ? [holders(info.holders, "Held by: a swap would wait for these", info.locked_by)] : []),
    ]);
    this.updateOpeners(info);
    const swaps = info.swaps ?? [];
    this.draw("swaps", swaps, () => (swaps.length ? [
      el("h3", {}, "Pauses of the latest swaps"), chart(swaps), el("details", {}, el("summary", {}, "As a table"), table(swaps)),
    ] : []));
    this.backup = info.backup;
    this.panel.setBackup(info.backup);
    this.backupText.hidden = !info.backup;
    if (info.backup) setText(this.backupText, shown(`Backup ${baseName(info.backup.path)}: ${size(info.backup.size)}, last written ${date(info.backup.modified)}`));
    this.showBack();
  }

  updateFigures(info) {
    const s = info.stats;
    this.unopened.hidden = info.open;
    for (const [name, figure] of this.figures) figure.parentElement.hidden = !info.open && name !== "Size";
    const set = (name, text, attention = false) => {
      setText(this.figures.get(name), text);
      this.figures.get(name).classList.toggle("attention", attention);
    };
    set("Size", info.size === undefined ? "no file" : size(info.size) + (info.wal_size ? ` + ${size(info.wal_size)} WAL` : ""));
    set("Journal", info.journal_mode);
    set("Generation", String(s.generation));
    set("Connections", String(s.connections));
    set("Busy", String(s.busy));
    set("Held", String(s.held));
    set("Waiting", String(s.waiting), s.waiting > 0);
    set("Last swap", s.swaps ? ago(s.last_swap) : "none yet");
    set("Last pause", s.swaps ? duration(s.last_pause_ns) + (s.last_writes_only ? ", of writes" : "") : "–");
    set("Longest pause", s.swaps ? longest(s) : "–");
    const badge = s.frozen ? "swap in progress" : s.on_swap_ns ? `OnSwap callbacks running for ${duration(s.on_swap_ns)}` : "";
    this.badge.hidden = badge === "";
    setText(this.badge, badge);
  }

  updateOpeners(info) {
    const peers = info.peers ?? [];
    const others = info.open_in.filter((opener) => !peers.some((peer) => peer.pid === opener.pid));
    const sqlites = new Map(info.open_in.map((opener) => [opener.pid, opener.sqlite]));
    this.draw("openers", [peers, others, [...sqlites]], () => [
      ...(peers.length + others.length ? [openers(peers, others, sqlites)] : []),
      ...peers.filter((peer) => peer.holders?.length).map((peer) => holders(peer.holders, shown(`Held in ${peer.program} (${peer.pid})`))),
    ]);
  }
}

// longest is that of all calls, and of writes if that was longer.
function longest(s) {
  const pauses = [];
  if (s.longest_pause_ns > 0 || s.longest_writes_pause_ns === 0) pauses.push(duration(s.longest_pause_ns));
  if (s.longest_writes_pause_ns > s.longest_pause_ns) pauses.push(`${duration(s.longest_writes_pause_ns)}, of writes`);
  return pauses.join("; ");
}

function openers(peers, others, sqlites) {
  const named = (pid, program) => shown(program + (sqlites.get(pid) ? ` (SQLite ${sqlites.get(pid)})` : ""));
  const row = (pid, program, counts, note) => el("tr", {}, el("td", {}, named(pid, program)), el("td", { class: "number" }, String(pid || "–")), el("td", {}, counts), el("td", {}, note));
  const counts = (s) => (s ? `${plural(s.connections, "connection")}, ${s.busy} busy, ${s.held} held, ${s.waiting} waiting` : "");
  return el("table", { class: "openers" },
    el("caption", {}, "Also open in"),
    el("thead", {}, el("tr", {}, ...["Program", "PID", "Connections", "In a swap"].map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {},
      ...peers.map((peer) => row(peer.pid, peer.program, counts(peer.stats), peer.problem ? shown(`takes no part: it ${peer.problem}`) : "takes part")),
      ...others.map((other) => row(other.pid, other.command, "", "not a peer: a push goes in place"))));
}
