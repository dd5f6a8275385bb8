"""A parquet file that is there whole or not at all. Blocking: called in a worker thread when a loop runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def write_whole(path: Path, table: "pa.Table", *, draft: Path) -> None:
    """Write a table, replacing what was at `path`; `draft`: in the same folder, gone afterwards. Raises OSError."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - 90 ms and 40 MB that only writers need

    try:
        with draft.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
