"""Put charts of a calibration report side by side into one picture for the documents.

Usage: .venv/bin/python scripts/capture_report.py PAGE OUT.svg TITLE... [/ TITLE...]

PAGE is what `kalshi-daemon calibration-report` wrote, TITLE the beginning of a chart's title, `/` starts a new row.
Light colours only: a picture in a document has a page of one colour around it, and few renderers outside of browsers
know colours by name.
"""

import re
import sys
from pathlib import Path
from typing import Final

from kalshi_daemon.research.report_page import VARIABLES

GAP: Final = 12


def main(page: str, out: str, *wanted: str) -> None:
    text = Path(page).read_text()
    for colour, variable in VARIABLES.items():
        text = text.replace(f"var({variable})", colour)
    charts = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    placed, x, y, height, width = [], 0, GAP, 0, 0
    for title in wanted:
        if title == "/":
            x, y, height = 0, y + height + GAP, 0
            continue
        found = [chart for chart in charts if f"<title>{title}" in chart]
        if len(found) != 1:
            raise SystemExit(f"{len(found)} charts of {page} begin with {title!r}")
        wide, high = (round(float(re.search(rf'{name}="([\d.]+)pt"', found[0])[1]) * 96 / 72)  # type: ignore[index]
                      for name in ("width", "height"))  # fmt: skip
        placed.append(found[0].replace("<svg", f'<svg x="{x}" y="{y}"', 1))
        x, height = x + wide + GAP, max(height, high)
        width = max(width, x)
    size = f'width="{width}" height="{y + height + GAP}"'
    Path(out).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {y + height + GAP}">'
        f'<rect {size} fill="#ffffff"/>{"".join(placed)}</svg>\n'
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
