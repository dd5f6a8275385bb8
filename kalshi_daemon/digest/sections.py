"""The digest for people: titled tables of text cells, and the same as Markdown. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from kalshi_daemon.artifacts.monitors import ReadingLine, RecordOfIndex
from kalshi_daemon.digest.digest import Digest
from kalshi_daemon.digest.document import delay_ms
from kalshi_daemon.digest.fills import FillLine, FillSums
from kalshi_daemon.digest.markouts import HORIZONS
from kalshi_daemon.digest.means import Mean
from kalshi_daemon.digest.money import Money, Part
from kalshi_daemon.digest.quoting import Quoting
from kalshi_daemon.digest.service import Delay, Link, Service
from kalshi_daemon.ground.new_york import eastern_clock
from kalshi_daemon.ground.tables import Column, Table, markdown_section
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Count, Dollars, format_count, format_dollars, format_price

REASONS_SHOWN: Final = 8
Row = tuple[str, ...]


def sections(digest: Digest) -> tuple[Table, ...]:
    """All tables in reading order; those without rows are left out, but for the overview."""
    found = [_overview(digest), *_money(digest.money), *_fills(digest.fills), *_quoting(digest.quoting)]
    found += _forecast(digest.records.forecast, digest.quoting)
    if digest.service is not None:
        found += _service(digest.service)
    return tuple(one for one in found if one.rows)


def markdown(digest: Digest) -> str:
    """One file for a reader or a renderer; outside text cannot break a table."""
    head = f"# Digest of {digest.records.day:%A} {digest.records.day}, mode {digest.records.mode}\n\n"
    return (head + "".join(map(markdown_section, sections(digest)))).rstrip() + "\n"


def _section(title: str, headings: Row, rows: tuple[Row, ...], notes: tuple[str, ...] = ()) -> Table:
    """A heading that begins with "-" aligns left, every other column but the first aligns right."""
    columns = tuple(
        Column(name.removeprefix("-"), right=at > 0 and not name.startswith("-")) for at, name in enumerate(headings)
    )
    return Table(columns, rows, title, notes)


def _overview(digest: Digest) -> Table:
    money, fills, quoting, records = digest.money, digest.fills, digest.quoting, digest.records
    share = "-" if fills.maker_share is None else f"{fills.maker_share:.1%}"
    rows = [
        ("profit of settled markets", format_dollars(money.profit)),
        ("profit of the week so far", format_dollars(money.week_profit)),
        ("open positions at our fairs", _open_text(money)),
        ("fees", format_dollars(money.fees)),
        ("fills", f"{fills.count}, {format_count(fills.contracts)} contracts" if fills.count else "no fills"),
        ("maker share", share if fills.maker_share in {None, 1.0} else f"{share}: MUST BE 100 %"),
        ("expected edge at the decision", _mean(fills.expected)),
        ("edge at settlement", _mean(fills.realised)),
        ("windows, scans", f"{len(quoting.windows)}, {quoting.scans}"),
        ("orders placed, cancelled", f"{quoting.placed}, {quoting.cancelled}"),
        ("contracts filled of placed", "-" if quoting.fill_ratio is None else f"{quoting.fill_ratio:.1%}"),
    ]
    made = f"made {eastern_clock(records.now_ns)} New York; edges are dollars per contract before fees, + is good"
    return _section(f"{records.day:%a} {records.day}, mode {records.mode}", ("what", "-"), tuple(rows),
                   (made, *records.notes))  # fmt: skip


def _open_text(money: Money) -> str:
    if not money.open:
        return "none"
    without = sum(line.fair is None for line in money.open)
    if money.open_profit is None:
        return f"unknown: {without} of {len(money.open)} without a fair"
    return f"{money.open_profit:.4f} in {len(money.open)} markets"


def _money(money: Money) -> list[Table]:
    headings = ("profit", "fees", "fills", "contracts", "markets settled")
    parts = (("series", money.by_series), ("window", money.by_window), ("profile", money.by_profile))
    found = [_section(f"Money by {name}", (name, *headings), tuple(map(_part, rows))) for name, rows in parts]
    found.append(
        _section(
            "Budgets, the most that was used",
            ("guard", "most", "limit", "used", "at (ET)", "-note"),
            tuple(
                (peak.guard, f"{peak.measured:.2f}", f"{peak.limit:.2f}",
                 f"{peak.measured / peak.limit:.0%}" if peak.limit else "-", eastern_clock(peak.at_ns), peak.note)
                for peak in money.peaks
            ),
        )
    )  # fmt: skip
    fixings = tuple(
        (one.window.event, eastern_clock(one.window.target_ns), _number(one.index, 2), str(one.yes), str(one.no),
         format_dollars(one.paid), format_dollars(one.profit),
         f"NOT AS OUR VALUE: {', '.join(one.disagree)}" if one.disagree else "")
        for one in money.fixings
    )  # fmt: skip
    names = ("window", "fixing (ET)", "our last value", "yes", "no", "paid", "profit", "-")
    found.append(_section("Fixings", names, fixings))
    corrected: tuple[Row, ...] = tuple(
        (one.market_ticker, format_count(one.count), one.previous_result, one.result, format_dollars(one.profit),
         eastern_clock(one.booked_ns))
        for one in money.corrections
    )  # fmt: skip
    note = "settlements that the exchange changed; profit is the difference"
    columns = ("market", "count", "-before", "-now", "profit", "booked (ET)")
    found.append(_section("Corrections", columns, corrected, (note,)))
    held = tuple(
        (line.market.market_ticker, format_count(line.market.count), format_dollars(line.market.cash),
         _number(line.fair, 4), _number(line.profit, 4))
        for line in money.open
    )  # fmt: skip
    found.append(_section("Open positions", ("market", "count", "cash", "our fair", "profit at it"), held))
    return found


def _part(part: Part) -> Row:
    profit, fees = format_dollars(Dollars(part.profit)), format_dollars(Dollars(part.fees))
    return (part.name, profit, fees, str(part.fills), format_count(Count(part.contracts)), str(len(part.markets)))


def _fills(fills: FillSums) -> list[Table]:
    if not fills.count:
        return []
    markouts = tuple(
        (f"{market.horizon_s} s", _with_error(market.mid), _with_error(market.microprice),
         _with_error(market.half_spread), _with_error(market.adverse), _with_error(model.every),
         str(market.mid.fills), str(market.mid.missing))
        for market, model in zip(fills.market, fills.markouts, strict=True)
    )  # fmt: skip
    rows: list[Row] = [("expected, at the decision", *_edge(fills.expected))]
    for one in fills.markouts:
        rows.append((f"markout {one.horizon_s} s", *_edge(one.every)))
        rows += [(f"  by {source}", *_edge(mean)[:3], "") for source, mean in one.by_source.items()]
    rows.append(("at settlement", *_edge(fills.realised)))
    by_market = "others: our orders left out; half-spread and adverse part add up to the mid; +- one error by window"
    by_model = (
        "by our own forecast; fair: a later one; delta: the last one moved with the index; settled: after the fixing"
    )
    names = ("after", "others' mid", "microprice", "half-spread earned", "adverse part", "model", "fills", "missing")
    headings = ("edge", "per contract", "dollars", "fills", "missing")
    worst = tuple(_fill_row(line) for line in fills.worst)
    return [
        _section("Markouts, per contract", names, markouts, (by_market,)),
        _section("Edges of the fills", headings, tuple(rows), (by_model,)),
        _section("Worst fills", ("at (ET)", "-market", "-profile", "-side", "price", "count", "expected",
                                *(f"{horizon} s" for horizon in HORIZONS), "settled"), worst),
    ]  # fmt: skip


def _with_error(mean: Mean) -> str:
    return _number(mean.per_contract, 4) + ("" if mean.error is None else f" +- {mean.error:.4f}")


def _fill_row(line: FillLine) -> Row:
    fill = line.record.booked.fill
    later = (line.markouts[horizon] for horizon in HORIZONS)
    return (
        eastern_clock(fill.event_ns), fill.market_ticker, line.record.profile, fill.side.value,
        format_price(fill.price), format_count(fill.count), _number(line.expected, 4),
        *(_number(None if one is None else one.edge, 4) for one in later), _number(line.realised, 4),
    )  # fmt: skip


def _edge(mean: Mean) -> Row:
    return (_number(mean.per_contract, 4), _number(mean.dollars, 4) if mean.fills else "-", str(mean.fills),
            str(mean.missing))  # fmt: skip


def _quoting(quoting: Quoting) -> list[Table]:
    windows = tuple(
        (one.window.event, str(one.window.scans), str(one.window.proposed), str(one.window.accepted), str(one.orders),
         str(one.filled), _span(one.quoted_ns), "-" if one.share is None else f"{one.share:.0%}")
        for one in quoting.windows
    )  # fmt: skip
    guards = tuple(
        (one.guard, str(one.count.scans), str(one.count.quotes), str(one.count.forced),
         _span(one.closed_ns) if one.count.scans else "-", one.count.last)
        for one in quoting.refusals[:REASONS_SHOWN]
    )  # fmt: skip
    ends = [("placed", status, str(count)) for status, count in quoting.ends.items()]
    ends += [("cancelled", why, str(count)) for why, count in _first(quoting.cancelled_why)]
    ends += [("not placed", why, str(count)) for why, count in _first(quoting.not_placed)]
    return [
        _section("Quoting by window", ("window", "scans", "proposed", "accepted", "orders", "with fills", "quoted",
                                      "of its time"), windows),
        _section("Orders", ("orders", "-as", "count"), tuple(ends)),
        _section("Guards that refused", ("guard", "scans", "quotes", "forced", "closed", "-last"), guards,
                ("closed: at least one window, known to the interval of the scans",)),
    ]  # fmt: skip


def _first(counts: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    shown = list(counts.items())[:REASONS_SHOWN]
    rest = sum(counts.values()) - sum(count for _why, count in shown)
    return [*shown, ("others", rest)] if rest else shown


def _forecast(readings: Mapping[str, RecordOfIndex] | None, quoting: Quoting) -> list[Table]:
    alarms = tuple((one.guard, str(one.count.scans), _span(one.closed_ns), one.count.last) for one in quoting.alarms)
    found = [_section("Alarms of the forecast", ("guard", "scans refused", "closed", "-last"), alarms)]
    if readings is None:
        return [_section("Forecast", ("monitors", "-"), (("of this day", "not recorded"),)), *found]
    rows = tuple(
        (index, figure, _number(one.value, 4), _number(one.n, 0), _number(one.low, 4), _number(one.high, 4), one.status)
        for index, figures in readings.items()
        for figure, one in figures.items() if isinstance(one, ReadingLine) and one.value is not None
    )  # fmt: skip
    headings = ("index", "-figure", "value", "n", "low", "high", "-status")
    return [_section("Forecast, live monitors", headings, rows), *found]


def _service(service: Service) -> list[Table]:
    log = service.log
    early = "" if log.early_ms is None else f", the tightest {log.early_ms[0]} ms early ({log.early_ms[1]})"
    waits = [one.took_ns for one in service.unknown if one.took_ns is not None]
    stuck = len(service.unknown) - len(waits)
    known = f", longest {max(waits) // MILLISECOND} ms" if waits else ""
    rows = [
        ("up", _span(service.up_ns)),
        ("restarts", str(service.restarts)),
        ("cutoffs verified", f"{log.cutoffs_verified}{early}"),
        ("cutoffs UNVERIFIED", ", ".join(log.cutoffs_unverified) or "0"),
        ("stops UNVERIFIED", str(log.stops_unverified)),
        ("unknown outcomes", f"{len(service.unknown)}{known}" + (f", {stuck} NEVER RESOLVED" if stuck else "")),
        ("rate limited (429, or our own bucket)", str(log.rate_limited)),
        ("index feed", _link(log.feed)),
        ("exchange stream", _link(log.stream)),
        *((f"minutes without a tick, {one.index}", "-" if one.silent_minutes is None else str(one.silent_minutes))
          for one in service.ticks),
        *((f"warnings: {name}", str(count)) for name, count in log.levels.most_common(REASONS_SHOWN)),
    ]  # fmt: skip
    delays = [("order: intent to answer", service.ack), ("cancel: intent to answer", service.cancel),
              ("scan: start to its orders answered", service.scan)]  # fmt: skip
    delays += [(f"tick {one.index}: stamp to receipt", one.delay) for one in service.ticks]
    timed = [_delay(name, one, MILLISECOND) for name, one in delays]
    timed.append(_delay("exchange stream: largest lag of a minute", service.stream_lag_ms, 1))
    runs = tuple(
        (run.run_id, eastern_clock(run.first_ns), eastern_clock(run.last_ns),
         run.stop_reason or "no reason logged: killed, or still running")
        for run in log.runs.values()
    )  # fmt: skip
    return [
        _section("Service", ("what", "-"), tuple(rows)),
        _section("Delays, ms", ("what", "n", "p50", "p99", "most"), tuple(timed)),
        _section("Runs", ("run", "first (ET)", "last (ET)", "-stopped by"), runs),
    ]


def _link(link: Link) -> str:
    ends = ", ".join(f"{count} x {cause}" for cause, count in link.ends.most_common(3))
    return f"{link.reconnects} reconnects, down {link.down_ns / SECOND:.1f} s" + (f" ({ends})" if ends else "")


def _delay(name: str, one: Delay, unit: int) -> Row:
    said = delay_ms(one, unit)
    return (name, str(one.n), *(_number(said[key], 1) for key in ("p50", "p99", "most")))


def _mean(mean: Mean) -> str:
    if mean.per_contract is None:
        return "unknown"
    missing = f", {mean.missing} fills missing" if mean.missing else ""
    return f"{mean.per_contract:+.4f} per contract, {mean.dollars:+.4f} in all{missing}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _span(ns: int) -> str:
    minutes, seconds = divmod(ns // SECOND, 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
