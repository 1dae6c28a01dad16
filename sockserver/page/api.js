// The protocol, as docs/api.md describes it, relative to wherever the page is mounted.

// Problem is an answer that is not a success: an RFC 9457 problem detail.
export class Problem extends Error {
  constructor(detail) {
    super(detail.detail);
    Object.assign(this, detail);
  }
}

function address(name, query = {}) {
  const url = new URL(`v1/${name}`, document.baseURI);
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  return url;
}

async function answer(response) {
  if (response.ok) return response;
  const text = await response.text();
  let problem = null;
  try {
    problem = JSON.parse(text);
  } catch {
    // Whoever answered was not hotswap: a login in front of it, say.
  }
  throw new Problem(problem?.type ? problem : { title: "not an answer from hotswap", detail: `The server answered ${response.status} ${response.statusText}` });
}

// get gives up after 15 s: a program that is stopped takes connections and is silent.
async function get(name) {
  let response;
  try {
    response = await fetch(address(name), { signal: AbortSignal.timeout(15000) });
  } catch {
    throw new Problem({ title: "no answer", detail: "The program does not answer" });
  }
  return (await answer(response)).json();
}

export const databases = () => get("databases");
export const version = () => get("version");
export const settings = () => get("page");
export const fleet = () => get("fleet");

// changeFleet halts the rollout of a channel, or rolls it back.
export async function changeFleet(what, channel, token) {
  await answer(await fetch(address(`fleet/${what}`, { channel }), { method: "POST", headers: { "Hotswap-Token": token } }));
}

// snapshot is the address of a copy.
export function snapshot(path, check) {
  return address("snapshot", { path, dest: "a browser", ...(check ? { check: 1 } : {}) }).href;
}

// newID makes the id of a command.
export function newID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (b) => b.toString(16).padStart(2, "0")).join("");
}

// push replaces a database by a file, or by its backup if there is no file, and returns
// the report.
export async function push(path, file, options, token, signal) {
  const query = { path, ...options };
  if (file) query.source = file.name;
  else query.from = "backup";
  const request = { method: "PUT", headers: { "Hotswap-Token": token }, signal };
  if (file) request.body = file;
  return (await answer(await fetch(address("database", query), request))).json();
}

// follow calls take with each status line of every command, and state with whether they
// are coming. It has no end.
export async function follow(take, state) {
  for (;;) {
    try {
      const response = await answer(await fetch(address("events"), { headers: { Accept: "application/x-ndjson" } }));
      state(true);
      await readLines(response.body, (line) => take(JSON.parse(line)));
    } catch {
      // It is tried again.
    }
    state(false);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function readLines(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.filter((line) => line !== "").forEach(take);
  }
}
