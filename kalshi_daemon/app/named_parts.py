"""Settings that name a part which alone can judge the name: asked before anything is made, opened or begun."""

from kalshi_daemon.operations.alert_log import EndingLog
from kalshi_daemon.operations.alert_targets import targets_of
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.trading.policy.named import build_policy


def check_named_parts(settings: Settings) -> None:
    """Raises ConfigurationError for a policy that is none, and for an alert target of no kind that is known."""
    build_policy(settings)
    silent = EndingLog()
    silent.end()
    targets_of(settings.alerts.targets.get_secret_value(), settings.alerts.send_timeout_s, silent)
