#!/bin/sh
# librsvg (2.54.7 of Debian 12, and the one in pyvips-binary 8.18.7): no-break spaces at the beginning of SVG text are
# dropped. SVG 1.1 (10.15, xml:space="default") strips space characters, U+0020; SVG 2 leaves it to CSS white-space, which
# does not collapse U+00A0 either. Browsers, resvg 0.5.0 (resvg_py) and CairoSVG 2.9.1 keep them.
# Who is hit: rich's `Console.export_svg` (15.0.0) writes indentation and right-aligned columns as U+00A0, so that tables
# lose their columns and JSON its indentation in whatever previews files by librsvg.
# Way around: xml:space="preserve" on the root element.
# Seen: "0" begins at pixel 11 without and with four no-break spaces before it, at 49 with xml:space="preserve" as well.
# Exits 0 while that is so, 1 when it has changed.
set -eu
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check pyvips==3.2.0 pyvips-binary==8.18.7
cat >"$work/show.py" <<'PY'
import sys

import pyvips

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="30">'
    '<text x="10" y="20" font-family="monospace" font-size="16"{}>{}0</text></svg>'
)


def first_ink(attribute: str, before: str) -> int:
    """The column of pixels in which the 0 begins."""
    drawn = pyvips.Image.new_from_buffer(SVG.format(attribute, before).encode(), "")
    return drawn.extract_band(3).find_trim(background=[0], threshold=10)[0]


alone = first_ink("", "")
spaced = first_ink("", "\u00a0" * 4)
kept = first_ink(' xml:space="preserve"', "\u00a0" * 4)
print("libvips", ".".join(str(pyvips.version(n)) for n in range(3)))
print(f"0 alone begins at pixel {alone}, after four no-break spaces at {spaced}, with xml:space=preserve at {kept}")
sys.exit(0 if spaced == alone < kept else 1)
PY
"$work/venv/bin/python" "$work/show.py"
