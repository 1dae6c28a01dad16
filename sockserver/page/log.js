// The log: the status lines of every push and pull, as they come.

import { baseName, clock, el, shown, shownLines } from "./text.js";

const mostLines = 500;

// Progress has a bar of its own.
const progress = new Set(["receiving", "copying", "sending", "writing in place"]);

export class Log {
  constructor(section) {
    this.lines = el("ol", { tabindex: "0", "aria-labelledby": "log-title" });
    this.empty = el("p", { class: "quiet" }, "Each push and pull from now on, through whichever socket or page.");
    section.append(this.empty, this.lines);
  }

  add(line) {
    if (line.dropped) this.append(line, "dropped", `(${line.dropped} lines lost: this page was too slow)`);
    if (progress.has(line.step)) return;
    const failed = Boolean(line.problem);
    this.append(line, failed ? "failed" : line.last ? "done" : "", (failed ? "failed: " : "") + line.text);
  }

  // append keeps the newest line in sight, unless the user has scrolled back.
  append(line, kind, text) {
    const begins = line.command !== this.command; // else it is said above
    this.command = line.command;
    const atEnd = this.lines.scrollHeight - this.lines.scrollTop - this.lines.clientHeight < 40;
    this.empty.hidden = true;
    this.lines.append(el("li", { class: kind },
      el("time", { datetime: line.time }, clock(line.time)),
      begins ? el("span", { class: "command" }, shown(`${line.verb} ${baseName(line.path ?? "")} (id ${line.command})`)) : null,
      el("span", { class: "text" }, shownLines(text))));
    while (this.lines.childElementCount > mostLines) this.lines.firstElementChild.remove();
    if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
  }
}
