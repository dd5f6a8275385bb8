"""What people read: tables that outside text cannot break, charts that hold their figures; a daemon without them."""

from tests.mutants.mutant import Mutant

_TABLES = ("ground/test_tables.py",)
_DRAWING = ("research/test_drawing.py",)

_MODELS = ("artifacts/test_document_models.py",)
MUTANTS = (
    Mutant(
        "daemon_loads_the_plotting_library",
        "importing the live daemon loads no plotting library",
        "app/daemon.py",
        "import structlog\n\n",
        "import matplotlib\nimport structlog\n\n",
        ("architecture/test_live_loads_no_simulator.py",),
    ),
    Mutant(
        "missing_library_ends_in_a_traceback",
        "a command that lacks the plotting library says in one line what to install",
        "research/report_page.py",
        'if (problem.name or "").partition(".")[0] != "matplotlib":',
        "if problem.name:",
        _DRAWING,
    ),
    Mutant(
        "chart_drops_a_series",
        "every series of a chart is in its picture",
        "research/drawing.py",
        "for series in chart.series]",
        "for series in chart.series[:-1]]",
        _DRAWING,
    ),
    Mutant(
        "markout_from_the_book_after_the_trade",
        "a fill is measured from the others' prices before it",
        "trading/markouts.py",
        "        if at is None or now - at > _LATE:\n",
        "        if True:\n",
        ("trading/test_markouts.py",),
    ),
    Mutant(
        "markout_of_a_late_fill",
        "a fill that was heard of late has no markouts",
        "digest/markouts.py",
        " and abs(one.filled_ns - fill.event_ns) <= SEEN_WITHIN",
        "",
        ("digest/test_market_markouts.py",),
    ),
    Mutant(
        "markout_after_the_fixing",
        "what happened after the fixing is no markout",
        "digest/markouts.py",
        " or (target_ns is not None and moment >= target_ns)",
        "",
        ("digest/test_market_markouts.py",),
    ),
    Mutant(
        "errors_count_fills",
        "standard errors are those of windows",
        "digest/means.py",
        "setdefault(record.booked.event_ticker,",
        "setdefault(record.booked.fill.trade_id,",
        ("digest/test_market_markouts.py",),
    ),
    Mutant(
        "table_broken_by_a_cell",
        "text from outside cannot break a Markdown table",
        "ground/tables.py",
        '.replace("|", "\\\\|")',
        "",
        _TABLES,
    ),
    Mutant(
        "terminal_shows_control_characters",
        "text from outside moves no cursor",
        "ground/tables.py",
        'char if char.isprintable() else "?"',
        "char",
        _TABLES,
    ),
    Mutant(
        "newer_schema_guessed_at",
        "a document of a newer daemon is not guessed at",
        "ground/documents.py",
        "    if schema > known:\n",
        "    if schema > 1000 * known:\n",
        _MODELS,
    ),
    Mutant(
        "verdict_half_read",
        "a verdict that does not say whether it was forced is not read as one that was not",
        "artifacts/manifest.py",
        "            if one.name not in found:\n",
        "            if one.name not in (*found, one.name):\n",
        _MODELS,
    ),
    Mutant(
        "correction_not_reported",
        "the report's profit of a day counts a settlement that was corrected",
        "artifacts/report.py",
        '        elif action in {"settle", "correct"}:\n',
        '        elif action == "settle":\n',
        ("artifacts/test_artifact_documents.py",),
    ),
    Mutant(
        "newer_forecast_in_silence",
        "lines of a newer daemon in the forecast record are said",
        "memory/record_rows.py",
        "        raise NewerVersionError(version)\n",
        "        raise ValueError(version)\n",
        ("memory/test_forecast_record.py",),
    ),
    Mutant(
        "torn_line_spoils_the_next",
        "a last line that a crash has torn stays alone",
        "ground/durable.py",
        '            left = memoryview((b"\\n" if torn else b"")',
        '            left = memoryview((b"" if torn else b"")',
        ("ground/test_append_lines.py",),
    ),
)
