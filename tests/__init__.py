"""Matrices here are small: a second thread of the library that multiplies them would only spin, on everybody's time."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
