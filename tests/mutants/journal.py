"""The journal: nothing goes into a file that is gone, nothing damaged is read as a fact, no stop waits for a lock."""

from tests.mutants.mutant import Mutant

_FILE = ("orders/test_journal_file.py",)

MUTANTS = (
    Mutant(
        "deleted_journal_takes_intents",
        "an intent goes into the file that the path leads to, or is not sent",
        "orders/journal.py",
        "        self.check_in_place()\n",
        "",
        _FILE,
    ),
    Mutant(
        "checksum_not_compared",
        "a row that does not match its checksum is damage",
        "orders/journal_file.py",
        "        if row_crc(table, *row[:-1]) != row[-1]:",
        "        if row_crc(table, *row[:-1]) < 0:",
        _FILE,
    ),
    Mutant(
        "indexes_not_checked",
        "a live order that its index no longer names is noticed at the start",
        "orders/journal_file.py",
        '        verdict = self._db.execute("PRAGMA integrity_check(1)").fetchone()',
        '        verdict = ("ok",)',
        _FILE,
    ),
    Mutant(
        "journal_keeps_its_first_version",
        "the journal says which version last opened it to write",
        "orders/journal_file.py",
        '        if self._db.execute("PRAGMA user_version").fetchone() != (DAEMON_VERSION,):',
        '        if self._db.execute("PRAGMA user_version").fetchone() == (0,):',
        _FILE,
    ),
    Mutant(
        "stop_waits_behind_a_lock",
        "after one wait for a lock no write waits again",
        "orders/journal_file.py",
        '                self._db.execute("PRAGMA busy_timeout = 0")',
        '                self._db.execute("PRAGMA busy_timeout")',
        _FILE,
    ),
    Mutant(
        "values_out_of_range_are_read",
        "a count below zero is damage",
        "orders/journal_rows.py",
        "    if not isinstance(value, int) or (value < 0 and not signed):",
        "    if not isinstance(value, int):",
        _FILE,
    ),
)
