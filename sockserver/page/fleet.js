// The fleet, if the program is of one: for each channel which nodes have which version, the
// waves of a rollout, and what an operator does about it.

import * as api from "./api.js";
import { el, plural, setText, shown } from "./text.js";

const badges = { preparing: "preparing", swapping: "swapping", soaking: "soaking", "awaiting-approval": "waits for approval", halted: "halted" };

export class Fleet {
  constructor(section) {
    this.section = section;
    this.channels = new Map();
    this.settings = { push: false };
    this.controller = el("p", { class: "warning", role: "alert", hidden: true }, "No node is the controller: no rollout moves until one is.");
    this.trouble = el("p", { class: "warning", role: "alert", hidden: true });
    section.append(this.trouble, this.controller);
  }

  // say says why the fleet can't be read; what is shown is how it was.
  say(text) {
    this.trouble.hidden = text === "";
    setText(this.trouble, text);
    if (text !== "") this.section.hidden = false;
  }

  allow(settings) {
    this.settings = settings;
    for (const channel of this.channels.values()) channel.allow(settings);
  }

  update(overview) {
    this.section.hidden = false;
    this.controller.hidden = Boolean(overview.controller) || overview.channels.length === 0;
    const names = new Set(overview.channels.map((channel) => channel.channel));
    for (const [name, channel] of this.channels) {
      if (names.has(name)) continue;
      channel.element.remove();
      this.channels.delete(name);
    }
    for (const info of overview.channels) {
      if (!this.channels.has(info.channel)) {
        const channel = new Channel(info.channel);
        channel.allow(this.settings);
        this.channels.set(info.channel, channel);
        this.section.append(channel.element);
      }
      this.channels.get(info.channel).update(info);
    }
    const none = this.section.querySelector(".none");
    if (overview.channels.length > 0) none?.remove();
    else if (!none) this.section.append(el("p", { class: "quiet none" }, "No node answers, and nothing was rolled out."));
  }
}

class Channel {
  constructor(name) {
    this.name = name;
    this.drawn = {};
    this.badge = el("span", { class: "badge", hidden: true });
    this.headline = el("p", { class: "headline" });
    this.versions = el("div", { class: "versions" });
    this.waves = el("div", { class: "waves" });
    this.nodes = el("div", { class: "nodes" });
    this.result = el("p", { class: "said", role: "status" });
    this.halt = new Change("Halt the rollout…", "Halt", () => this.change("halt", "halted: no other node swaps"));
    this.back = new Change("Roll back…", "Roll back all nodes", () => this.change("rollback", "rolling back"));
    this.element = el("section", { class: "channel", "aria-label": shown(`Fleet: ${name}`) },
      el("h2", {}, shown(`Fleet: ${name}`), " ", this.badge),
      this.headline, this.versions, this.waves, this.nodes,
      el("div", { class: "actions" }, this.halt.element, this.back.element), this.result);
  }

  allow(settings) {
    this.settings = settings;
    this.show();
  }

  show() {
    this.halt.show(this.settings.push && this.info?.may_halt);
    this.back.show(this.settings.push && this.info?.may_go_back);
  }

  async change(what, done) {
    setText(this.result, "…");
    try {
      await api.changeFleet(what, this.name, this.settings.token);
      setText(this.result, done);
      this.result.classList.remove("failed");
    } catch (error) {
      setText(this.result, shown(error.message));
      this.result.classList.add("failed");
    }
  }

  draw(part, value, make) {
    const key = JSON.stringify(value);
    if (this.drawn[part] === key) return;
    this.drawn[part] = key;
    this[part].replaceChildren(...make());
  }

  update(info) {
    if (this.info && this.info.headline !== info.headline) setText(this.result, "");
    this.info = info;
    const badge = badges[info.phase] ?? "";
    this.badge.hidden = badge === "";
    setText(this.badge, badge);
    this.badge.classList.toggle("bad", info.phase === "halted");
    setText(this.headline, shown(info.headline));
    this.draw("versions", [info.versions, info.failed, info.silent], () => [el("dl", { class: "figures" },
      ...info.versions.map(({ version, nodes }) => figure(version === "-" ? "no version" : version, plural(nodes, "node"))),
      ...(info.failed ? [figure("Failed", String(info.failed), true)] : []),
      ...(info.silent ? [figure("Silent", String(info.silent), true)] : []))]);
    this.draw("waves", [info.waves, info.phase], () => (info.waves ? [waves(info)] : []));
    this.draw("nodes", [info.nodes, info.more], () => [nodes(info)]);
    this.show();
  }
}

function figure(name, value, attention = false) {
  return el("div", {}, el("dt", {}, shown(name)), el("dd", { class: attention ? "attention" : null }, value));
}

function waves(info) {
  return el("ol", { "aria-label": "Waves" }, ...info.waves.map((wave, i) => {
    const has = wave.there === wave.nodes && wave.open;
    const text = `wave ${i + 1}: ${wave.open ? `${wave.there} of ${plural(wave.nodes, "node")} swapped` : `not open; ${wave.ready} of ${plural(wave.nodes, "node")} prepared`}`;
    return el("li", { class: has ? "there" : wave.open ? "open" : null },
      el("meter", { min: 0, max: wave.nodes, value: wave.open ? wave.there : wave.ready, "aria-hidden": "true" }), el("span", {}, text));
  }));
}

function nodes(info) {
  const table = el("table", {},
    el("caption", {}, "Nodes"),
    el("thead", {}, el("tr", {}, ...["Node", "Has", "Wave", "State"].map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...info.nodes.map((node) => el("tr", { class: node.bad ? "bad" : null },
      el("td", {}, shown(node.node)), el("td", { class: "number" }, shown(node.has)), el("td", { class: "number" }, node.wave ? String(node.wave) : "–"), el("td", {}, shown(node.state))))));
  return info.more ? el("div", {}, table, el("p", { class: "quiet" }, `and ${plural(info.more, "node")} more: hotswap fleet status shows all`)) : table;
}

// Change is a button that has to be confirmed by another one.
class Change {
  constructor(ask, confirm, change) {
    this.ask = el("button", { type: "button", click: () => this.confirming(true) }, ask);
    this.yes = el("button", { type: "button", class: "primary", hidden: true, click: () => { this.confirming(false); change(); } }, confirm);
    this.no = el("button", { type: "button", hidden: true, click: () => this.confirming(false) }, "Leave it");
    this.element = el("span", { class: "change", hidden: true }, this.ask, this.yes, this.no);
  }

  show(possible) {
    this.element.hidden = !possible;
    if (!possible && !this.yes.hidden) this.confirming(false);
  }

  confirming(is) {
    this.ask.hidden = is;
    this.yes.hidden = !is;
    this.no.hidden = !is;
    (is ? this.yes : this.ask).focus();
  }
}
