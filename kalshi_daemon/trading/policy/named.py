"""The policies there are, by the name `config.toml` uses. Another one is another line here."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.trading.policy import edge, reservation
from kalshi_daemon.trading.policy.policy import Policy

POLICIES: Final[Mapping[str, Callable[[Settings], Policy[Any]]]] = {
    edge.NAME: lambda settings: edge.EdgePolicy(settings.pricing, settings.guards),
    reservation.NAME: lambda settings: reservation.ReservationPolicy(
        settings.pricing, settings.guards, settings.reservation
    ),
}


def build_policy(settings: Settings) -> Policy[Any]:
    """The policy that the settings name. Raises ConfigurationError for a name that is none."""
    build = POLICIES.get(settings.trading.policy)
    if build is None:
        raise ConfigurationError(
            "trading.policy",
            f"{settings.trading.policy!r} is no policy",
            f"one of: {', '.join(sorted(POLICIES))}",
        )
    return build(settings)
