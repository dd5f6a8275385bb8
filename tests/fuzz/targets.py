"""What is fuzzed: how an input is made, what reads it, which refusals are documented, and the oracle's second opinion."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kalshi_daemon.domain.index import SERIES, Bar, FeedEvent, Tick  # type: ignore[attr-defined]
from kalshi_daemon.errors import MalformedData
from kalshi_daemon.index_feed import protocol
