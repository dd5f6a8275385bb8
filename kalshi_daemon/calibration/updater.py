"""The rolling model of one index: ticks in, distributions of the index at any fixing of the session out.

Implements `state.CalibrationView`. A tick costs a few comparisons; a finished minute costs one update of eight numbers.
Nothing is read but the arguments: time is the vendor's stamp of a tick, and a forecast knows only the ticks before it.
"""

from collections.abc import Sequence
from math import inf, isfinite, log

import numpy as np

from kalshi_daemon.calibration import intake, sigma_band
from kalshi_daemon.calibration.agenda import PRICE_AGE_MAX, Item, agenda_of
from kalshi_daemon.calibration.constants import SESSION_MINUTES, ModelConstants
from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.calibration.density import family_of
from kalshi_daemon.calibration.monitor import RecordMonitor
from kalshi_daemon.calibration.path import SessionPath, Span
from kalshi_daemon.calibration.predictive import PredictiveDistribution, settled_sigma
from kalshi_daemon.calibration.recalibration import CASH_SCALE_PRIOR, Recalibration
from kalshi_daemon.calibration.resolving import AS_SHIPPED, OnResolved, OwnRecord, Terms, no_listener, resolve
from kalshi_daemon.calibration.session_curve import curve_of
from kalshi_daemon.calibration.sigma_band import SlowLevel
from kalshi_daemon.calibration.today import Events, Floats, Outlook, Sessions, Taken, Today, no_events
from kalshi_daemon.calibration.variance import (
    PARKINSON,
    Conditions,
    DailyState,
    Observation,
    RangeRatio,
    VarianceForecast,
    VarianceState,
    forecast_of,
    observed,
    unobserved,
)
from kalshi_daemon.calibration.watch import ForecastWatch, plain_state
from kalshi_daemon.domain.forecast import CalibrationHealth, Minutes
from kalshi_daemon.domain.index import Bar, Index, Tick
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.settings.model import CalibrationSettings


class RollingCalibration:
    """One index's model. Single writer: whoever calls `on_tick`; readers call `forecast` and `health`."""

    def __init__(
        self,
        index: Index,
        settings: CalibrationSettings,
        sessions: Sessions,
        *,
        events: Events = no_events,
        scale_prior: Sequence[float] = CASH_SCALE_PRIOR,
        constants: ModelConstants = SHIPPED,
        record: OwnRecord = AS_SHIPPED,
    ) -> None:
        """`sessions` gives the session of an instant, `events` the releases felt in it, `scale_prior` the first c^2.

        Raises ValueError when that does not fit, or the shipped table has no strikes of the index and `record` neither.
        """
        self.index, self.settings = index, settings
        self._sessions, self._events = sessions, events
        self._terms = Terms.of(index, settings.settlement_basis_bp * 1e-4, record.strike_step)
        self.variance = VarianceState.cold(settings.daily_vol_prior)
        self.slow = SlowLevel.cold(settings.daily_vol_prior)
        self.ratio = RangeRatio()
        self.long_ratio = RangeRatio()
        """Of bars of several minutes: how squares compare with ranges depends on how often a price is looked at."""
        self.daily = DailyState()
        self.hour_layer = Recalibration.fresh(scale_prior)
        self.close_layer = Recalibration.fresh(scale_prior)
        self.monitor = RecordMonitor()
        self.watch = ForecastWatch()
        self.constants = constants
        self._learns = record.learns
        self._residuals = family_of(constants.residual)
        self.base: Floats = constants.diurnal
        self.today: Today | None = None
        self.closing: tuple[Nanos, float] | None = None
        """When the last session closed, and its last price; None when it was not seen to its end."""
        self.refused = 0
        """Prices not used: late, repeated, not positive, or outside the session."""
        self._last_seen_ns: Nanos | None = None
        self._view: VarianceForecast | None = None
        self.memory = "cold"
        """Where this came from: what was learnt before, or nothing (`memory`)."""
        self.on_resolved: OnResolved = no_listener
        """Told of every fixing with its scored forecasts, once they have taught what they can."""

    # Prices in

    def on_tick(self, tick: Tick) -> None:
        """Take an index value at its event time. Late and repeated stamps, and values that are none, change nothing.

        Whether it may be believed was judged before (`index_feed.plausibility`); it is not judged again here.
        """
        at_ns, price = tick.event_ns, tick.value
        today = self.today
        if today is not None:
            path = today.path
            if path is not None and path.calm(at_ns, price):
                self._last_seen_ns = at_ns
                self._view = None
                return
        self._tick(at_ns, price)

    def on_bar(self, bar: Bar) -> None:
        """Take a second or minute bar at its END, once.

        What the ticks already told is not told again: the close counts only when it is newer than the last price, the
        range only when the bar lies inside the running minute (a maximum cannot be counted twice). A longer bar is
        one observation of its whole length when it begins at the last price. Missed minutes fed in order, oldest
        first, before newer ticks, leave no gap behind.
        """
        if not 0.0 < bar.low <= bar.high < inf:
            self.refused += 1
            return
        if self._last_seen_ns is None or bar.start_ns > self._last_seen_ns:
            self._tick(bar.start_ns, bar.open)
        if bar.end_ns - bar.start_ns > MINUTE and self._long_bar(bar):
            return
        self._tick(bar.end_ns, bar.close)
        today = self.today
        if today is not None and today.path is not None and intake.plausible_range(bar, today.path.last):
            today.path.stretch(bar.start_ns, bar.end_ns, bar.high, bar.low)
            self._view = None

    def _tick(self, at_ns: Nanos, value: float) -> None:
        if self._enter(at_ns, value):
            self._price(at_ns, value)

    def _long_bar(self, bar: Bar) -> bool:
        """Whether a bar of several minutes continues the path: then it was taken as watched time."""
        today = self.today
        path = None if today is None else today.path
        if today is None or path is None or path.last_ns != bar.start_ns or bar.end_ns > today.session.close_ns:
            return False
        if not (bar.low <= bar.close <= bar.high and intake.plausible_range(bar, path.last)):
            return False
        self._accept(today, bar.end_ns)
        self._take_in(today, path, path.bar(bar.end_ns, bar.close, bar.high, bar.low))
        self._settle(today, path)
        return True

    def _enter(self, at_ns: Nanos, value: float) -> bool:
        """Whether a price counts. Opens the session it belongs to when that is a new one."""
        if not (isfinite(value) and value > 0.0) or (self._last_seen_ns is not None and at_ns <= self._last_seen_ns):
            self.refused += 1
            return False
        today = self.today
        if today is not None and at_ns > today.session.open_ns:
            if at_ns <= today.session.close_ns:
                return True
            # Late prints settle nothing new, but they prove that the fixings before them are final.
            self._work_off(today, at_ns)
            if at_ns < today.session.close_ns + intake.NIGHT_MIN:
                self.refused += 1
                return False
        session = self._sessions(at_ns)
        if session is None or not session.open_ns <= at_ns <= session.close_ns:
            self.refused += 1
            return False
        if today is None or session.open_ns > today.session.open_ns:
            self._roll_over(session)
        return True

    def _price(self, at_ns: Nanos, price: float) -> None:
        today = self.today
        assert today is not None
        path = today.path
        if path is None:
            self._last_seen_ns = at_ns
            self._first_price(today, at_ns, price)
            return
        self._accept(today, at_ns)
        if done := path.tick(at_ns, price):
            self._take_in(today, path, done)
        today.jumps.watch(at_ns, price / path.span_open - 1.0)
        self._view = None
        self._settle(today, path)

    def _last_close(self, at_ns: Nanos) -> float | None:
        return None if self.closing is None or at_ns - self.closing[0] > intake.GAP_MAX else self.closing[1]

    def _settle(self, today: Today, path: SessionPath) -> None:
        due_ns = today.agenda[today.next_item].at_ns if today.next_item < len(today.agenda) else path.span_end_ns
        path.settle(min(intake.CALM_MAX, today.jumps.limit), due_ns)

    def _accept(self, today: Today, at_ns: Nanos) -> None:
        """A price of this instant has come: everything due before it is final."""
        self._last_seen_ns = at_ns
        if today.next_item < len(today.agenda) and today.agenda[today.next_item].at_ns < at_ns:
            self._work_off(today, at_ns)

    def _take_in(self, today: Today, path: SessionPath, done: Sequence[Span]) -> None:
        for span in done:
            self._learn(today, span)
        self._arm(today, path)
        self._view = None

    def _first_price(self, today: Today, at_ns: Nanos, price: float) -> None:
        """For a minute after the bell names not open yet show yesterday's close (docs/reference/model.md 6)."""
        session = today.session
        valid_ns = Nanos(session.open_ns + (MINUTE if self.settings.first_minute_excluded else 0))
        if at_ns < valid_ns:
            today.opening, today.opening_ns = price, at_ns
            return
        if today.opening is not None and at_ns > valid_ns and valid_ns - today.opening_ns <= intake.OPENING_AGE_MAX:
            self._begin(today, valid_ns, today.opening)
            self._price(at_ns, price)
            return
        self._begin(today, at_ns, price)

    def _begin(self, today: Today, at_ns: Nanos, price: float) -> None:
        today.path = SessionPath.begin(today.session.open_ns, today.curve.minutes, at_ns, price)
        today.agenda = agenda_of(today.session, at_ns) if self._learns else ()
        if (close := self._last_close(at_ns)) and at_ns - today.session.open_ns <= intake.OPEN_SEEN_WITHIN:
            gap = log(price / close)
            today.gap_feature = self.daily.gap_feature(gap)
            self.daily.fold_gap(gap)
        self._view = None

    def _arm(self, today: Today, path: SessionPath) -> None:
        minute = path.minutes_at(path.span_start_ns)
        today.jumps.arm(float(max(self.variance.levels()[1:4])) * today.curve.mass(minute, minute + 1.0))

    def _learn(self, today: Today, span: Span) -> None:
        seen = self._observation(today, span)
        mass = today.curve.mass(span.start, span.end)
        if span.watched:
            ratio = self.long_ratio if span.long else self.ratio
            ratio.fold(seen.length_min, span.log_return**2 / mass, PARKINSON * span.log_range**2 / mass)
            self.slow.fold(seen.length_min, seen.ranged)
        today.realised += span.log_return**2
        today.realised_mass += mass
        self.variance.fold(seen)

    def _observation(self, today: Today, span: Span) -> Observation:
        length, mass = span.end - span.start, today.curve.mass(span.start, span.end)
        if span.watched:
            ratio = self.long_ratio if span.long else self.ratio
            return observed(length, mass, span.log_range, span.log_return, ratio.value)
        return unobserved(length, mass, span.log_return, self.variance.level_90())

    # From day to day

    def _roll_over(self, session: Session) -> None:
        """Close the books of the last day and open those of `session`. Raises ValueError for a length without curve."""
        if self.today is not None:
            self._work_off(self.today, session.open_ns)
            self._finish(self.today)
            self.hour_layer.next_session()
            self.close_layer.next_session()
            self.monitor.next_session()
            self.watch.next_session()
        self.today = self._new_day(session)
        self._view = None

    def _new_day(self, session: Session) -> Today:
        widening = self.settings.half_day_widening if session.half_day else 1.0
        curve = curve_of(self.base, session, self._events(session), self.constants.half_day)
        return Today(session, curve, self.base, widening)

    def _finish(self, today: Today) -> None:
        self.closing = None
        path = today.path
        if path is None:
            return
        for span in path.finish():
            self._learn(today, span)
        if today.session.close_ns - path.last_ns <= intake.CLOSE_AGE_MAX:
            self.closing = (today.session.close_ns, path.last)
        whole = today.curve.cumulative[-1]
        if today.realised_mass >= intake.DAY_COUNTS_FROM * whole and today.realised > 0.0:
            # Events stay in, as in the daily variances the model was fitted on; half days are brought to a whole day.
            self.daily.fold_variance(today.realised / today.realised_mass * max(whole, SESSION_MINUTES))
        self.base = today.bent_base(path)

    # The record of our own forecasts

    def _work_off(self, today: Today, before_ns: Nanos) -> None:
        """Take and score what was due strictly before `before_ns`, from the prices seen so far."""
        while today.next_item < len(today.agenda):
            item = today.agenda[today.next_item]
            if item.at_ns >= before_ns:
                return
            today.next_item += 1
            path = today.path
            assert path is not None, "the agenda is written when the path begins"
            waiting = today.waiting.pop(item.target_ns, []) if item.bucket is None else []
            if item.at_ns - path.last_ns > PRICE_AGE_MAX:
                continue
            if item.bucket is not None:
                self._take(today, path, item, item.bucket)
            if waiting:
                done = resolve(waiting, path.last, self._terms, monitor=self.monitor, watch=self.watch)
                self.on_resolved(today.session, item.target_ns, done)

    def _take(self, today: Today, path: SessionPath, item: Item, bucket: int) -> None:
        model = self._outlook(today, path, item.at_ns, item.target_ns)
        mass = today.curve.mass(path.minutes_at(item.at_ns), path.minutes_at(item.target_ns))
        plain = float(self.variance.levels()[plain_state(model.horizon_min)]) * mass
        taken = Taken(bucket, path.last, model, model.layer.at(model.horizon_min), plain)
        today.waiting.setdefault(item.target_ns, []).append(taken)

    # Laws out

    def forecast(self, now_ns: Nanos, target_ns: Nanos) -> PredictiveDistribution | None:
        """The distribution of the index at `target_ns`, any instant of the running session after `now_ns`.

        None outside the session, before the first valid print, and for a target that is not ahead. When the last price
        is older than `now_ns` the distribution runs from that price: an old price makes it wider.
        """
        today = self.today
        path = None if today is None else today.path
        if today is None or path is None:
            return None
        if not today.session.open_ns <= now_ns < target_ns <= today.session.close_ns:
            return None
        model = self._outlook(today, path, now_ns, target_ns)
        correction = model.layer.at(model.horizon_min)
        return PredictiveDistribution(
            index=self.index,
            asof_ns=now_ns,
            target_ns=target_ns,
            level=path.last,
            sigma=settled_sigma(model.variance, correction.scale_squared, self._terms.basis),
            calibration_error=correction.standard_error(),
            residual=model.residual,
            pit_map=correction.pit_map,
        )

    def health(self, now_ns: Nanos) -> CalibrationHealth:
        """Whether enough of the running session was seen."""
        record = self.watch.readings(self.monitor, (self.hour_layer, self.close_layer))
        today = self.today
        path = None if today is None else today.path
        if today is None or path is None or not today.session.open_ns <= now_ns <= today.session.close_ns:
            return CalibrationHealth(False, self._last_seen_ns, 0.0, (), record, self.memory)
        seen = path.watched_so_far()
        low, high = self.settings.sigma_ratio_min, self.settings.sigma_ratio_max
        variance = self._current(today, path).variance(sigma_band.HORIZON_MIN, 1.0)
        found = "jump" if today.jumps.active(now_ns) else "", sigma_band.alarm_of(variance, self.slow.level, low, high)
        ready = seen >= self.settings.ready_after_minutes
        return CalibrationHealth(ready, self._last_seen_ns, seen, tuple(filter(None, found)), record, self.memory)

    def minutes(self) -> Minutes | None:
        """The session's prices by the minute."""
        return None if self.today is None else self.today.minutes

    def _outlook(self, today: Today, path: SessionPath, now_ns: Nanos, target_ns: Nanos) -> Outlook:
        """From the last price to the target (now < target <= close), before the online layer."""
        from_ns = min(now_ns, path.last_ns)
        horizon = (target_ns - from_ns) / MINUTE
        mass = today.curve.mass(path.minutes_at(from_ns), path.minutes_at(target_ns))
        variance = self._current(today, path).variance(horizon, mass) * today.widening**2
        layer = self.close_layer if target_ns == today.session.close_ns else self.hour_layer
        return Outlook(horizon, variance, self._residuals.at(horizon), layer)

    # What `memory` writes down and takes back

    @property
    def last_seen_ns(self) -> Nanos | None:
        """The stamp of the last price taken."""
        return self._last_seen_ns

    def day_at(self, at_ns: Nanos) -> Today | None:
        """A new day of the session this instant lies in, on the present curve; None when there is no session."""
        session = self._sessions(at_ns)
        return None if session is None else self._new_day(session)

    def resume(self, today: Today | None, last_seen_ns: Nanos | None) -> None:
        """Go on from a day under way. What was learnt up to then must have been put in place before."""
        self.today, self._last_seen_ns, self._view = today, last_seen_ns, None

    def inputs(self) -> tuple[Floats, Conditions] | None:
        """Levels, shape (8,), and conditions the next forecast is made from; None before the day's first price."""
        today = self.today
        if today is None or today.path is None:
            return None
        levels, conditions = self._inputs(today, today.path)
        return np.array(levels), conditions

    def _current(self, today: Today, path: SessionPath) -> VarianceForecast:
        if self._view is None:
            self._view = forecast_of(*self._inputs(today, path), self.constants.variance)
        return self._view

    def _inputs(self, today: Today, path: SessionPath) -> tuple[list[float], Conditions]:
        span = path.running()
        levels = self.variance.levels_with(None if span is None else self._observation(today, span))
        return levels, Conditions(
            minutes_since_open=path.minutes_at(path.last_ns),
            gap_feature=today.gap_feature,
            return_since_open=log(path.last / path.first),
            return_30=path.return_over(30),
            daily_sd=self.daily.daily_sd(levels[5]),
        )
