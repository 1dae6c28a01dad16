// A push: which file, with what options, how far it is, and how it ended.

import * as api from "./api.js";
import { Options } from "./options.js";
import { outcome, refusal } from "./result.js";
import { baseName, clock, date, el, setText, shown, shownLines, size } from "./text.js";

// lastLinePatience is how long the end of a push may take to come as a status line, once
// its answer was lost.
const lastLinePatience = 10000;

export class PushPanel {
  constructor(path) {
    this.path = path;
    this.allowed = false;
    this.input = el("input", { type: "file", class: "file", change: () => this.take(this.input.files[0]) });
    this.prompt = el("span", { class: "prompt" });
    this.source = el("label", { class: "source" }, this.input, this.prompt);
    this.options = new Options();
    this.check = el("button", { type: "button", click: () => this.run(true) }, "Check only");
    this.go = el("button", { type: "submit", class: "primary" }, "Push");
    this.form = el("form", { submit: (event) => { event.preventDefault(); this.run(false); } },
      this.source, this.options.element,
      el("div", { class: "actions" }, this.check, this.go, el("span", { class: "quiet" }, "Check only is a dry run: everything is checked, nothing replaced.")));
    this.steps = el("ol", { class: "steps" });
    this.bar = el("progress", { "aria-label": "Progress" });
    this.figure = el("span", { class: "quiet" });
    this.stop = el("button", { type: "button", click: () => this.abort.abort() }, "Stop");
    this.progress = el("div", { class: "progress", hidden: true }, this.bar, this.figure, this.stop);
    this.result = el("div", { class: "result", role: "status", tabindex: "-1" });
    this.element = el("section", { class: "push", hidden: true, "aria-label": shown(`Push to ${baseName(path)}`) }, this.form, this.progress, this.result, this.steps);
    this.show();
  }

  allow(settings) {
    this.allowed = settings.push;
    this.token = settings.token;
    if (!this.allowed) this.element.hidden = true;
  }

  // toggle shows the panel for what open chooses; the same button again hides it.
  toggle(button, open) {
    if (this.running) return;
    const hide = !this.element.hidden && this.button === button;
    this.button?.setAttribute("aria-expanded", "false");
    this.button = button;
    button.setAttribute("aria-expanded", String(!hide));
    this.element.hidden = hide;
    if (hide) return;
    open();
    (this.fromBackup ? this.check : this.input).focus();
  }

  useFile() {
    this.fromBackup = false;
    this.show();
  }

  useBackup() {
    this.fromBackup = true;
    this.show();
  }

  // choose takes a file that was dropped.
  choose(file, button) {
    if (this.running) return;
    this.element.hidden = true;
    this.toggle(button, () => this.useFile());
    this.take(file);
    this.check.focus();
  }

  take(file) {
    if (file) this.file = file;
    this.show();
  }

  setBackup(backup) {
    this.backup = backup;
    if (this.fromBackup) this.show();
  }

  // show shows what would be pushed.
  show() {
    const { backup, file } = this;
    this.input.hidden = Boolean(this.fromBackup);
    if (this.fromBackup) setText(this.prompt, backup ? shown(`${baseName(backup.path)}, ${size(backup.size)}, last written ${date(backup.modified)}`) : "There is no backup any more");
    else setText(this.prompt, file ? shown(`${file.name}, ${size(file.size)}, last changed ${date(file.lastModified)}`) : "Choose a database file, or drop one here");
    this.source.classList.toggle("chosen", Boolean(this.fromBackup ? backup : file));
    const ready = !this.running && Boolean(this.fromBackup ? backup : file);
    this.check.disabled = this.go.disabled = !ready;
    setText(this.go, shown(this.fromBackup ? `Go back, replacing ${baseName(this.path)}` : `Push to ${baseName(this.path)}`));
  }

  async run(dryRun) {
    if (this.running) return;
    this.running = api.newID();
    this.abort = new AbortController();
    this.last = new Promise((resolve) => { this.ended = resolve; });
    this.steps.replaceChildren();
    this.result.replaceChildren();
    this.result.className = "result";
    this.bar.removeAttribute("value");
    setText(this.figure, "");
    this.progress.hidden = false;
    this.options.element.disabled = true;
    this.show();
    window.addEventListener("beforeunload", stay);
    const options = { ...this.options.values(), id: this.running, ...(dryRun ? { dry_run: 1 } : {}) };
    const end = await this.send(options);
    window.removeEventListener("beforeunload", stay);
    this.running = null;
    this.progress.hidden = true;
    this.steps.replaceChildren(); // the log keeps them
    if (!dryRun && !end.failed) this.file = null; // so that it is not pushed twice
    this.input.value = "";
    this.options.element.disabled = false;
    this.show();
    this.result.classList.add(end.failed ? "refused" : "succeeded");
    this.result.replaceChildren(...end.elements);
    this.result.focus({ preventScroll: true });
    this.result.scrollIntoView({ block: "nearest" });
  }

  async send(options) {
    const file = this.fromBackup ? null : this.file;
    try {
      return { elements: outcome(await api.push(this.path, file, options, this.token, this.abort.signal)) };
    } catch (error) {
      return this.failed(error);
    }
  }

  // failed says how a push ended that had no answer, or a refusal. A browser loses an
  // answer that comes before all of the file was sent; its last status line says the same.
  async failed(error) {
    if (error instanceof api.Problem) return { failed: true, elements: refusal(error) };
    const late = new Promise((resolve) => setTimeout(resolve, lastLinePatience));
    const line = await Promise.race([this.last, late]);
    if (line?.report) return { elements: outcome(line.report) };
    if (line?.problem) return { failed: true, elements: refusal(line.problem) };
    return { failed: true, elements: refusal({
      title: "no answer",
      detail: `The connection ended before an answer came (${error.message}).`,
      hint: "The generation above tells whether the new database is live. If the file was changed after it was chosen, choose it again.",
    }) };
  }

  // line takes a status line; only those of its own push are for it.
  line(line) {
    if (!this.running || line.command !== this.running) return;
    if (line.last) {
      this.ended(line);
      return;
    }
    if (line.done !== undefined || line.total !== undefined) {
      this.bar.max = line.total || 1;
      if (line.total) this.bar.value = line.done ?? 0;
      else this.bar.removeAttribute("value");
      setText(this.figure, shown(`${line.step} ${size(line.done ?? 0)}${line.total ? ` of ${size(line.total)}` : ""}`));
      return;
    }
    this.bar.removeAttribute("value");
    setText(this.figure, shown(line.step));
    this.steps.append(el("li", {}, el("time", { datetime: line.time }, clock(line.time)), el("span", {}, shownLines(line.text))));
  }
}

// stay has the browser ask before the page is left.
function stay(event) {
  event.preventDefault();
}
