// The tables of the page.
import { dot, html, panel, table } from "./html.js";
import { DASH, age, at, atShort, bytes, count, figure, money, price, seconds, span, strike } from "./format.js";

const PHASES = { open: "good", hold: "warn", cutoff: "bad", shut: "bad", settling: "note", settled: "", upcoming: "" };
const RANKS = { upcoming: 1, settling: 2, settled: 3 }; // what is live comes first
const number = (text) => html`<span class=${/^[0.]+$/.test(text) ? "zero" : ""}>${count(text)}</span>`;
const list = (names) => (names.length ? names.join(", ") : DASH);

function countdown(one, now) {
  if (one.phase === "upcoming") return `opens in ${span(seconds(one.opens) - now)}`;
  if (["open", "hold", "cutoff"].includes(one.phase)) return `fixing in ${span(seconds(one.fixing) - now)}`;
  return one.reason || DASH;
}

export function windows(doc) {
  const now = seconds(doc.at);
  const rank = (one) => RANKS[one.phase] ?? 0;
  const sorted = [...doc.windows].sort((a, b) => rank(a) - rank(b)); // stable: by fixing within each
  const rows = sorted.map((one) => html`<tr key=${one.event_ticker} class=${`phase-${one.phase}`} data-event=${one.event_ticker}>
    <td>${atShort(one.fixing)}</td>
    <th scope="row">${one.event_ticker}</th>
    <td class="nowrap">${dot(PHASES[one.phase])}${one.phase}</td>
    <td class="nowrap">${countdown(one, now)}</td>
    <td>${one.quoting ? html`<strong class="good">GO</strong>` : one.phase === "open" ? html`<strong class="bad">NO</strong>` : html`<span class="muted">${DASH}</span>`}</td>
    <td class="right">${number(String(one.resting))}</td>
    <td class="right">${number(one.filled)}</td>
    <td class="right">${number(one.held)}</td>
    <td>${list(one.guards_closed)}</td>
  </tr>`);
  const heads = ["Fixing", "Window", "Phase", "Countdown", "Go", ["Resting", "right"], ["Filled", "right"], ["Held", "right"], "Guards closed"];
  return panel("windows", "Windows", table("Windows", heads, rows, "No windows: no session is planned."), doc.session?.half_day ? "half day" : null);
}

export function guards(doc) {
  const now = seconds(doc.at);
  const measured = (one) => html`${one.measured == null ? "no data" : figure(one.measured)}`;
  const limit = (one) => html`${figure(one.limit)} <span class="muted">${one.unit}</span>`;
  const worded = (value) => (typeof value === "string" ? "right words" : "right");
  const closed = doc.guards_closed.map((one) => html`<tr key=${one.guard} class="closed" data-guard=${one.guard}>
    <th scope="row">${dot(one.closing === "pull" ? "bad" : "warn")}${one.guard}<span class="visually-hidden"> closed</span>
      <div class="muted">since ${at(one.since)}, ${span(now - seconds(one.since))}${one.note && `; ${one.note}`}</div></th>
    <td class=${worded(one.measured)}>${measured(one)}</td><td class=${worded(one.limit)}>${limit(one)}</td></tr>`);
  const passing = doc.guards_passing.map((one) => html`<tr key=${one.guard} data-guard=${one.guard}>
    <th scope="row">${dot("good")}${one.guard}<span class="visually-hidden"> passes</span></th>
    <td class=${worded(one.measured)}>${measured(one)}</td><td class=${worded(one.limit)}>${limit(one)}</td></tr>`);
  const heads = ["Guard", ["Measured", "right"], ["Limit", "right"]];
  const aside = `${doc.guards_closed.length} closed, ${doc.guards_passing.length} pass`;
  return panel("guards", "Guards", table("Guards", heads, [...closed, ...passing], "Guards are asked while a window is open."), aside);
}

const ticker = (market, event) => html`<span class="muted">${event}</span> ${strike(market, event)}`;
const sided = (one) => html`<span class=${`quote ${one.side}`}>${one.side}</span>`;

export function orders(doc) {
  const rows = doc.resting.map((one) => html`<tr key=${one.client_order_id} data-order=${one.client_order_id}>
    <th scope="row">${ticker(one.market, one.event_ticker)}</th><td>${sided(one)}</td><td class="right">${price(one.price)}</td>
    <td class="right">${count(one.remaining)}</td><td class="right">${count(one.filled)}</td>
    <td>${one.profile}</td><td>${one.status}</td><td class="right">${at(one.expires)}</td></tr>`);
  const heads = ["Market", "Side", ["Price", "right"], ["Remaining", "right"], ["Filled", "right"], "Profile", "Status", ["Lease until", "right"]];
  const quarantine = doc.orders_quarantined ? `, ${doc.orders_quarantined} in quarantine` : "";
  return panel("orders", "Resting orders", table("Resting orders", heads, rows, "None rest."), `${doc.resting_total}${quarantine}`);
}

export function positions(doc) {
  const rows = doc.positions.map((one) => html`<tr key=${one.market} data-position=${one.market}>
    <th scope="row">${ticker(one.market, one.event_ticker)}</th>
    <td class="right">${count(one.contracts)}</td><td class="right">${money(one.cash_dollars)}</td><td class="right">${money(one.fees_dollars)}</td></tr>`);
  const heads = ["Market", ["Contracts", "right"], ["Cash", "right"], ["Fees", "right"]];
  return panel("positions", "Positions", table("Positions", heads, rows, "None are held."), `${count(doc.contracts_held)} contracts`);
}

export function filled(doc) {
  const rows = doc.filled.map((one) => html`<tr key=${one.client_order_id} data-filled=${one.client_order_id}>
    <td>${at(one.at)}</td><th scope="row">${ticker(one.market, one.event_ticker)}</th><td>${one.profile}</td><td>${sided(one)}</td>
    <td class="right">${price(one.price)}</td><td class="right">${count(one.filled)} of ${count(one.count)}</td></tr>`);
  const heads = ["Last change", "Market", "Profile", "Side", ["Price", "right"], ["Filled", "right"]];
  return panel("filled", "Filled orders", table("Filled orders", heads, rows, "None have traded in this session."), `${doc.fills} fills in the ledger`);
}

const STANDINGS = { OK: ["good", "OK"], ALERT: ["bad", "ALERT"], NO_DATA: ["", "learning"] };

export function calibration(doc) {
  const order = { ALERT: 0, OK: 1, NO_DATA: 2 };
  const found = Object.entries(doc.calibration).filter(([, one]) => one);
  const limits = (one) => `${one.low == null ? "" : figure(one.low)}…${one.high == null ? "" : figure(one.high)}`;
  const rows = found.flatMap(([index, one]) => [...one.readings]
    .sort((a, b) => order[a.standing] - order[b.standing])
    .map((reading) => {
      const [kind, word] = STANDINGS[reading.standing];
      return html`<tr key=${`${index}${reading.monitor}${reading.group}`} data-reading=${`${index}.${reading.monitor}.${reading.group}`}>
        <th scope="row">${index} ${reading.monitor} <span class="muted">${reading.group}</span></th>
        <td class="right">${figure(reading.value)}</td><td class="right nowrap">${limits(reading)}</td>
        <td class="right">${figure(reading.n == null ? null : Math.round(reading.n))}</td><td class="nowrap">${dot(kind)}${word}</td></tr>`;
    }));
  const health = found.map(([index, one]) => html`<p class="note" key=${index}>${dot(one.alarms.length ? "bad" : one.ready ? "good" : "warn")}${index} ${one.ready ? "ready" : "warming up"}, ${figure(one.minutes_seen)} min seen${one.alarms.length ? `, alarm: ${one.alarms.join(", ")}` : ""}; memory: ${one.memory}</p>`);
  const heads = ["Monitor", ["Value", "right"], ["Limits", "right"], ["n", "right"], "Standing"];
  return panel("calibration", "Forecast health", html`${health}${table("Forecast health", heads, rows, "No model yet.")}`);
}

const LEVELS = { critical: "bad", error: "bad", warning: "warn", info: "note" };

export function alerts(doc) {
  const rows = [...doc.alerts].reverse().map((one) => html`<tr key=${one.at + one.kind + one.subject}>
    <td>${at(one.at)}</td><td class="nowrap">${dot(LEVELS[one.severity])}${one.severity}</td><td>${one.text}</td></tr>`);
  return panel("alerts", "Alerts", table("Alerts", ["At", "Severity", "What"], rows, "None were raised."));
}

export function events(doc) {
  const rows = [...doc.events].reverse().map((one, place) => html`<tr key=${doc.events.length - place + one.at}>
    <td>${at(one.at)}</td><th scope="row" class=${LEVELS[one.level] === "note" ? "" : LEVELS[one.level]}>${one.event}</th><td>${one.text}</td></tr>`);
  return panel("events", "Last events", table("Last events", ["At", "Event", "Numbers"], rows, "Nothing has been logged."));
}

export function sources(doc) {
  const up = (good, words) => html`<td class="nowrap">${dot(good ? "good" : "bad")}${words}</td>`;
  const rows = [
    html`<tr key="feed"><th scope="row">index feed</th>${up(doc.feed_connected, doc.feed_connected ? "connected" : doc.feed_problem || "not connected")}</tr>`,
    html`<tr key="stream"><th scope="row">exchange stream</th>${up(doc.stream_up, doc.stream_up ? "up" : "down")}</tr>`,
    html`<tr key="loop"><th scope="row">decision loop</th>${up(doc.progressing, doc.progressing ? "turning" : "not turning")}</tr>`,
    html`<tr key="disk"><th scope="row">disk free</th><td>${bytes(doc.disk_free_bytes)}</td></tr>`,
    ...Object.entries(doc.ages).map(([name, ms]) => html`<tr key=${name} data-age=${name}>
      <th scope="row">age of ${name.replaceAll("_", " ").replace("index.", "index ")}</th><td>${age(ms)}</td></tr>`),
    ...Object.entries(doc.counters).map(([name, value]) => html`<tr key=${name}>
      <th scope="row">${name.replaceAll("_", " ")}</th><td>${count(value)}</td></tr>`),
  ];
  return panel("sources", "Sources and ages", table("Sources and ages", ["What", "How"], rows, ""));
}
