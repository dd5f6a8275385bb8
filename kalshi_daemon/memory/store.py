"""What the models have learnt, kept on disk: one file per index, whole or absent.

    <mode_dir>/calibration/<index>.json

The record of resolved forecasts (`forecast_record`) lies beside them and is written at the same moments.
Written on a timer, shortly after every close and at the stop; read once, before anything is quoted. A file that cannot
be used (damaged, of another version, index or fit, from the future, too old) means a cold start: one warning says why,
and the file is put aside under its name plus `.refused-<UTC time>`, at most ASIDE_MAX per index, the oldest go first.
One that is merely too old to go on from still gives what ages in months: the session curve and the online corrections.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Never

import structlog

from kalshi_daemon.calibration.joint import Correlation
from kalshi_daemon.calibration.market_record import MarketRecord
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.forecast import Standing
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.domain.monitor import Monitor
from kalshi_daemon.ground.clock import Clock, iso_utc
from kalshi_daemon.ground.durable import write_whole
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.folders import entries
from kalshi_daemon.ground.off_loop import in_thread
from kalshi_daemon.ground.units import DAY, SECOND, Nanos
from kalshi_daemon.memory.documents import (
    BYTES_MAX,
    Document,
    decoded,
    encoded,
    remember,
    restore,
    restore_slow_parts,
)
from kalshi_daemon.memory.forecast_record import ForecastRecord, Lines, append
from kalshi_daemon.memory.plain import mapping, whole
from kalshi_daemon.windows.sessions import SessionTable

FOLDER: Final = "calibration"
ASIDE_MAX: Final = 3
AHEAD_MAX: Final = Nanos(60 * SECOND)
"""The vendor's stamps may run this far ahead of our clock; a memory from later than that is from another time."""
AFTER_CLOSE: Final = Nanos(30 * SECOND)
"""The day's last fixing is scored once a later price has come."""
CLOSE_SEEN_WITHIN: Final = Nanos(60 * SECOND)
"""A session whose last price came this shortly before its close was seen to its end."""
MONITOR: Final = "calibration_memory"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Keeping:
    """How old what is kept may be, and how often it is written."""

    sessions_max: int
    """Closes that may have passed unseen since."""
    slow_days_max: int
    """Days for which curve and corrections are taken over."""
    save_every: Nanos


@dataclass(frozen=True, slots=True)
class Recollection:
    """What an index started from."""

    restored_ns: Nanos | None
    """When the memory was saved; None: cold."""
    cold: str = ""
    """Why it was not restored; "" when it was."""
    sessions_missed: int = 0
    """Closes between its last price and now."""
    slow_ns: Nanos | None = None
    """When the curve and the corrections of a cold start were saved; None: the constants' own."""
    last_price_ns: Nanos | None = None
    """Of the last price that what was taken over has seen; a file may be written long after it."""

    @property
    def said(self) -> str:
        if self.restored_ns is not None:
            seen = "unknown" if self.last_price_ns is None else iso_utc(self.last_price_ns)
            return f"restored: last price {seen}, written {iso_utc(self.restored_ns)}"
        kept = "" if self.slow_ns is None else f"; session curve and corrections written {iso_utc(self.slow_ns)}"
        return f"cold: {self.cold}{kept}"


def memory_path(mode_dir: Path, index: Index) -> Path:
    """The file of an index."""
    return mode_dir / FOLDER / f"{index.value}.json"


def put_aside(path: Path, why: str, now_ns: Nanos) -> Path:
    """Move a memory out of the way; returns where to: its name plus `.<why>-<UTC time>`.

    At most ASIDE_MAX of one index and `why` stay, the oldest go first. Raises OSError: then it is where it was, or the
    oldest could not be removed.
    """
    aside = path.with_name(f"{path.name}.{why}-{iso_utc(now_ns)[:19].replace(':', '')}Z")
    path.replace(aside)
    for old in [one for one in entries(path.parent) if one.match(f"{path.name}.{why}-*")][:-ASIDE_MAX]:
        old.unlink()
    return aside


def document_of(
    model: RollingCalibration,
    market: MarketRecord,
    correlation: Correlation | None,
    saved_ns: Nanos,
    confirmed: Document | None = None,
) -> Document:
    """What the file of an index holds. `confirmed`: what is written of the model while its last prices are in doubt.

    correlation: with the partner of the index; None, and no such entry, where it has none.
    """
    found: Document = {
        "saved_ns": saved_ns,
        "model": remember(model) if confirmed is None else confirmed,
        "market": market.snapshot(),
    }
    return found if correlation is None else found | {"correlation": correlation.snapshot()}


class CalibrationStore:
    """Owns the files. Reads and replaces the state of `models`; `records` are the ones to go on with."""

    def __init__(
        self,
        mode_dir: Path,
        clock: Clock,
        models: Mapping[Index, RollingCalibration],
        sessions: SessionTable,
        keeping: Keeping,
        instruments: Instruments = SHIPPED_INSTRUMENTS,
    ) -> None:
        self._mode_dir = mode_dir
        self._clock = clock
        self._models = models
        self._sessions = sessions
        self._sessions_max = keeping.sessions_max
        self._slow_max = Nanos(keeping.slow_days_max * DAY)
        self._save_every = keeping.save_every
        self.record = ForecastRecord(mode_dir / FOLDER)
        self.recomputed: Callable[[Index, Nanos], bool] = lambda _index, _at_ns: False
        """Whether a forecast of this instant was made after the fact, from minutes that came later."""
        self.confirmed: Callable[[Index], Document | None] = lambda _index: None
        """What a model had learnt before prices that are still in doubt; None: none are."""
        for index, model in models.items():
            self.record.listen(model, partial(self._made_again, index))
        self.records = {index: self._heard(index, MarketRecord()) for index in models}
        self._pair_of = instruments.pair_of
        self.correlations = {pair: Correlation() for pair in instruments.pairs}
        """By pair, kept in the files of both its indices; files without it leave it at its prior."""
        self.recollections: dict[Index, Recollection] = {}
        self.saves = 0
        """Times everything was written since the start."""
        self._problem = ""

    def path(self, index: Index) -> Path:
        """The file of an index."""
        return memory_path(self._mode_dir, index)

    def _heard(self, index: Index, record: MarketRecord) -> MarketRecord:
        self.record.listen_to_market(index, record)
        return record

    def _made_again(self, index: Index, at_ns: Nanos) -> bool:
        return self.recomputed(index, at_ns)

    # Reading

    def recall(self) -> None:
        """Take over what is on disk, index by index. Never raises for what the files hold."""
        for index, model in self._models.items():
            found = self._recall(index, model)
            self.recollections[index] = found
            model.memory = found.said
            log.info(
                "calibration.memory_loaded", index=index.value, memory=found.said, sessions_missed=found.sessions_missed
            )

    def _recall(self, index: Index, model: RollingCalibration) -> Recollection:
        path = self.path(index)
        try:
            with path.open("rb") as file:
                content = file.read(BYTES_MAX + 1)
        except FileNotFoundError:
            return Recollection(None, "nothing was kept yet")
        except OSError as error:
            return self._refuse(index, f"cannot be read: {error.strerror}")
        try:
            document = decoded(content)
            saved_ns = Nanos(whole(document.get("saved_ns"), "saved_ns"))
            learnt = mapping(document.get("model"), "model")
            last_seen_ns = Nanos(whole(learnt.get("last_seen_ns"), "last_seen_ns"))
            missed = self._missed(last_seen_ns)
            if missed > self._sessions_max:
                return self._slow_parts(index, model, learnt, saved_ns, last_seen_ns)
            record = MarketRecord.restored(mapping(document.get("market"), "market"))
            together = mapping(document["correlation"], "correlation") if "correlation" in document else None
            correlation = None if together is None else Correlation.restored(together)
            restore(model, learnt)
        except (ValueError, KeyError) as problem:  # KeyError: a part that lacks a field
            return self._refuse(index, f"lacks {problem}" if isinstance(problem, KeyError) else str(problem))
        self.records[index] = self._heard(index, record)
        pair = self._pair_of(index)
        if correlation is not None and pair in self.correlations:
            self.correlations[pair] = correlation
        return Recollection(saved_ns, sessions_missed=missed, last_price_ns=last_seen_ns)

    def _missed(self, last_seen_ns: Nanos) -> int:
        """Closes since the last price, one more than are allowed when the calendar does not reach back to it.

        Raises ValueError when it is to come.
        """
        now = self._clock.now_ns()
        if last_seen_ns > now + AHEAD_MAX:
            raise ValueError(f"its last price is of {iso_utc(last_seen_ns)}, which is to come")
        if not self._sessions.covers(last_seen_ns):
            return self._sessions_max + 1
        seen_to = last_seen_ns + CLOSE_SEEN_WITHIN
        return sum(seen_to < session.close_ns <= now for session in self._sessions.sessions)

    def _slow_parts(
        self, index: Index, model: RollingCalibration, learnt: Mapping[str, Any], saved_ns: Nanos, last_seen_ns: Nanos
    ) -> Recollection:
        """A memory too old to go on from. Raises ValueError when it is too old, or not sound enough, for anything."""
        seen = iso_utc(last_seen_ns)
        why = f"too old: its last price is of {seen}, and more than {self._sessions_max} sessions have closed since"
        if self._clock.now_ns() - last_seen_ns > self._slow_max:
            raise ValueError(f"{why}, and more than {self._slow_max // DAY} days have passed")
        restore_slow_parts(model, learnt)
        log.warning("calibration.started_cold", index=index.value, why=why, kept="session curve, online corrections")
        return Recollection(None, why, slow_ns=saved_ns, last_price_ns=last_seen_ns)

    def _refuse(self, index: Index, why: str) -> Recollection:
        path = self.path(index)
        try:
            kept = str(put_aside(path, "refused", self._clock.now_ns()))
        except OSError as error:
            kept = f"not put aside: {error.strerror}"
        log.warning("calibration.started_cold", index=index.value, why=why, file=str(path), kept=kept)
        return Recollection(None, why)

    def monitor(self) -> Monitor:
        """What each index started from."""
        found = self.recollections
        refused = [f"{index.value}: {one.said}" for index, one in found.items() if one.restored_ns is None]
        return Monitor(
            name=MONITOR,
            status=Standing.LEARNING if refused else Standing.OK,
            metrics={
                index.value: {
                    "restored_from": None if one.restored_ns is None else iso_utc(one.restored_ns),
                    "last_price": None if one.last_price_ns is None else iso_utc(one.last_price_ns),
                    "cold": one.cold or None,
                    "slow_parts_from": None if one.slow_ns is None else iso_utc(one.slow_ns),
                    "sessions_missed": one.sessions_missed,
                }
                for index, one in found.items()
            },
            message="; ".join(refused),
            generated_at=iso_utc(self._clock.now_ns()),
        )

    # Writing

    async def run(self) -> Never:
        """Save on the timer and after every close. A disk that refuses is said once and tried again."""
        while True:
            await self._clock.sleep_until(self._next_save(self._clock.now_ns()))
            work = partial(self._write, self._documents(), self.record.take())
            await in_thread(work, lambda done: self.record.give_back(done.result()))

    def save(self) -> None:
        """Write everything now: at the stop."""
        self.record.give_back(self._write(self._documents(), self.record.take()))

    def _next_save(self, now: Nanos) -> Nanos:
        due = Nanos(now + self._save_every)
        closes = (Nanos(session.close_ns + AFTER_CLOSE) for session in self._sessions.sessions)
        return next((close for close in closes if now < close < due), due)

    def _documents(self) -> dict[Index, Document]:
        """What there is to write, taken down now; bytes are made of it by whoever writes.

        A model that has seen nothing is left out: there is nothing to keep, and perhaps a file to keep from it.
        """
        saved_ns = self._clock.now_ns()
        documents = {
            index: document_of(
                model,
                self.records[index],
                self.correlations.get(self._pair_of(index)),
                saved_ns,
                self.confirmed(index),
            )
            for index, model in self._models.items()
        }
        return {index: one for index, one in documents.items() if one["model"]["last_seen_ns"] is not None}

    def _write(self, documents: Mapping[Index, Document], lines: Lines) -> Mapping[str, Sequence[bytes]]:
        """The lines that could not be written. They come first: a memory never knows what the record does not."""
        left = append(self.record.folder, lines) if lines else {}
        problem = ""
        for index, document in documents.items():
            try:
                write_whole(self.path(index), encoded(document), "what the model has learnt")
            except (ConfigurationError, TypeError) as error:  # TypeError: no plain value. Trading does not hang on it.
                problem = str(error)
        if problem and problem != self._problem:
            log.error("calibration.memory_not_saved", problem=problem)
        self._problem = problem
        self.saves += not problem
        return left
