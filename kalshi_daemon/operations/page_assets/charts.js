// The index by the minute, and where the forecast sees it at each fixing: bands of 50 % and 90 %.
import { Component } from "./vendor/preact.js";
import { html, panel } from "./html.js";
import { DASH, age, atShort, points, seconds } from "./format.js";

const STEPS = 10; // drawn points between two fixings: the width grows with the root of time
const HEIGHT = 180;
const TITLES = { SPX: "S&P 500", NDX: "Nasdaq-100" };

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Columns for the chart: times, path, and the five quantiles from now on. */
export function columns(path, fan, level, now) {
  const rows = [];
  if (path) {
    const from = seconds(path.from);
    path.minutes.forEach((value, minute) => {
      const time = from + 60 * minute;
      if (time < now) rows.push([time, value, null, null, null, null, null]);
    });
  }
  if (level != null) {
    rows.push([now, level, ...Array(5).fill(fan.length ? level : null)]);
    let [time, levels] = [now, Array(5).fill(level)];
    for (const one of fan) {
      const end = seconds(one.fixing);
      for (let step = 1; step <= STEPS; step += 1) {
        const share = step / STEPS;
        const middle = levels[2] + (one.levels[2] - levels[2]) * share;
        const drawn = one.levels.map((value, at) => {
          if (at === 2) return middle;
          const [was, will] = [levels[at] - levels[2], value - one.levels[2]];
          return middle + Math.sign(will) * Math.sqrt(was * was + (will * will - was * was) * share);
        });
        rows.push([time + (end - time) * share, null, ...drawn]);
      }
      [time, levels] = [end, one.levels];
    }
  }
  return [0, 1, 2, 3, 4, 5, 6].map((column) => rows.map((row) => row[column]));
}

const zone = "America/New_York";

function options(width) {
  const [line, grid, text] = [color("--line"), color("--rule"), color("--muted")];
  const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, size: 4 }, font: "11px system-ui" };
  const none = { stroke: "transparent", width: 0, points: { show: false } };
  return {
    width,
    height: HEIGHT,
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), zone),
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 20, 0, 0],
    axes: [
      { ...axis, size: 26, space: 60, values: (_chart, times) => times.map((time) => atShort(time * 1000)) },
      { ...axis, size: 58, values: (_chart, levels) => levels.map((value) => value.toLocaleString("en-US")) },
    ],
    series: [
      {},
      { stroke: line, width: 1.5, points: { show: false }, spanGaps: true },
      none, none,
      { stroke: color("--accent"), width: 1, dash: [4, 3], points: { show: false } },
      none, none,
    ],
    bands: [
      { series: [6, 2], fill: color("--band-90") },
      { series: [5, 3], fill: color("--band-50") },
    ],
  };
}

class Chart extends Component {
  componentDidMount() {
    this.schemes = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.make();
    this.schemes.addEventListener("change", this.redraw);
    this.sizes = new ResizeObserver(() => {
      const width = this.place.clientWidth;
      if (this.chart && width && width !== this.chart.width) this.chart.setSize({ width, height: HEIGHT });
    });
    this.sizes.observe(this.place);
    this.make();
  }

  componentDidUpdate() {
    this.chart?.setData(this.props.data);
  }

  componentWillUnmount() {
    this.schemes.removeEventListener("change", this.redraw);
    this.sizes.disconnect();
    this.chart?.destroy();
  }

  make() {
    this.chart?.destroy();
    this.chart = new uPlot(options(this.place.clientWidth || 400), this.props.data, this.place);
  }

  render() {
    return html`<div class="chart" role="img" aria-label=${this.props.label} ref=${(found) => { this.place = found; }}></div>`;
  }
}

export function charts(doc) {
  const now = seconds(doc.at);
  return Object.entries(doc.indices).map(([index, one]) => {
    const [path, fan] = [doc.paths?.[index] ?? null, doc.fans?.[index] ?? []];
    const title = TITLES[index] ?? index;
    const next = fan[0];
    const said = next
      ? `${atShort(next.fixing)}: ${points(next.levels[0])} to ${points(next.levels[4])} (90 %)`
      : "no forecast";
    const state = one.withheld ? "not believed" : one.value == null ? "silent" : `${age(one.age_ms)} old`;
    const label = `${title} ${points(one.value)}, ${state}. Forecast ${said}`;
    const data = columns(path, fan, one.value, now);
    const body = html`
      <p class="reading"><strong data-figure=${`index.${index}`}>${points(one.value)}</strong>
        <span class=${one.withheld || one.value == null ? "warn" : "muted"}>${state}</span>
        <span class="muted forecast">${said}</span></p>
      ${data[0].length ? html`<${Chart} data=${data} label=${label} />` : html`<p class="empty">${DASH} no value yet</p>`}`;
    return panel(`index-${index}`, title, body, index);
  });
}
