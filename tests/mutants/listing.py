"""Lists of the exchange that are partly wrong: a record costs itself, and opens nothing."""

from tests.mutants.mutant import Mutant

_LISTING = ("venue/test_unreadable_listing.py",)
_CLEARING = ("cli/test_cancel_all_command.py",)
_GROUPS = ("orders/test_order_groups.py",)

MUTANTS = (
    Mutant(
        "last_of_two_listings_believed",
        "a market listed twice is shut",
        "venue/listing.py",
        "            if listed[ticker] > 1:  #",
        "            if False:  #",
        _LISTING,
    ),
    Mutant(
        "one_market_moves_its_event",
        "a wrong close time of one market moves nothing",
        "venue/listing.py",
        "        markets = _of_one_close(markets, refused)\n",
        "",
        _LISTING,
    ),
    Mutant(
        "close_without_a_majority",
        "without a majority of close times no market is used",
        "venue/listing.py",
        "    majority = 2 * agreeing > len(markets)\n",
        "    majority = True\n",
        _LISTING,
    ),
    Mutant(
        "bad_strike_date_fails_open",
        "an event whose date cannot be read is shut whatever its markets say",
        "venue/listing.py",
        "        problem = record.problem or _problem(record, markets, refused)\n",
        "        problem = _problem(record, markets, refused)\n",
        _LISTING,
    ),
    Mutant(
        "override_lost_with_the_date",
        "what else an event says is heard before its date is judged",
        "venue/listing.py",
        '        self.note_fees(event_ticker, obj.get("fee_type_override"), obj.get("fee_multiplier_override"))\n'
        '        self._note_date(record, obj.get("strike_date"))\n',
        '        self._note_date(record, obj.get("strike_date"))\n'
        '        self.note_fees(event_ticker, obj.get("fee_type_override"), obj.get("fee_multiplier_override"))\n',
        _LISTING,
    ),
    Mutant(
        "unreadable_is_zero_by_hand",
        "cancel-all by hand is not verified while a listed order cannot be read",
        "cli/clearing.py",
        "        if mine or unreadable:\n",
        "        if mine:\n",
        _CLEARING,
    ),
    Mutant(
        "unreadable_list_stops_clearing",
        "cancel-all by hand cancels what it can read of a list",
        "cli/clearing.py",
        "            found = [order for order in partly.readable if isinstance(order, RemoteOrder)]\n",
        "            found = []\n",
        _CLEARING,
    ),
    Mutant(
        "bad_group_costs_the_list",
        "one unreadable order group costs itself",
        "orders/groups.py",
        "            unreadable.append(str(problem))\n            continue\n",
        "            raise\n",
        _GROUPS,
    ),
    Mutant(
        "group_forgotten_by_half_a_list",
        "a list that could not be read whole lets no group be forgotten",
        "orders/groups.py",
        "(whole and not self._is_young(row.created_ns))",
        "not self._is_young(row.created_ns)",
        _GROUPS,
    ),
    Mutant(
        "bad_items_end_a_good_frame",
        "a session ends only when nothing good comes any more",
        "index_feed/consumer.py",
        "session.unreadable_run = session.unreadable_run + 1 if nothing_good else 0",
        "session.unreadable_run += len(refused)",
        ("index_feed/test_feed_faults.py",),
    ),
    Mutant(
        "unreadable_counted_per_connection",
        "unreadable frames are counted by market",
        "kalshi/stream_session.py",
        "self._rates.note(_market_of(raw), net_ns)",
        'self._rates.note("", net_ns)',
        ("kalshi/test_stream_session_rules.py",),
    ),
    Mutant(
        "every_unreadable_said",
        "a name is said once a minute",
        "ground/unreadable.py",
        "        if minute is None:\n",
        "        if True:\n",
        ("ground/test_unreadable.py",),
    ),
    Mutant(
        "unreadable_minute_forgotten",
        "the figure of a minute is said when it has ended",
        "kalshi/stream_session.py",
        '        self._say_unreadable(self._rates.due(net_ns), "")\n',
        "",
        ("kalshi/test_stream_session_rules.py",),
    ),
)
