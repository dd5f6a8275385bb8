"""Crowds as real books show them, sweeps that lose nothing and claim no more than there is."""

from tests.mutants.mutant import Mutant

_CROWD = ("simulator/test_fitted_crowd.py",)
_CLUSTER = ("sweep/test_cluster.py",)
_COMPARISON = ("sweep/test_comparison.py",)
MUTANTS = (
    Mutant(
        "maker_quotes_on_after_its_fill",
        "a maker of the fitted crowd leaves alone for a while the side that was hit",
        "simulator/traders/alert.py",
        "            self._shut[place] = self._now + int(self._rng.uniform(*self._mix.pull_s) * SECOND)\n",
        "            self._shut[place] = 0\n",
        _CROWD,
    ),
    Mutant(
        "maker_knows_at_once",
        "a maker notices its fill only once the news has come",
        "simulator/traders/alert.py",
        "now_ns + self._notice_ns, (ticker, side)",
        "0, (ticker, side)",
        _CROWD,
    ),
    Mutant(
        "informed_know_the_present",
        "an informed taker acts on an index value of its own time",
        "simulator/traders/alert.py",
        "return value_at(Nanos(min(now_ns - delay_ns, self._ladder.target_ns)))",
        "return value_at(now_ns)",
        _CROWD,
    ),
    Mutant(
        "regime_forgets_its_base",
        "a shipped regime that is configured keeps what is not given",
        "simulator/traders/regimes.py",
        "REGIMES[name if own else row.base]",
        "REGIMES[row.base]",
        _CROWD,
    ),
    Mutant(
        "landed_results_played_again",
        "what has landed is never played again",
        "backtest/sweep/cluster.py",
        "    todo = {path: job for path, job in jobs.items() if not path.exists()}\n",
        "    todo = dict(jobs)\n",
        _CLUSTER,
    ),
    Mutant(
        "other_code_plays_along",
        "a worker with another version of anything plays nothing",
        "backtest/sweep/versions.py",
        "            if theirs.get(name) != version:\n",
        '            if name == "python" and theirs.get(name) != version:\n',
        _CLUSTER,
    ),
    Mutant(
        "many_comparisons_taken_for_one",
        "p-values are adjusted for how many comparisons there are",
        "backtest/sweep/comparison.py",
        "p * (len(known) - rank)",
        "p",
        _COMPARISON,
    ),
    Mutant(
        "sessions_not_paired",
        "a session that only one variant has played is left out",
        "backtest/sweep/comparison.py",
        "pairs = [(result, theirs[result.session]) for result in ours if result.session in theirs]",
        "pairs = [(result, theirs.get(result.session, base[0])) for result in ours]",
        _COMPARISON,
    ),
)
