// Numbers and times as the reader writes them, in the reader's time zone.
import { LANGUAGE, text } from "./texts.js";

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const size = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** The reader's time zone, such as Europe/Berlin. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Return a time of the API as the reader writes it. */
export const when = (iso) => (iso ? dateTime.format(new Date(iso)) : "");

/** Return a number with the separators of the language. */
export const number = (value) => size.format(Number(value ?? 0));

/** Return a duration in milliseconds as 1:02:03 or 2:03. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  const seconds = Math.round(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, index) => String(part).padStart(index ? 2 : 1, "0")).join(":");
}

/** Return a number of bytes with its unit. */
export function bytes(count) {
  const value = Number(count);
  const unit = Math.min(UNITS.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3));
  return text("size", { number: size.format(value / 1000 ** unit), unit: UNITS[unit] });
}

/** Return an instant as the local time of a field, such as 2026-11-27T08:30; an empty text for none. */
export function localTime(instant) {
  const at = new Date(instant ?? NaN);
  return Number.isNaN(at.getTime()) ? "" : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Return the local time of a field as an instant; undefined for none. */
export const instantOf = (local) => (local ? new Date(local).toISOString() : undefined);

/** Text that may be written from right to left, or that controls the direction. */
const OTHER_DIRECTION = /[\u0590-\u08ff\u202a-\u202e\u2066-\u2069]/;

/** Return a name that cannot change the direction of the text after it. */
const isolated = (name) => (OTHER_DIRECTION.test(name) ? `\u2068${name}\u2069` : name);

/** Return a party of a call: its name and its number. */
export function party(name, numberOfParty, address) {
  const shown = numberOfParty || address.split("@")[0];
  return name && name !== shown ? `${isolated(name)} ${shown}` : shown;
}
