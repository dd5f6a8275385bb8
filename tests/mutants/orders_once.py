"""No order is sent twice or forgotten: ids, intents, the ambiguity of answers, crashes, reconciliation."""

from tests.mutants.mutant import Mutant

_PLACING = ("orders/test_placing_orders.py",)
_RULINGS = ("orders/test_order_ids_and_rulings.py", "orders/test_placing_orders.py")
_RECONCILING = ("orders/test_reconciling_with_the_exchange.py",)
_CRASH = ("orders/test_crash_points.py",)
_CANCELLING = ("orders/test_cancelling_orders.py",)

MUTANTS = (
    Mutant(
        "resent_with_a_new_id",
        "a create without an answer is never sent again under another id",
        "orders/placing.py",
        "        except EXCHANGE_ERRORS as problem:\n            results = [problem] * len(orders)\n",
        "        except EXCHANGE_ERRORS:\n"
        '            replace = __import__("dataclasses").replace\n'
        "            again = [replace(new_order(order), client_order_id=self._ids()) for order in orders]\n"
        "            results = await self._api.create_orders(again)\n",
        _PLACING,
    ),
    Mutant(
        "client_id_reused",
        "a client order id is never used twice",
        "orders/ids.py",
        "        self._seq += 1",
        "        self._seq = 1",
        _PLACING,
    ),
    Mutant(
        "runs_share_ids",
        "two runs never make the same id",
        "orders/ids.py",
        "    return entropy[:_ENTROPY_MIN].hex()",
        "    return bytes(_ENTROPY_MIN).hex()",
        ("orders/test_order_ids_and_rulings.py",),
    ),
    Mutant(
        "intent_written_late",
        "the intent is on disk before the first byte leaves",
        "orders/order_store.py",
        "        self.journal.record_intents(orders)\n        for order in orders:",
        '        __import__("asyncio").get_running_loop().call_soon(self.journal.record_intents, orders)\n'
        "        for order in orders:",
        _PLACING,
    ),
    Mutant(
        "restart_takes_intents_for_unsent",
        "after a crash an intent without an answer counts as sent",
        "orders/order_store.py",
        '                self.apply(order.client_order_id, OutcomeUnknown(now, "restart"))',
        '                self.apply(order.client_order_id, OutcomeUnknown(now, "restart"))\n'
        "                self.apply(order.client_order_id, NotFoundAuthenticated(now, Nanos(0), Nanos(0)))",
        _CRASH,
    ),
    Mutant(
        "timeout_taken_for_a_reject",
        "a create without a trustworthy answer is UNKNOWN, never rejected",
        "orders/ambiguity.py",
        "    (VenueRejected, Ruling(Meaning.REFUSED)),\n    (Exception, Ruling(Meaning.UNKNOWN, FollowUp.BY_TICKER)),",
        "    (VenueRejected, Ruling(Meaning.REFUSED)),\n    (Exception, Ruling(Meaning.REFUSED)),",
        _RULINGS,
    ),
    Mutant(
        "duplicate_taken_for_a_reject",
        "409 order_already_exists means: find the earlier one",
        "orders/ambiguity.py",
        "    (AlreadyExists, Ruling(Meaning.UNKNOWN, FollowUp.BY_TICKER)),",
        "    (AlreadyExists, Ruling(Meaning.REFUSED)),",
        _RULINGS,
    ),
    Mutant(
        "unreachable_taken_for_gone",
        "network trouble never means that an order is gone",
        "orders/outcome_resolver.py",
        "        except NotFound:\n",
        "        except (NotFound, *EXCHANGE_ERRORS):\n",
        _CANCELLING,
    ),
    Mutant(
        "unreachable_taken_for_not_listed",
        "network trouble never means that a create did not arrive",
        "orders/outcome_resolver.py",
        "                    self._learn_found(lost, problem.readable)\n                continue\n",
        "                    self._learn_found(lost, problem.readable)\n                listed = []\n",
        _PLACING,
    ),
    Mutant(
        "not_listed_believed_at_once",
        "reads lag writes: not found means something only after patience",
        "orders/lifecycle.py",
        "        return target if not_found_is_final(event) and filled == 0 else Status.UNKNOWN",
        "        return target if filled == 0 else Status.UNKNOWN",
        _PLACING,
    ),
    Mutant(
        "gone_from_an_empty_404",
        "a 404 ends an order only once its expiry has passed as well",
        "orders/outcome_resolver.py",
        "            if now >= current.expires_ns + LAPSE_GRACE and current.status in",
        "            if current.status in",
        (*_CANCELLING, *_RECONCILING),
    ),
    Mutant(
        "answer_about_another_order",
        "an answer about another order is no answer",
        "orders/placing.py",
        "            if result.client_order_id != order.client_order_id:",
        "            if not result.client_order_id:",
        _PLACING,
    ),
    Mutant(
        "cancelled_request_forgotten",
        "a create that was interrupted on the wire is UNKNOWN",
        "orders/placing.py",
        '            self._record(orders, [OrderOutcomeUnknown("create", type(problem).__name__)] * len(orders))\n'
        "            raise",
        "            raise",
        _PLACING,
    ),
    Mutant(
        "rejected_stays_dead",
        "the exchange's word outranks our belief that an order was refused",
        "orders/lifecycle.py",
        '    ReportedResting:      ". R R = R  = = = R",',
        '    ReportedResting:      ". R R = R  = = = =",',
        ("orders/test_order_lifecycle.py", *_RECONCILING),
    ),
    Mutant(
        "unknown_is_no_risk",
        "an order of unknown fate counts as resting",
        "domain/order.py",
        "Status.RESTING, Status.PENDING_CANCEL, Status.UNKNOWN})",
        "Status.RESTING, Status.PENDING_CANCEL})",
        ("guardrails/test_exposure.py", "orders/test_placing_orders.py"),
    ),
    Mutant(
        "always_agreed",
        "a disagreement with the exchange halts quoting",
        "orders/reconciling.py",
        "        disputes = disagreements(findings)",
        "        disputes = disagreements(())",
        _RECONCILING,
    ),
    Mutant(
        "positions_invented",
        "a position that our fills do not explain is disputed, never adopted",
        "orders/reconciling.py",
        "        if self._store.journal.cursor(_INHERITED) is None:",
        "        if asked:",
        _RECONCILING,
    ),
    Mutant(
        "orphans_ignored",
        "a resting order with an id of ours that no journal knows is adopted and cancelled",
        "orders/reconciling.py",
        "        await self._send_adopted_away()\n",
        "",
        _RECONCILING,
    ),
    Mutant(
        "ghosts_ignored",
        "an order that ended in our books and rests at the exchange is cancelled again",
        "orders/reconciling.py",
        '            await self._canceller.cancel_listed([remote], "ended_in_our_books")',
        "            pass",
        _RECONCILING,
    ),
    Mutant(
        "no_look_after_a_reconnect",
        "what happened while nobody listened is read from the lists",
        "orders/manager.py",
        "                # What happened while nobody listened is in the exchange's lists.\n"
        "                self._look_soon()",
        "                # What happened while nobody listened is in the exchange's lists.\n                pass",
        _RECONCILING,
    ),
    Mutant(
        "second_instance_allowed",
        "one daemon per account and state directory",
        "operations/lock.py",
        "            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        ("operations/test_lock.py",),
    ),
)
