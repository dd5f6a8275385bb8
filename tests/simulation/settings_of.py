"""The daemon's settings in a scenario."""

from pydantic import SecretStr

from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import (
    CalibrationSettings,
    GuardSettings,
    IndexFeedSettings,
    KalshiSettings,
    LogSettings,
    Mode,
    OrderSettings,
    ProfileSettings,
    ProfilesSettings,
    Settings,
    WindowSettings,
)
from tests.simulation.exchange_host import ExchangeHost
from tests.simulation.scenario import Scenario


def settings_of(scenario: Scenario, exchange: ExchangeHost) -> Settings:
    """The shipped defaults, with a quick scan, a short lease or a small budget where the seed says so."""
    defaults = ProfilesSettings()
    cadence = {ticker: one.cadence for ticker, one in instruments_of(scenario.instruments).series.items()}

    def profile(one: ProfileSettings) -> ProfileSettings:
        series = tuple(name for name in scenario.series if cadence[name] == cadence[one.series[0]])
        wanted = {"series": series or one.series, "enabled": bool(series), "scan_every_s": scenario.scan_every_s}
        return one.model_copy(update=wanted)

    return Settings(
        mode=Mode.SIM,
        instruments=scenario.instruments,
        profiles=ProfilesSettings(
            wide=profile(defaults.wide), size=profile(defaults.size), close=profile(defaults.close)
        ),
        kalshi=KalshiSettings(fee_poll_s=scenario.fee_poll_s),
        index_feed=IndexFeedSettings(
            record=scenario.record, api_key=SecretStr(exchange.feed_api_key), rest_url=exchange.feed_rest_url
        ),
        calibration=CalibrationSettings(ready_after_minutes=0.2),
        windows=WindowSettings(calendar_end_days=5),
        guards=GuardSettings(daily_loss_dollars=scenario.daily_loss_dollars),
        orders=OrderSettings(
            lease_s=scenario.lease_s, reconcile_every_s=scenario.reconcile_every_s, journal_synchronous="normal"
        ),
        log=LogSettings(file=False),
    )
