"""`kalshi-daemon simulate-exchange`: the simulated exchange and index feed on loopback, for this daemon or any bot."""

import argparse
from datetime import date, time
from typing import Final

from kalshi_daemon.cli.common import Subparsers, a_date, a_path, load_table
from kalshi_daemon.cli.session_options import REGIMES
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode

_FROM: Final = time(9, 25)
_UNTIL: Final = time(16, 5)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "simulate-exchange",
        help="serve a simulated exchange and index feed on localhost",
        description="Once ready, prints one JSON line with rest_url, ws_url, feed_url, feed_api_key, feed_rest_url, "
        "admin_url, key_id, private_key_path, key_type, session_date, speed, clock, now_ns and end_ns (the exchange's "
        "time, nanoseconds since 1970 in UTC), then serves until SIGTERM. GET {admin_url}/truth returns the "
        "exchange's own records. Simulated time runs at --speed and waits for daemons that follow it. Requests may "
        "carry timestamps of the simulated clock or of this machine's. A named --config adds its [instruments].",
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="P", help="port for REST, websocket and admin (0: any)"
    )
    parser.add_argument("--feed-port", type=_port, default=0, metavar="Q", help="port for the index feed (0: any)")
    parser.add_argument(
        "--seed", type=int, default=7, metavar="S", help="random seed of the session and its traders (7)"
    )
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="simulated seconds per second (1)")
    parser.add_argument(
        "--session-date", type=a_date, metavar="D", help="YYYY-MM-DD (default: 2026-11-23, or the date of the bars)"
    )
    _add_span(parser)
    parser.add_argument(
        "--index-replay",
        type=a_path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="replay index bars from these files instead of generating a session",
    )
    parser.add_argument(
        "--key-type", choices=("rsa", "ed25519"), default="ed25519", help="type of the temporary API key (ed25519)"
    )
    parser.add_argument(
        "--real-clock",
        action="store_true",
        help="use this machine's clock: a generated session around now, at any time of any day",
    )
    parser.add_argument(
        "--regime", choices=REGIMES, default="usual", help="who trades in the market: docs/laboratory.md (%(default)s)"
    )
    parser.add_argument(
        "--latency",
        action="store_true",
        help="let requests and answers take time, drawn from the seed, in simulated time (20 ms each way)",
    )
    parser.add_argument("--stop-with-parent", action="store_true", help="stop when standard input closes")
    parser.add_argument(
        "--hold",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait this long at most for a daemon to connect before time starts",
    )


def _add_span(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="start",
        type=_clock_time,
        default=_FROM,
        metavar="HH:MM",
        help="start of the simulation, New York time (09:25)",
    )
    parser.add_argument(
        "--until",
        type=_clock_time,
        default=_UNTIL,
        metavar="HH:MM",
        help="end of the simulation, New York time (16:05)",
    )


def run(args: argparse.Namespace) -> int:
    import uvloop  # noqa: PLC0415 - `--help` need not pay for it

    from kalshi_daemon.simulator.latency import Latency  # noqa: PLC0415
    from kalshi_daemon.simulator.serve import KeyType, serve  # noqa: PLC0415
    from kalshi_daemon.simulator.traders.regimes import regime  # noqa: PLC0415
    from kalshi_daemon.simulator.world import World, WorldPlan  # noqa: PLC0415

    _refuse_contradictions(args)
    chosen: date | None = args.session_date
    plan = WorldPlan(
        seed=args.seed,
        speed=args.speed,
        session_date=chosen if chosen or args.index_replay else date(2026, 11, 23),
        start=args.start,
        until=args.until,
        index_replay=tuple(args.index_replay),
        hold_for_follower_s=args.hold,
        real_clock=args.real_clock,
        mix=regime(args.regime),
        latency=Latency() if args.latency else None,
        table=load_table(args, named_only=True),
    )
    world = World(plan)
    _configure_logging()
    try:
        uvloop.run(
            serve(
                world,
                port=args.port,
                feed_port=args.feed_port,
                stop_with_parent=args.stop_with_parent,
                key_type=KeyType(args.key_type),
            )
        )
    except OSError as problem:
        raise ConfigurationError(
            "simulate-exchange", f"cannot listen on 127.0.0.1: {problem.strerror}", "choose another --port/--feed-port"
        ) from problem
    return ExitCode.OK


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Raises ConfigurationError: the machine's clock leaves no choice of day and speed."""
    given = {
        "--speed": args.speed != 1.0,
        "--session-date": args.session_date is not None,
        "--index-replay": bool(args.index_replay),
        "--from": args.start != _FROM,
        "--until": args.until != _UNTIL,
        "--hold": args.hold != 0.0,
    }
    for option, set_too in given.items():
        if args.real_clock and set_too:
            raise ConfigurationError(
                "--real-clock", f"the machine's clock leaves no choice of {option}", f"drop {option}"
            )


def _configure_logging() -> None:
    """Warnings of the simulator to standard error; standard output holds the ready line alone."""
    import sys  # noqa: PLC0415

    import structlog  # noqa: PLC0415

    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(30),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:  # noqa: PLR2004 - TCP
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return number


def _speed(text: str) -> float:
    speed = float(text)
    if not 0.0 < speed <= 10_000.0:  # noqa: PLR2004 - as the setting sim.speed
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 10000")
    return speed


def _clock_time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 09:25") from None
