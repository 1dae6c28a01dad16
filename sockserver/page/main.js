// The page: it asks for the databases every second while it is looked at, and follows
// the status lines all the time.

import * as api from "./api.js";
import { Database } from "./database.js";
import { Log } from "./log.js";
import { clock, el, setText, shown } from "./text.js";

const every = 1000;

const main = document.getElementById("databases");
const state = document.getElementById("state");
const log = new Log(document.getElementById("log"));
const shownDatabases = new Map();
let settings = { push: false };
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
  for (const database of shownDatabases.values()) database.allow(settings);
  const may = settings.push ? "" : " · looking only";
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

async function look() {
  try {
    draw(await api.databases());
    answered = Date.now();
    say("live", true);
  } catch (error) {
    say(shown(`${error.message}${answered ? `; shown is how it was at ${clock(answered)}` : ""}`), false);
  }
}

// visible waits until somebody looks at the page.
async function visible() {
  while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

async function watch() {
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

introduce().catch((error) => say(shown(error.message), false)).finally(watch);
api.follow(take, (coming) => {
  if (coming) introduce().catch(() => {}); // the state says why
});
