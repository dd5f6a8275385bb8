// What a trader sees in one second: does it quote and if not why, money, budgets, the next window.
import { html } from "./html.js";
import { DASH, atShort, count, gain, money, seconds, sign, span } from "./format.js";

export function headline(doc) {
  if (doc.stopping) return { word: "Stopping", kind: "bad" };
  if (!doc.ready) return { word: "Starting", kind: "warn" };
  if (doc.kill_switch) return { word: "Killed", kind: "bad" };
  if (doc.quoting) return { word: "Quoting", kind: "good" };
  return { word: "Not quoting", kind: "warn" };
}

function standing(doc) {
  const { word, kind } = headline(doc);
  const open = doc.windows.filter((one) => one.quoting).map((one) => one.event_ticker);
  const reasons = doc.quoting
    ? html`<p class="muted">${open.length} ${open.length === 1 ? "window takes" : "windows take"} new quotes; ${doc.resting_total} ${doc.resting_total === 1 ? "order rests" : "orders rest"}</p>`
    : html`<ul class="why">${doc.why_not.map((reason) => html`<li key=${reason}>${reason}</li>`)}</ul>`;
  return html`<section class=${`card standing ${kind}`} aria-labelledby="standing-title">
    <h2 id="standing-title" class="visually-hidden">Does it quote</h2>
    <p class="big" data-figure="standing" role="status">${word}</p>${reasons}
    ${doc.reconciled ? null : html`<p class="bad">Books do not agree: ${doc.reconciled_problem ?? DASH}</p>`}
    ${Object.entries(doc.groups_halted).map(([profile, why]) => html`<p class="bad" key=${profile}>Order group of ${profile} halted: ${why}</p>`)}
  </section>`;
}

function profit(doc) {
  const row = (name, text, key, kind = "") => html`<div><dt>${name}</dt><dd class=${kind} data-figure=${key}>${text}</dd></div>`;
  return html`<section class="card" aria-labelledby="profit-title">
    <h2 id="profit-title">Settled P&L today</h2>
    <p class=${`big ${sign(doc.pnl_dollars)}`} data-figure="pnl_dollars">${gain(doc.pnl_dollars)}</p>
    <dl class="pairs">
      ${row("week", gain(doc.pnl_week_dollars), "pnl_week_dollars", sign(doc.pnl_week_dollars))}
      ${row("fees", money(doc.fees_dollars), "fees_dollars")}
      ${row("fills", count(doc.fills), "fills")}
      ${/^-?[0.]+$/.test(doc.in_dispute_dollars) ? null : row("in dispute", money(doc.in_dispute_dollars), "in_dispute_dollars", "bad")}
    </dl>
  </section>`;
}

const NAMES = { daily_loss: "Day", weekly_loss: "Week" };

function budgets(doc) {
  const found = Object.entries(doc.budgets);
  const bar = ([name, one]) => {
    const kind = one.used_percent >= 100 ? "bad" : one.used_percent >= 80 ? "warn" : "good";
    const title = NAMES[name] ?? name.replaceAll("_", " ");
    return html`<div class="budget" key=${name}>
      <div class="budget-words"><span>${title}</span><span data-figure=${`budget.${name}`}>${money(one.used_dollars)} of ${money(one.limit_dollars)}</span></div>
      <div class=${`meter ${kind}`} role="meter" aria-label=${`${title} loss budget used`} aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.min(100, Math.max(0, one.used_percent))} aria-valuetext=${`${one.used_percent} percent`}>
        <div style=${{ width: `${Math.min(100, Math.max(0, one.used_percent))}%` }}></div></div>
      <div class="budget-words muted"><span>lost ${money(one.lost_dollars)}</span><span>${one.used_percent} %</span></div>
    </div>`;
  };
  return html`<section class="card budgets" aria-labelledby="budgets-title">
    <h2 id="budgets-title">Loss budgets: lost and at risk</h2>
    ${found.length ? found.map(bar) : html`<p class="big muted">${DASH}</p><p class="muted">Not known until books were compared.</p>`}
  </section>`;
}

/** The window that matters now: the next fixing of one that is open, else the next to open. */
export function nextWindow(doc) {
  const live = doc.windows.filter((one) => ["open", "hold", "cutoff"].includes(one.phase));
  const by = (key) => (a, b) => (a[key] < b[key] ? -1 : 1);
  if (live.length) return { ...[...live].sort(by("fixing"))[0], what: "fixing", when: [...live].sort(by("fixing"))[0].fixing };
  const ahead = doc.windows.filter((one) => one.phase === "upcoming").sort(by("opens"));
  return ahead.length ? { ...ahead[0], what: "opens", when: ahead[0].opens } : null;
}

function next(doc) {
  const found = nextWindow(doc);
  const left = found && seconds(found.when) - seconds(doc.at);
  const also = found && doc.windows.filter((one) => one[found.what] === found.when && one.phase === found.phase);
  return html`<section class="card" aria-labelledby="next-title">
    <h2 id="next-title">${found ? `Next: ${found.what === "fixing" ? "fixing" : "window opens"} ${atShort(found.when)}` : "Next window"}</h2>
    <p class="big" data-figure="countdown">${span(left)}</p>
    <p class="muted">${found ? `${also.map((one) => one.event_ticker).join(", ")} · ${found.phase}` : "no more windows in this session"}</p>
  </section>`;
}

export const hero = (doc) => html`<div class="hero">${standing(doc)}${profit(doc)}${budgets(doc)}${next(doc)}</div>`;
