// The page: the document of the event stream, drawn anew each time it changes.
import { render } from "./vendor/preact.js";
import { charts } from "./charts.js";
import { at, day } from "./format.js";
import { html } from "./html.js";
import { headline, hero } from "./hero.js";
import { ladder } from "./ladder.js";
import { alerts, calibration, events, filled, guards, orders, positions, sources, windows } from "./panels.js";
import { follow } from "./stream.js";
import { Switch } from "./switch.js";

const SAID_FOR_MS = 60_000;
const root = document.getElementById("page");
let seen = { doc: null, lost: "", failed: "", restarted: "" };
let chosen = "";

function choose(event) {
  chosen = event;
  draw();
}

function banner({ doc, lost, failed, restarted }) {
  if (failed) return html`<p class="banner bad-fill">The daemon could not say how it stands: ${failed}. See its log.${lost && ` Figures are of ${at(lost)}.`}</p>`;
  if (lost) return html`<p class="banner bad-fill">Connection lost since ${at(lost)} New York. Figures are of that moment; trying again.</p>`;
  if (doc.day_problem) return html`<p class="banner bad-fill">Charts, ladder and filled orders could not be made: ${doc.day_problem}. See the daemon's log.</p>`;
  if (restarted && new Date(doc.at) - new Date(restarted) < SAID_FOR_MS) {
    return html`<p class="banner note-fill">Another run since ${at(restarted)}: the daemon was restarted.</p>`;
  }
  return null;
}

function view(now) {
  const { doc } = now;
  const session = doc.session;
  const half = session?.half_day ? html` <span class="chip warn-chip">half day, closes ${at(session.closes).slice(0, 5)}</span>` : null;
  return html`
    <header class="top">
      <h1>kalshi-daemon</h1>
      <span class=${`chip mode-${doc.mode}`} data-figure="mode">${doc.mode}</span>
      ${doc.armed ? null : html`<span class="chip warn-chip">not armed</span>`}
      <span class="muted run">${doc.version} · run ${doc.run_id}</span>
      <span class="grow"></span>
      <span class="muted">${session ? day(session.day) : "no session"}${half}</span>
      <span class="clock" data-figure="at">${at(doc.at)} <span class="muted">New York</span></span>
      <${Switch} engaged=${doc.kill_switch} />
    </header>
    <div role="status" aria-live="polite">${banner(now)}</div>
    <main class=${now.lost ? "stale" : ""}>
      ${hero(doc)}
      <div class="grid">
        <div class="column left">${windows(doc)}${ladder(doc, chosen, choose)}${orders(doc)}${filled(doc)}${calibration(doc)}${events(doc)}</div>
        <div class="column right-side">${charts(doc)}${guards(doc)}${positions(doc)}${alerts(doc)}${sources(doc)}</div>
      </div>
    </main>`;
}

function waiting({ failed }) {
  return html`<main class="waiting"><h1>kalshi-daemon</h1>
    <p role="status">${failed ? `The daemon could not say how it stands: ${failed}. See its log.` : "Waiting for the daemon."}</p></main>`;
}

function draw() {
  document.title = seen.doc ? `${seen.lost ? "lost" : headline(seen.doc).word} · ${seen.doc.mode} · kalshi-daemon` : "kalshi-daemon";
  render(seen.doc ? view(seen) : waiting(seen), root);
}

root.replaceChildren();
draw();
follow((now) => {
  seen = now;
  draw();
});
