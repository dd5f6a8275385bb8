"""The laboratory tells the truth: fills to the contract, no edge where nobody knows one, the past whole and once."""

from tests.mutants.mutant import Mutant

_QUEUES = ("backtest/test_queue_models.py",)
_BOOK = ("backtest/test_recorded_book.py",)
_RESULTS = ("backtest/test_recorded_session.py",)
_HISTORY = ("research/history/test_venue_history.py",)

MUTANTS = (
    Mutant(
        "queue_is_cut_by_cancels_ahead",
        "the default queue model takes a cancel for one behind us as long as anybody is there",
        "backtest/recorded/queue_models.py",
        "        place.ahead = min(place.ahead, float(level.total))\n",
        "        place.ahead = max(0.0, place.ahead - (before - level.total))\n",
        _QUEUES,
    ),
    Mutant(
        "order_joins_the_front_of_its_queue",
        "an order of ours joins the back of its recorded level",
        "backtest/recorded/queue_models.py",
        "        return QueuePlace(float(level.total), rank=level.last_rank)\n",
        "        return QueuePlace(0.0)\n",
        _QUEUES,
    ),
    Mutant(
        "one_trade_fills_two_orders",
        "no recorded contract fills two of our orders",
        "backtest/recorded/recorded_book.py",
        "reaches(own.place) - filled)",
        "reaches(own.place))",
        _BOOK,
    ),
    Mutant(
        "trade_at_a_worse_price_fills_beyond_its_size",
        "a recorded trade fills no more of ours than it was",
        "backtest/recorded/recorded_book.py",
        "self._fill(own, min(left, own.order.remaining))",
        "self._fill(own, own.order.remaining)",
        _BOOK,
    ),
    Mutant(
        "what_we_took_is_shown_again",
        "of an order that traded with us the book shows what is left",
        "backtest/recorded/recorded_book.py",
        "        wanted = level.tape.total - level.taken\n",
        "        wanted = level.tape.total\n",
        _BOOK,
    ),
    Mutant(
        "larger_amend_keeps_its_place",
        "an order that grew joins its queue anew",
        "backtest/recorded/recorded_book.py",
        " or order.remaining > known.remaining",
        "",
        _BOOK,
    ),
    Mutant(
        "recorded_books_have_an_edge_of_zero",
        "without a law there is no edge, and it is not zero",
        "backtest/results.py",
        '        "edge_cents": None if edge is None else _ratio(_CENTS * edge, contracts),\n',
        '        "edge_cents": _ratio(_CENTS * (edge or 0.0), contracts),\n',
        _RESULTS,
    ),
    Mutant(
        "result_outlives_its_data",
        "a result is kept under its data: other files are played again",
        "backtest/runner.py",
        ' {job.latency!r} {data} {job.warm}"',
        ' {job.latency!r} {job.warm}"',
        ("backtest/test_runner.py",),
    ),
    Mutant(
        "warm_session_begins_cold",
        "a made-up session begins with what earlier days have taught",
        "backtest/runner.py",
        "    if not job.warm or isinstance",
        "    if job.warm or isinstance",
        ("backtest/test_warm_memory.py",),
    ),
    Mutant(
        "past_has_no_part_in_the_present",
        "the volatility of the days before resembles the session's",
        "simulator/feed/earlier_sessions.py",
        "    own = log_day_vol / LOG_DAY_VOL_SD\n",
        "    own = float(rng.standard_normal())\n",
        ("simulator_feed/test_earlier_sessions.py",),
    ),
    Mutant(
        "day_without_bars_goes_unsaid",
        "days without bars are named",
        "backtest/bar_days.py",
        "            without[session.day] = ",
        "            _ = ",
        ("backtest/test_bar_days.py",),
    ),
    Mutant(
        "trades_of_the_archive_are_forgotten",
        "trades on both sides of the cutoff are fetched",
        "research/history/venue_history.py",
        "            (Tier.ARCHIVE, market.open_ns, min(end, cutoff)),\n",
        "",
        _HISTORY,
    ),
    Mutant(
        "unsettled_event_is_final",
        "an event that is not settled is asked for again",
        "research/history/venue_history.py",
        "            final = self._unreadable == 0 and all(market.settled for market in markets)\n",
        "            final = self._unreadable == 0\n",
        _HISTORY,
    ),
    Mutant(
        "page_without_a_cursor_is_the_last",
        "a list of the past whose end is not marked is not taken for whole",
        "kalshi/history_rest.py",
        '                if "cursor" not in obj:\n',
        "                if False:\n",
        _HISTORY,
    ),
)
