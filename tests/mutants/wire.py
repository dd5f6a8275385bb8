"""What goes over the wire and what comes back: bodies, answers, the stream, the rate limits."""

from tests.mutants.mutant import Mutant

_BODIES = ("kalshi/test_rest_bodies_and_answers.py",)
_CLIENT = ("kalshi/test_rest_client_failures.py",)
_STREAM = ("kalshi/test_stream_session_rules.py",)
_FRAMES = ("kalshi/test_ws_frames.py",)
_BUCKETS = ("kalshi/test_rate_limit_buckets.py",)

MUTANTS = (
    Mutant(
        "post_only_off",
        "every create is post_only",
        "kalshi/rest_codec.py",
        '        "post_only": True,',
        '        "post_only": False,',
        _BODIES,
    ),
    Mutant(
        "rests_through_a_pause",
        "every create is cancelled on a pause",
        "kalshi/rest_codec.py",
        '        "cancel_order_on_pause": True,',
        '        "cancel_order_on_pause": False,',
        _BODIES,
    ),
    Mutant(
        "no_expiry_on_the_wire",
        "every create carries its expiry",
        "kalshi/rest_codec.py",
        '        "expiration_time": order.expires_ns // SECOND,\n',
        "",
        _BODIES,
    ),
    Mutant(
        "side_inverted",
        "a bid is sent as a bid",
        "kalshi/rest_codec.py",
        '        "side": order.side.value,\n        "count": _wire_count(order.count),',
        '        "side": "ask" if order.side.value == "bid" else "bid",\n        "count": _wire_count(order.count),',
        _BODIES,
    ),
    Mutant(
        "no_price_not_complemented",
        "a NO level of the book is put on the YES scale",
        "kalshi/ws_codec.py",
        "        levels.append((complement(price) if flip else price, count))",
        "        levels.append((price, count))",
        _FRAMES,
    ),
    Mutant(
        "no_delta_not_complemented",
        "a NO change of the book is put on the YES scale",
        "kalshi/ws_codec.py",
        "        price = price if yes_scale else complement(price)",
        "        price = price if yes_scale else price",
        _FRAMES,
    ),
    Mutant(
        "cancel_echo_not_checked",
        "an answer about another order is no answer",
        "kalshi/rest_codec.py",
        "    if echoed != order_id:",
        "    if not echoed:",
        _BODIES,
    ),
    Mutant(
        "timeout_taken_for_unsent",
        "a time-out after the bytes left proves nothing",
        "kalshi/transport.py",
        "            raise OrderOutcomeUnknown(request.name, problem.cause, problem.waited_ms) from None",
        "            raise VenueUnreachable(request.name, problem.cause) from None",
        _CLIENT,
    ),
    Mutant(
        "write_sent_twice",
        "a write is sent at most once",
        "kalshi/transport.py",
        "        except _NoAnswer as problem:\n"
        "            raise OrderOutcomeUnknown(request.name, problem.cause, problem.waited_ms) from None\n",
        "        except _NoAnswer:\n"
        "            try:\n"
        "                answer = await self._exchange(request, self._settings.write_timeout_ms / 1_000)\n"
        "            except _NoAnswer as problem:\n"
        "                raise OrderOutcomeUnknown(request.name, problem.cause, problem.waited_ms) from None\n",
        _CLIENT,
    ),
    Mutant(
        "library_resends",
        "the HTTP library never repeats a write by itself",
        "kalshi/transport.py",
        "        session._retry_connection = False ",
        "        session._retry_connection = True ",
        _CLIENT,
    ),
    Mutant(
        "5xx_taken_for_a_reject",
        "a 5xx proves nothing about a write",
        "kalshi/transport.py",
        "    return status >= refusals.SERVER_ERROR or status < refusals.BAD_REQUEST",
        "    return status < refusals.BAD_REQUEST",
        _CLIENT,
    ),
    Mutant(
        "proxy_404_taken_for_not_found",
        "only the exchange's own 404 means not found",
        "kalshi/transport.py",
        "        return not refusal.readable",
        "        return False",
        _CLIENT,
    ),
    Mutant(
        "proxy_page_is_not_found",
        "an unreadable 404 is no evidence",
        "kalshi/refusals.py",
        "    if refusal.readable and (status == NOT_FOUND",
        "    if (status == NOT_FOUND",
        ("kalshi/test_error_bodies.py",),
    ),
    Mutant(
        "read_only_writes",
        "a read-only client sends no write",
        "kalshi/rest.py",
        "        if self._read_only:",
        "        if self._read_only is None:",
        _CLIENT,
    ),
    Mutant(
        "latch_not_asked_on_the_wire",
        "a create that waited for tokens asks the latch again before it leaves",
        "kalshi/transport.py",
        "        if still_wanted is not None and not still_wanted():",
        "        if still_wanted is not None and not still_wanted:",
        _CLIENT,
    ),
    Mutant(
        "cut_list_taken_for_whole",
        "a list without its end marked is not complete",
        "kalshi/rest.py",
        '                if cursor_required and "cursor" not in obj:',
        '                if cursor_required and "cursor" in obj:',
        _CLIENT,
    ),
    Mutant(
        "no_reserve_for_cancels",
        "creates never take the tokens kept for cancels",
        "kalshi/rate_limit.py",
        "        return self.write, self.reserve if lane is Lane.CREATE else 0",
        "        return self.write, 0",
        _BUCKETS,
    ),
    Mutant(
        "429_holds_cancels",
        "a 429 degrades quoting, never cancelling",
        "kalshi/rate_limit.py",
        "        held = Lane.CREATE if lane is Lane.CANCEL else lane",
        "        held = lane",
        _BUCKETS,
    ),
    Mutant(
        "one_queue_for_all_lanes",
        "a cancel never waits in the queue of creates",
        "kalshi/transport.py",
        "        self._turns = {lane: asyncio.Lock() for lane in Lane}",
        "        self._turns = dict.fromkeys(Lane, asyncio.Lock())",
        _CLIENT,
    ),
    Mutant(
        "sequence_gap_ignored",
        "a gap in the numbers is seen",
        "kalshi/sequence.py",
        "        if seq == last + 1:",
        "        if seq > last:",
        ("kalshi/test_sequence_numbers.py",),
    ),
    Mutant(
        "books_survive_a_gap",
        "after a gap no book of the subscription is believed",
        "venue/books.py",
        "            self._void(self._books[ticker])\n        return tuple(lost)",
        "            self._books[ticker].recv_ns = event.recv_ns\n        return tuple(lost)",
        ("venue/test_books.py",),
    ),
    Mutant(
        "books_survive_a_disconnect",
        "after a lost connection no book is believed",
        "venue/books.py",
        "            book.synced = False\n        self._sid_of.clear()",
        "            book.event_ns = book.recv_ns\n        self._sid_of.clear()",
        ("venue/test_books.py",),
    ),
    Mutant(
        "private_gap_kept_quiet",
        "a gap on the private channels makes the order room compare",
        "kalshi/stream_session.py",
        "        return [gap, StreamUp(recv_ns)] if self.up else [gap]",
        "        return [gap]",
        _STREAM,
    ),
    Mutant(
        "repeated_frame_applied",
        "a frame that was seen already changes nothing",
        "kalshi/stream_session.py",
        "            if verdict is Order.REPEATED:\n                return []\n",
        "",
        _STREAM,
    ),
)
