"""The digest of a day: records in, one value out. Pure."""

from dataclasses import dataclass

from kalshi_daemon.digest.fills import FillSums, fill_sums
from kalshi_daemon.digest.money import Money, money
from kalshi_daemon.digest.quoting import Quoting, quoting
from kalshi_daemon.digest.records import Records
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.digest.service import Service, ServiceLog, service


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything a digest says. `service` None: the log was not read."""

    records: Records
    scans: ScanDay
    money: Money
    fills: FillSums
    quoting: Quoting
    service: Service | None


def make_digest(records: Records, scans: ScanDay, log: ServiceLog | None) -> Digest:
    """Sum up. `scans` and `log` are folded and finished; `log` None leaves the service part out."""
    return Digest(
        records=records,
        scans=scans,
        money=money(records, scans),
        fills=fill_sums(records, scans),
        quoting=quoting(records, scans),
        service=None if log is None else service(records, scans, log),
    )
