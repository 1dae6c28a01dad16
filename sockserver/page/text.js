// Elements, and how values are shown. Whatever comes from elsewhere (a path, a query, a
// line of the log) becomes text by way of el: nothing here makes markup of a string.

// unprintable are the characters that a browser obeys, or shows as nothing: controls, and
// those that reverse the direction of writing.
const unprintable = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

// shown returns a text on one line with such characters written out.
export function shown(text) {
  return String(text).replace(unprintable, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

// shownLines is shown for a text that may have several lines.
export function shownLines(text) {
  return String(text).split("\n").map((line) => shown(line.replaceAll("\t", "  "))).join("\n");
}

// el makes an element. Attributes whose value is a function are listeners, true is an
// attribute without a value, and false or null is none; children are elements or text.
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// setText changes an element's text only if it differs, so that what a user has selected
// stays selected.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function size(bytes) {
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]}`;
}

// duration shows nanoseconds with three digits.
export function duration(ns) {
  if (ns >= 60e9) return `${Math.floor(ns / 60e9)} min ${Math.round((ns % 60e9) / 1e9)} s`;
  const [value, unit] = ns >= 1e9 ? [ns / 1e9, "s"] : ns >= 1e6 ? [ns / 1e6, "ms"] : [ns / 1e3, "µs"];
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${unit}`;
}

const two = (n) => String(n).padStart(2, "0");

export function clock(time) {
  const t = new Date(time);
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

export function date(time) {
  const t = new Date(time);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${clock(t)}`;
}

export function ago(time) {
  const seconds = Math.max(0, Math.floor((Date.now() - new Date(time)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

export function plural(n, what) {
  return n === 1 ? `1 ${what}` : `${n} ${what}s`;
}

export function baseName(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function directory(path) {
  return path.slice(0, path.lastIndexOf("/") + 1);
}
