"""Promises of what a run shows and tells: the status, alerts, the dead-man ping."""

from tests.mutants.mutant import Mutant

_STATUS = ("operations/test_status.py",)
_SOCKET = ("operations/test_status_socket.py",)
_ALERTS = ("operations/test_alerts.py",)
_GATE = ("operations/test_alert_gate.py",)
_PAGE = ("operations/test_page.py",)
_PAGE_FRAMES = ("operations/test_page_frames.py",)
_PAGE_SWITCH = ("operations/test_page_switch.py",)
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
    Mutant(
        "page_token_not_compared",
        "a page with a token is shown to who has it",
        "operations/page.py",
        "            if request.path != _UNGUARDED and not hmac.compare_digest(token_in(request), self._token):",
        "            if request.path != _UNGUARDED and not token_in(request):",
        _PAGE,
    ),
    Mutant(
        "page_healthz_opens_all",
        "only /healthz is answered without the token",
        "operations/page.py",
        "if request.path != _UNGUARDED and not hmac",
        "if not request.path.startswith(_UNGUARDED) and not hmac",
        _PAGE,
    ),
    Mutant(
        "page_switch_for_other_pages",
        "another page in the browser can neither kill nor unkill",
        "operations/page_switch.py",
        '    if not host or host.lower() != request.headers.get("Host", "").lower():',
        "    if not host:",
        _PAGE_SWITCH,
    ),
    Mutant(
        "page_switch_for_forms",
        "a form of another page can neither kill nor unkill",
        "operations/page_switch.py",
        '    if request.content_type != "application/json":',
        '    if request.content_type == "text/html":',
        _PAGE_SWITCH,
    ),
    Mutant(
        "page_switch_without_the_word",
        "kill and unkill take the word that was typed",
        "operations/page_switch.py",
        '        if (await _body(request)).get("word") != word:',
        '        if (await _body(request)).get("word") is None:',
        _PAGE_SWITCH,
    ),
    Mutant(
        "page_readers_unbounded",
        "the page has a bounded number of readers",
        "operations/page_frames.py",
        "        if self.readers >= READERS_MAX:",
        "        if self.readers < 0:",
        _PAGE_FRAMES,
    ),
    Mutant(
        "page_frame_for_each_reader",
        "a frame is made once a second, whoever reads",
        "operations/page_frames.py",
        "        if self._last is None or now_s - self._made_s >= EVERY_S:",
        "        if self._last is None or now_s - self._made_s >= 0.0:",
        _PAGE_FRAMES,
    ),
    Mutant(
        "page_stalled_reader_kept",
        "a reader of the page that takes no frame is let go",
        "operations/page_frames.py",
        "            async with asyncio.timeout(WRITE_WITHIN_S):\n",
        "            async with asyncio.timeout(None):\n",
        _PAGE_FRAMES,
    ),
    Mutant(
        "page_missed_frame_not_made_good",
        "who missed a frame of the page is sent the whole picture",
        "operations/page_frames.py",
        "        return self.changed if number == self.number - 1 else self.whole",
        "        return self.changed",
        _PAGE_FRAMES,
    ),
    Mutant(
        "guard_closed_since_now",
        "a closed guard says since when",
        "operations/status.py",
        "facts.closed_since.get(name, now_ns)",
        "now_ns",
        _STATUS,
    ),
)
