"""FOMC statements before the daemon's own release table begins, for fits and scores on older bars.

Scheduled meetings only; the two of March 2020 that were called in a hurry (3rd in the morning, 15th on a Sunday) are
not in a table anybody could have had.
"""

from datetime import date, time
from typing import Final

from kalshi_daemon.windows.releases import FOMC_STATEMENT, MacroCalendar, release

_EARLIER: Final = (
    "2013-01-30 2013-03-20 2013-05-01 2013-06-19 2013-07-31 2013-09-18 2013-10-30 2013-12-18 2014-01-29 2014-03-19 "
    "2014-04-30 2014-06-18 2014-07-30 2014-09-17 2014-10-29 2014-12-17 2015-01-28 2015-03-18 2015-04-29 2015-06-17 "
    "2015-07-29 2015-09-17 2015-10-28 2015-12-16 2016-01-27 2016-03-16 2016-04-27 2016-06-15 2016-07-27 2016-09-21 "
    "2016-11-02 2016-12-14 2017-02-01 2017-03-15 2017-05-03 2017-06-14 2017-07-26 2017-09-20 2017-11-01 2017-12-13 "
    "2018-01-31 2018-03-21 2018-05-02 2018-06-13 2018-08-01 2018-09-26 2018-11-08 2018-12-19 2019-01-30 2019-03-20 "
    "2019-05-01 2019-06-19 2019-07-31 2019-09-18 2019-10-30 2019-12-11 2020-01-29 2020-04-29 2020-06-10 2020-07-29 "
    "2020-09-16 2020-11-05 2020-12-16"
)
_FOMC_AT: Final = time(14, 0)


def research_calendar() -> MacroCalendar:
    """The daemon's calendar with the releases before it."""
    return MacroCalendar(release(FOMC_STATEMENT, date.fromisoformat(day), _FOMC_AT) for day in _EARLIER.split())
