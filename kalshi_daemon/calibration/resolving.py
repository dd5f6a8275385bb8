"""What becomes of one of our own forecasts when its fixing has come: it is scored, and teaches its online layer."""

from math import log, sqrt

import numpy as np

from kalshi_daemon.calibration.monitor import MONITORED_BUCKET, RecordMonitor, likelihood_ratios
from kalshi_daemon.calibration.predictive import settled_sigma
from kalshi_daemon.calibration.today import Taken
from kalshi_daemon.calibration.watch import ForecastWatch, ladder_around, scored
from kalshi_daemon.domain.index import Index


def resolve(
    index: Index, taken: Taken, fixing: float, basis: float, *, monitor: RecordMonitor, watch: ForecastWatch
) -> None:
    """Score the forecast as it was made; its layer, the detectors and the watch learn from it. fixing: points."""
    moved = log(fixing / taken.level)
    model, correction = taken.model, taken.correction
    sigma = settled_sigma(model.variance, correction.scale_squared, basis)
    plain = settled_sigma(taken.plain_variance, 1.0, basis)
    if taken.bucket == MONITORED_BUCKET:
        monitor.learn(likelihood_ratios(moved, sigma, model.residual, correction.pit_map, plain))
    pit = float(model.residual.cdf(np.array([moved / sigma]))[0])
    model.layer.learn(taken.bucket, model.residual.relative_square(moved / sqrt(model.variance)), pit)
    ladder = ladder_around(index, taken.level, sigma)
    watch.learn(taken.bucket, scored(moved, sigma, model.residual, correction.pit_map, plain, ladder))
