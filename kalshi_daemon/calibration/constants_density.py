"""Frozen shape of the standardised residual z = ln(P_T / P_t) / sigma.

A two-piece Student t (Fernandez and Steel 1998) with density 2 / (g + 1/g) / s * t_nu(k (z - m) / s), where k is g
below m and 1/g above.
Each parameter is a quadratic in ln(h / 15), h the horizon in minutes. Fitted once by maximum likelihood on the
forecasts of the variance model on Nasdaq-100 futures, 2014-06..2019-12: full hours 1..55 minutes ahead and the close
75..360 minutes ahead. docs/decisions/0005 says what it replaced and why.
"""

from typing import Final

SHAPE_HORIZON_MIN: Final = 15.0
"""The quadratics' origin."""
LOCATION: Final = (0.15908, 0.06072, 0.00691)
"""m, the mode: moves up are smaller and more frequent, the more so the longer the horizon."""
LOG_SCALE: Final = (-0.17815, -0.02003, -0.00318)
LOG_SKEW: Final = (-0.10751, -0.04073, -0.00248)
"""ln g; negative: the lower side is the wider one."""
LOG_FREEDOM: Final = (2.17551, -0.02019, -0.04269)
"""ln nu."""
SHAPE_RANGE_MIN: Final = (1.0, 390.0)
"""Beyond these horizons the nearest one's shape holds."""
