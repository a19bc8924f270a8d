"""Write the table of all formats: `python tests/drivers/format_list.py > docs/format-list.md`."""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ingest.formats import Format, all_formats
from ingest.formats.described import Described

HEAD = """\
# Formats that come with Fairwatch

What `format:` of a source may name, and what `auto` chooses from. Written by
`tests/drivers/format_list.py`; how one is described is in [formats](formats.md).

| name | title | tried on | kind |
| --- | --- | --- | --- |
"""


def kind(format_: Format) -> str:
    """What the device is, and whether the format guesses by names."""
    if not isinstance(format_, Described):
        return "proxy"
    kinds = {format_.description.kind}
    for layout in format_.description.layouts:
        kinds |= {one.kind for one in (layout, *layout.records) if one.kind}
    return ", ".join(sorted(kinds)) + (" (by names)" if format_.generic else "")


def rows() -> Iterator[str]:
    """A row each, by name; several writings of one name one after the other."""
    for format_ in sorted(all_formats(), key=lambda f: (f.name, f.title)):
        cells = f"`{format_.name}`", format_.title, format_.versions, kind(format_)
        yield "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |\n"


def page() -> str:
    """The whole document."""
    return HEAD + "".join(dict.fromkeys(rows()))


if __name__ == "__main__":
    sys.stdout.write(page())
