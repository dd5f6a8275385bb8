// How values are written. Money, prices and counts arrive as exact decimal text and are never turned into floats:
// only zeros at the end are cut (of money to cents, or not at all). What is missing is a dash, never a zero.

export const DASH = "–";
const MINUS = "−";

const clock = new Intl.DateTimeFormat("en-GB", {
  timeZone: "America/New_York", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const shortClock = new Intl.DateTimeFormat("en-GB", {
  timeZone: "America/New_York", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const dayWords = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric",
});

/** Decimal text with at least `least` places: "12.3400" -> "12.34", "2.00" -> "2" for 0. */
function decimal(text, least) {
  const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text ?? "");
  if (!found) return null;
  const [, sign, whole, places = ""] = found;
  const kept = places.replace(/0+$/, "").padEnd(least, "0");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return { sign, body: kept ? `${grouped}.${kept}` : grouped };
}

export function money(text) {
  const found = decimal(text, /00$/.test(text ?? "") ? 2 : 4);
  return found ? `${found.sign ? MINUS : ""}$${found.body}` : DASH;
}

/** The same with a plus in front of a gain. */
export function gain(text) {
  const said = money(text);
  return said === DASH || said.startsWith(MINUS) || /^\$0\.0+$/.test(said) ? said : `+${said}`;
}

export function price(text) {
  const found = decimal(text, 2);
  return found ? found.sign.replace("-", MINUS) + found.body : DASH;
}

export function count(text) {
  const found = decimal(typeof text === "number" ? String(text) : text, 0);
  return found ? found.sign.replace("-", MINUS) + found.body : DASH;
}

export function sign(text) {
  if (!text || /^-?[0.]+$/.test(text)) return "";
  return text.startsWith("-") ? "loss" : "gain";
}

/** A strike or level given as text: "6820.00" -> "6,820". */
export function level(text) {
  const found = decimal(text, 0);
  return found ? found.body : DASH;
}

export function points(value) {
  return value == null ? DASH : value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

export function percent(value, places = 1) {
  return value == null ? DASH : (value * 100).toFixed(places);
}

export function figure(value) {
  if (value == null) return DASH;
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en-US").replace("-", MINUS);
  return String(Number(value.toPrecision(6))).replace("-", MINUS);
}

export const at = (text) => (text ? clock.format(new Date(text)) : DASH);
export const atShort = (text) => (text ? shortClock.format(new Date(text)) : DASH);
export const day = (text) => (text ? dayWords.format(new Date(`${text}T00:00:00Z`)) : DASH);
export const seconds = (text) => new Date(text).getTime() / 1000;

/** A span in whole seconds: 83 -> "1:23", 3723 -> "1:02:03". */
export function span(secs) {
  if (secs == null || !Number.isFinite(secs)) return DASH;
  const whole = Math.max(0, Math.floor(secs));
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function age(ms) {
  if (ms == null) return DASH;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 120_000 ? `${Math.floor(ms / 1000)} s` : span(ms / 1000);
}

export function bytes(value) {
  return value == null ? DASH : `${(value / 1e9).toFixed(1)} GB`;
}

/** What is left of a ticker when its event is known: "KXINXU-26NOV23H1200-T6820" -> "T6820". */
export const strike = (market, event) => (market.startsWith(`${event}-`) ? market.slice(event.length + 1) : market);
