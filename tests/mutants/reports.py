"""What people read: tables that outside text cannot break, charts that hold their figures; a daemon without them."""

from tests.mutants.mutant import Mutant

_TABLES = ("ground/test_tables.py",)
_DRAWING = ("research/test_drawing.py",)

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
)
