"""The correlation of the two indices survives a restart with the models it was learnt beside."""

from kalshi_daemon.calibration.joint import PRIOR, Correlation
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.memory.documents import decoded, encoded
from kalshi_daemon.memory.store import CalibrationStore, Keeping
from kalshi_daemon.windows.sessions import SessionTable
from tests.calibration.support import MONDAY_OPEN, at, feed, model, session, walk
from tests.support.instruments import INDICES, PAIR


def store(folder):
    models = {index: model() for index in INDICES}
    for one, index in zip(models.values(), INDICES, strict=True):
        one.index = index
    table = SessionTable([session()], start_ns=MONDAY_OPEN, end_ns=Nanos(session().close_ns + MINUTE))
    return CalibrationStore(folder, ManualClock(at(40)), models, table, Keeping(3, 30, MINUTE)), models


def taught(correlation: Correlation) -> Correlation:
    for n in range(400):
        correlation.fold(1.0 if n % 2 else -1.0, 0.5 if n % 3 else -0.7)
    return correlation


def test_it_is_saved_and_comes_back(tmp_path):
    first, models = store(tmp_path)
    for one in models.values():
        feed(one, walk(30, step_s=20))
    taught(first.correlations[PAIR])
    first.save()
    second, _ = store(tmp_path)
    second.recall()
    assert second.correlations[PAIR] == first.correlations[PAIR]
    assert second.correlations[PAIR].value != PRIOR


def test_a_memory_without_it_starts_from_the_prior_and_a_wrong_one_is_refused(tmp_path):
    first, models = store(tmp_path)
    for one in models.values():
        feed(one, walk(30, step_s=20))
    first.save()
    for index, change in ((Index.SPX, None), (Index.NDX, {"weight": -1.0})):
        path = first.path(index)
        document = decoded(path.read_bytes())
        if change is None:
            del document["correlation"]
        else:
            document["correlation"] = {**document["correlation"], **change}
        path.write_bytes(encoded(document))
    second, _ = store(tmp_path)
    second.recall()
    assert second.correlations[PAIR] == Correlation()
    assert second.recollections[Index.SPX].restored_ns is not None
    assert "negative" in second.recollections[Index.NDX].cold
