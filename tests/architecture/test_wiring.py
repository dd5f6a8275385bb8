"""Rules about the components that no linter contract can say."""

import grimp

ENTRIES = {
    "kalshi_daemon.__main__",
    "kalshi_daemon.operations.healthcheck",  # python -m, from the container's health check
}


def test_defect_20_nothing_is_built_and_never_wired():
    graph = grimp.build_graph("kalshi_daemon", cache_dir=None)
    commands = {name for name in graph.modules if name.startswith("kalshi_daemon.cli.")}
    idle = {
        name
        for name in graph.modules
        if not graph.find_modules_that_directly_import(name)
        and not graph.find_children(name)
        and name not in ENTRIES | commands
    }
    assert idle == set(), "these modules are imported by nobody"


def test_a_paper_session_cannot_reach_a_real_exchange_by_import():
    """The simulator never loads the operator's key: only its own, made for the session, is ever signed with."""
    graph = grimp.build_graph("kalshi_daemon", cache_dir=None)
    simulator = [name for name in graph.modules if name.startswith("kalshi_daemon.simulator")]
    for name in simulator:
        imported = graph.find_modules_directly_imported_by(name)
        assert "kalshi_daemon.kalshi.rest" not in imported, name
        assert "kalshi_daemon.kalshi.stream" not in imported, name


def test_the_running_daemon_does_not_import_the_slow_statistics_package():
    graph = grimp.build_graph("kalshi_daemon", include_external_packages=True, cache_dir=None)
    assert "scipy.stats" not in graph.modules
