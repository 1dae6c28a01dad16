// The options of a push, under the names that `hotswap cp` has for them.

import { el } from "./text.js";

const flags = [
  ["backup", "Keep the replaced database", "--backup", true],
  ["skip_schema_check", "Accept another schema", "--skip-schema-check"],
];

const moreFlags = [
  ["quick", "Quick check only", "--quick"],
  ["skip_integrity_check", "No integrity check", "--skip-integrity-check"],
  ["skip_constraint_check", "Accept rows that break a constraint", "--skip-constraint-check"],
  ["skip_rehearsal", "Do not open it first as the program will", "--skip-rehearsal"],
  ["force", "At the timeout, interrupt what holds it", "--force"],
];

const words = [
  ["timeout", "Wait for what holds it", "--timeout", "30s"],
  ["max_pause", "Longest pause of one attempt", "--max-pause", "1s"],
];

export class Options {
  constructor() {
    this.inputs = new Map();
    this.method = el("select", {}, ...["auto", "rename", "in-place"].map((method) => el("option", {}, method)));
    this.element = el("fieldset", {}, el("legend", {}, "Options"),
      ...flags.map((flag) => this.flag(...flag)),
      el("details", {}, el("summary", {}, "More options"),
        el("label", {}, "Method ", this.method, name("--method")),
        ...words.map((word) => this.word(...word)),
        ...moreFlags.map((flag) => this.flag(...flag))));
  }

  flag(parameter, text, option, on = false) {
    const input = el("input", { type: "checkbox", checked: on });
    this.inputs.set(parameter, input);
    return el("label", {}, input, text, name(option));
  }

  word(parameter, text, option, placeholder) {
    const input = el("input", { type: "text", size: 6, placeholder, autocomplete: "off", spellcheck: "false" });
    this.inputs.set(parameter, input);
    return el("label", {}, `${text} `, input, name(option));
  }

  // values are the parameters of the request.
  values() {
    const values = { method: this.method.value };
    for (const [parameter, input] of this.inputs) {
      if (input.type === "checkbox" && input.checked) values[parameter] = 1;
      if (input.type === "text" && input.value.trim() !== "") values[parameter] = input.value.trim();
    }
    return values;
  }
}

const name = (option) => el("code", {}, option);
