"""The last decision about a market, read back from the newest manifest that holds it: what `why TICKER` prints.

Manifests are looked through newest first, by their time of writing, so that a session simulated twice shows the later
one, loose ones and those of a packed day alike. The search is bounded; it never walks the whole tree.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import orjson

from kalshi_daemon.artifacts.manifest import JudgedRow, LookRow, Manifest
from kalshi_daemon.artifacts.paths import ArtifactPaths, is_day, safe_name
from kalshi_daemon.artifacts.scan_files import LooseScan, StoredScan, folders, loose_scans, pack_path, read_pack
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ladder.outcomes import OUTCOMES

MANIFESTS_MAX: Final = 20_000
"""Manifests looked into before giving up: weeks of scans of one series."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one scan decided about one market. `verdicts` are the window's, then the quote's when there was one."""

    manifest: Path
    market: str
    profile: str
    at: str
    quoted: bool
    headline: str
    look: LookRow | None
    quote: JudgedRow | None
    verdicts: tuple[Verdict, ...]
    client_order_ids: tuple[str, ...] = ()
    """The order this scan sent; where it kept one, those of the whole window that it kept."""
    meaning: str = ""
    """What the look's outcome means, in words; "" for a word of an older version."""
    problems: tuple[str, ...] = ()
    """Files of its day or later ones that could not be read, or not whole: a newer decision may be in them."""
    scan: str = ""
    """Which scan of `manifest`, where that is a packed day; "" where it is the scan's own file."""


def last_decision(paths: ArtifactPaths, market_ticker: str, profile: str | None = None) -> Decision | None:
    """The newest decision about a market (of one profile, or any); None when no manifest holds it.

    A manifest that is not there is passed over: a crash leaves at worst an empty folder. What cannot be read is named
    in the decision. Raises StateCorrupt when nothing was found and something could not be read.
    """
    search = _Search(market_ticker, profile)
    for day in sorted((one for one in folders(paths.scans) if is_day(one)), reverse=True):
        search.loose(paths, day)
        search.packed(paths, day)
        if search.found is not None or search.left <= 0:
            break
    if search.found is None and search.problems:
        path, problem = search.problems[0]
        raise StateCorrupt(path, f"{problem}; what it says of {market_ticker} is not known")
    if search.found is not None and search.problems:
        return replace(search.found, problems=tuple(f"{path}: {problem}" for path, problem in search.problems))
    return search.found


class _Search:
    """The newest decision of a day, over its loose scans and its pack; `left`: manifests it may still look into."""

    def __init__(self, market_ticker: str, profile: str | None) -> None:
        self._market = market_ticker
        self._series = safe_name(market_ticker.partition("-")[0])
        self._profile = profile
        self._text = orjson.dumps(market_ticker)
        self._age: tuple[int, tuple[str, int, str]] | None = None
        self.found: Decision | None = None
        self.problems: list[tuple[str, str]] = []
        self.left = MANIFESTS_MAX

    def loose(self, paths: ArtifactPaths, day: str) -> None:
        """Newest first, to the first one that tells."""
        for one in sorted(loose_scans(paths, day, self._series), key=_loose_age, reverse=True):
            if self.found is not None or self.left <= 0:
                return
            with self._noted(one.path):
                self._look(one.read(), "")

    def packed(self, paths: ArtifactPaths, day: str) -> None:
        """All of it, in one pass."""
        path = pack_path(paths, day, self._series)
        with self._noted(path):  # what stands before a damage still counts
            for scan in read_pack(path):
                if self.left <= 0:
                    return
                self._look(scan, scan.name)

    @contextmanager
    def _noted(self, path: Path) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass  # an empty folder of a crash, or packed meanwhile
        except StateCorrupt as problem:
            self.problems.append((problem.path, problem.problem))
        except OSError as problem:
            self.problems.append((str(path), f"cannot be read: {problem.strerror}"))

    def _look(self, scan: StoredScan, packed_as: str) -> None:
        self.left -= 1
        if self._text not in scan.content or (self._age is not None and scan.age <= self._age):
            return
        manifest = scan.manifest()
        if self._profile is not None and manifest.profile.name != self._profile:
            return
        found = decide(manifest, self._market, scan.path)
        if found is not None:
            self._age, self.found = scan.age, replace(found, scan=packed_as)


def _loose_age(one: LooseScan) -> tuple[int, tuple[str, int, str]]:
    try:
        return one.written_ns(), one.order
    except OSError:
        return 0, one.order


def decide(manifest: Manifest, market_ticker: str, path: Path) -> Decision | None:
    """The decision this manifest holds about a market, or None."""
    look = _find(manifest.looks, market_ticker)
    quote = _find(manifest.quotes, market_ticker)
    if look is None and quote is None:
        return None
    return Decision(
        manifest=path,
        market=market_ticker,
        profile=manifest.profile.name,
        at=manifest.generated_at,
        quoted=quote is not None and quote.accepted,
        headline=_headline(manifest, look, quote),
        look=look,
        quote=quote,
        verdicts=(*manifest.verdicts, *(quote.verdicts if quote else ())),
        client_order_ids=_orders(manifest, look, quote),
        meaning="" if look is None else OUTCOMES.get(look.outcome, ""),
    )


def comparison(verdict: Verdict) -> str:
    """The numbers of a verdict as one phrase: "5310 ms, limit 5000 ms"."""
    unit = f" {verdict.unit}" if verdict.unit else ""
    measured = "nothing measured" if verdict.measured is None else f"{verdict.measured}{unit}"
    return measured if verdict.limit is None else f"{measured}, limit {verdict.limit}{unit}"


def _headline(manifest: Manifest, look: LookRow | None, quote: JudgedRow | None) -> str:
    """One sentence: quoted or not, and why."""
    closed = [verdict for verdict in manifest.verdicts if not verdict.allows]
    if quote is not None:
        fair = "unknown" if quote.fair is None else f"{quote.fair:.4f}"
        what = f"{quote.side} {quote.count} at {quote.price} (fair {fair}, ev {quote.ev})"
        against = [*closed, *(verdict for verdict in quote.verdicts if not verdict.allows)]
        if quote.accepted:
            return f"quoted: {what}{_fate(manifest, quote)}"
        return f"not quoted: {what} was refused by {_refusers(against)}"
    outcome = "unknown" if look is None else look.outcome
    detail = f" ({look.detail})" if look and look.detail else ""
    if outcome == "kept":
        return f"not quoted anew: the resting order was kept{detail}"
    tail = f"; the window was closed as well, by {_refusers(closed)}" if closed else ""
    return f"not quoted: {outcome}{detail}{tail}"


def _orders(manifest: Manifest, look: LookRow | None, quote: JudgedRow | None) -> tuple[str, ...]:
    if quote is not None:
        sent = _find(manifest.orders, quote.market) if quote.accepted else None
        return () if sent is None else (sent.client_order_id,)
    return manifest.keep if look is not None and look.outcome == "kept" else ()


def _fate(manifest: Manifest, quote: JudgedRow) -> str:
    sent = _find(manifest.orders, quote.market)
    if sent is None:
        return ", accepted by every guard, but no order was sent"
    return f", order {sent.client_order_id} {sent.status} at the scan"


def _refusers(verdicts: list[Verdict]) -> str:
    first, *others = verdicts
    note = f": {first.note}" if first.note else ""
    more = f" and {len(others)} more" if others else ""
    return f"{first.guard} ({comparison(first)}{note}){more}"


class _OfMarket(Protocol):
    @property
    def market(self) -> str: ...


def _find[Row: _OfMarket](rows: tuple[Row, ...], market_ticker: str) -> Row | None:
    return next((row for row in rows if row.market == market_ticker), None)
