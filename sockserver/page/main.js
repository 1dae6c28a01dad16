// The page: it asks for the databases every second while it is looked at, and follows
// the status lines all the time.

import * as api from "./api.js";
import { Database } from "./database.js";
import { Fleet } from "./fleet.js";
import { Log } from "./log.js";
import { clock, el, setText, shown } from "./text.js";

const every = 1000;

const main = document.getElementById("databases");
const state = document.getElementById("state");
const log = new Log(document.getElementById("log"));
const fleet = new Fleet(document.getElementById("fleet"));
const shownDatabases = new Map();
let settings = { push: false };
let hasFleet = false;
let answered = null;

function say(text, ok) {
  setText(state, text);
  state.className = ok ? "ok" : "failed";
  main.classList.toggle("stale", !ok);
}

// introduce asks who the program is and what the page may do there: when the page is
// loaded, and when the program is back.
async function introduce() {
  const [program, allowed] = await Promise.all([api.version(), api.settings()]);
  settings = allowed;
  hasFleet = Boolean(program.fleet);
  fleet.allow(settings);
  for (const database of shownDatabases.values()) database.allow(settings);
  const may = settings.push ? "" : " · looking only";
  if (settings.fleet_only) {
    setText(document.getElementById("program"), shown(`${location.host} · hotswap ${program.version.slice(0, 12)}${may}`));
    document.getElementById("log").hidden = true;
    return;
  }
  setText(document.getElementById("program"), shown(`${location.host} · process ${program.pid} · hotswap ${program.version.slice(0, 12)} · SQLite ${program.sqlite}${may}`));
}

function draw(list) {
  const paths = new Set(list.map((info) => info.path));
  for (const [path, database] of shownDatabases) {
    if (paths.has(path)) continue;
    database.element.remove();
    shownDatabases.delete(path);
  }
  for (const info of list) {
    if (!shownDatabases.has(info.path)) {
      const database = new Database(info.path);
      database.allow(settings);
      shownDatabases.set(info.path, database);
      main.append(database.element);
    }
    shownDatabases.get(info.path).update(info);
  }
  if (list.length > 0) document.getElementById("none")?.remove();
  else if (!document.getElementById("none")) main.append(el("p", { id: "none", class: "quiet" }, "The program manages no database: it manages every one that it opens with sql.Open(\"sqlite3-hotswap\", …), provided that its directory exists."));
}

// lookAtFleet asks for the fleet. With a program, that it can't be read is no reason not to
// show the databases.
async function lookAtFleet() {
  try {
    fleet.update(await api.fleet());
    fleet.say("");
    if (settings.fleet_only) answer();
  } catch (error) {
    if (settings.fleet_only) trouble(error);
    else fleet.say(shown(error.message));
  }
}

function answer() {
  answered = Date.now();
  say("live", true);
}

function trouble(error) {
  say(shown(`${error.message}${answered ? `; shown is how it was at ${clock(answered)}` : ""}`), false);
}

async function look() {
  try {
    draw(await api.databases());
    answer();
  } catch (error) {
    trouble(error);
  }
}

// visible waits until somebody looks at the page.
async function visible() {
  while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

// watch looks again and again, with that many milliseconds in between.
async function watch(look, every) {
  for (;;) {
    await visible();
    await look();
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

function take(line) {
  log.add(line);
  for (const database of shownDatabases.values()) database.panel.line(line);
}

// A file that is dropped beside a database must not replace the page.
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

introduce().catch((error) => say(shown(error.message), false)).finally(() => {
  watch(() => (hasFleet ? lookAtFleet() : null), 2 * every);
  if (settings.fleet_only) return;
  watch(look, every);
  api.follow(take, (coming) => {
    if (coming) introduce().catch(() => {}); // the state says why
  });
});
