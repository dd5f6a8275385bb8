"""Named markets, as the simulator has them."""

from kalshi_daemon.simulator.traders.regimes import REGIMES, regime

__all__ = ["REGIMES", "regime"]
