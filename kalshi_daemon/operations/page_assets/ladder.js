// The strikes of an event around the index: model with its band, the others' book, our quotes, the last decision.
import { html, panel, table } from "./html.js";
import { DASH, at, atShort, count, level, percent, price } from "./format.js";

const WORDS = { quoted: "quoted", kept: "kept" };

export function range(row) {
  const [from, to] = [row.pays_from, row.pays_to];
  if (from != null && to != null) return `${level(from)} – ${level(to)}`;
  if (from != null) return `≥ ${level(from)}`;
  return to == null ? DASH : `≤ ${level(to)}`;
}

const x = (value) => Math.min(100, Math.max(0, Number(value) * 100));

/** The row as a picture: from 0 to 1 dollar, the book grey, the model's band blue, our quotes as marks. */
function strip(row) {
  const parts = [];
  if (row.bid != null && row.ask != null) {
    parts.push(html`<rect class="book" x=${x(row.bid)} y="5" width=${Math.max(0.6, x(row.ask) - x(row.bid))} height="6" />`);
  }
  if (row.model != null) {
    const [low, high] = [x(row.model_low), x(row.model_high)];
    parts.push(html`<rect class="band" x=${low} y="3" width=${Math.max(0.6, high - low)} height="10" />`);
    parts.push(html`<rect class="model" x=${x(row.model) - 0.4} y="1" width="0.8" height="14" />`);
  }
  for (const one of row.quotes) {
    parts.push(html`<rect class=${one.side} x=${x(one.price) - 0.7} y=${one.side === "bid" ? 9 : 0} width="1.4" height="7" />`);
  }
  return html`<svg class="strip" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">
    <line x1="0" y1="8" x2="100" y2="8" />${parts}</svg>`;
}

function decision(row) {
  const found = Object.entries(row.decisions);
  if (!found.length) return html`<span class="muted">${DASH}</span>`;
  return found.map(([profile, one]) => {
    const word = one.refused_by ? `refused by ${one.refused_by}` : (WORDS[one.outcome] ?? one.outcome.replaceAll("_", " "));
    const kind = one.refused_by ? "warn" : one.outcome in WORDS ? "good" : "muted";
    return html`<span class="decision" title=${one.detail}><span class="muted">${profile}</span> <span class=${kind}>${word}</span></span>`;
  });
}

const side = (value, size) => (value == null ? DASH : html`${price(value)} <span class="muted">× ${count(size)}</span>`);

const quotes = (row) => row.quotes.length
  ? row.quotes.map((one) => html`<span class=${`quote ${one.side}`}>${one.side} ${price(one.price)} × ${count(one.remaining)}</span>`)
  : html`<span class="muted">${DASH}</span>`;

function rows(found) {
  const marked = found.level;
  const drawn = [];
  let passed = marked == null;
  for (const row of [...found.rows].reverse()) {
    const ends = [row.pays_from, row.pays_to].filter((end) => end != null).map(Number);
    const middle = ends.reduce((sum, end) => sum + end, 0) / (ends.length || 1);
    const here = !passed && middle <= marked;
    if (here) passed = true;
    const held = row.position != null && !/^-?[0.]+$/.test(row.position);
    drawn.push(html`<tr key=${row.market} class=${here ? "at-index" : ""} data-market=${row.market}>
      <th scope="row">${range(row)}</th>
      <td class="right">${percent(row.model)}<span class="muted band-words"> ${row.model == null ? "" : `${percent(row.model_low)}–${percent(row.model_high)}`}</span></td>
      <td class="strip-cell">${strip(row)}</td>
      <td class="right">${side(row.bid, row.bid_size)}</td>
      <td class="right">${side(row.ask, row.ask_size)}${row.book_believed ? "" : html` <span class="warn">not believed</span>`}</td>
      <td>${quotes(row)}</td>
      <td class="right">${held ? count(row.position) : html`<span class="muted">${DASH}</span>`}</td>
      <td>${decision(row)}</td>
    </tr>`);
  }
  return drawn;
}

const HEADS = ["Pays", ["Model %", "right"], "0 – $1", ["Bid", "right"], ["Ask", "right"], "Our quotes", ["Held", "right"], "Last decision"];

export function ladder(doc, chosen, choose) {
  const events = Object.keys(doc.ladders ?? {});
  const event = events.includes(chosen) ? chosen : events[0];
  const found = doc.ladders?.[event];
  if (!found) return panel("ladder", "Ladder", html`<p class="empty">No window is open.</p>`);
  const fixing = doc.windows.find((one) => one.event_ticker === event)?.fixing;
  const tabs = html`<div class="tabs" role="group" aria-label="Event of the ladder">${events.map((one) => html`
    <button type="button" key=${one} aria-pressed=${String(one === event)} onClick=${() => choose(one)}>${one}</button>`)}</div>`;
  const scans = Object.entries(found.scans);
  const said = scans.length
    ? `Last scans: ${scans.map(([profile, one]) => `${profile} ${at(one.at)} (${one.trigger.replaceAll("_", " ")})`).join(", ")}`
    : "Not scanned yet";
  const body = html`${tabs}${table(`Ladder of ${event}`, HEADS, rows(found), "No market around the index is listed.")}
    <p class="note">${said}. The index is at the marked row; the band is the model ± one standard error of its calibration.</p>`;
  return panel("ladder", "Ladder", body, `fixing ${atShort(fixing)}`);
}
