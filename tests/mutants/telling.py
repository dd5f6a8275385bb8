"""Promises of what a run shows and tells: the status, alerts, the dead-man ping."""

from tests.mutants.mutant import Mutant

_STATUS = ("operations/test_status.py",)
_SOCKET = ("operations/test_status_socket.py",)
_ALERTS = ("operations/test_alerts.py",)
_GATE = ("operations/test_alert_gate.py",)
_SETTINGS = ("settings/test_service_settings.py",)

MUTANTS = (
    Mutant(
        "status_quotes_before_ready",
        "before it is ready a daemon does not say that it quotes",
        "operations/status.py",
        "quoting=bool(quotable) and facts.ready,",
        "quoting=bool(quotable),",
        _STATUS,
    ),
    Mutant(
        "status_socket_open_to_all",
        "the status is its owner's alone",
        "operations/status_socket.py",
        "_OWNER_ONLY: Final = 0o600",
        "_OWNER_ONLY: Final = 0o666",
        _SOCKET,
    ),
    Mutant(
        "stalled_reader_kept",
        "a reader that does not take its answer is cut off",
        "operations/status_socket.py",
        "        self._late = asyncio.get_running_loop().call_later(WRITE_WITHIN_S, self.cut)\n",
        "",
        _SOCKET,
    ),
    Mutant(
        "alert_result_passed_on",
        "the library's falsy answer counts as not sent",
        "operations/alert_targets.py",
        "        return bool(result)  # ",
        "        return result is not False  # ",
        _ALERTS,
    ),
    Mutant(
        "alert_addresses_logged",
        "the address of a target is never in the log",
        "operations/alert_targets.py",
        "        found.append((f\"{number} ({word.partition(':')[0][:20]})\", _sender(holder)))",
        '        found.append((f"{number} ({word})", _sender(holder)))',
        _ALERTS,
    ),
    Mutant(
        "alert_said_after_the_last_line",
        "nothing follows the last line of the log",
        "operations/alerts.py",
        "            self._log.end()",
        "            pass",
        _ALERTS,
    ),
    Mutant(
        "ping_while_stuck",
        "the dead-man switch is asked only while the decision loop turns",
        "operations/alerts.py",
        "or not status.progressing or status.stopping:",
        "or status.stopping:",
        _ALERTS,
    ),
    Mutant(
        "alert_repeated",
        "the same thing is not told again sooner than its time",
        "operations/alert_gate.py",
        "            before.repeats += 1\n            return None\n",
        "            before.repeats += 1\n",
        _GATE,
    ),
    Mutant(
        "quiet_hours_hold_critical",
        "quiet hours let through what cannot wait",
        "operations/alert_gate.py",
        "        if self._is_quiet(alert.at_ns) and alert.severity.rank < "
        "AlertSeverity(self._limits.quiet_severity_min).rank:\n",
        "        if self._is_quiet(alert.at_ns):\n",
        _GATE,
    ),
    Mutant(
        "page_open_without_token",
        "a page that others could open needs a token",
        "settings/rules.py",
        "    if not token and not is_loopback(found[0]):",
        "    if not token and found[0] is None:",
        _SETTINGS,
    ),
)
