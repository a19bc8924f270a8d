"""Answers on the terminal: tables for people, JSON and CSV for programs, progress on standard error."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from datetime import date, datetime
from typing import Any


def say(text: str = "") -> None:
    """Lines for whoever is reading; what a log says in them cannot move the terminal."""
    print(_printable(text, "\n"))


def say_at_once(text: str) -> None:
    """A line of a program that runs on: whoever reads its output has it now."""
    say(text)
    sys.stdout.flush()


def warn(text: str) -> None:
    """Lines on standard error."""
    print(_printable(text, "\n"), file=sys.stderr)


def red(text: str) -> None:
    """Lines somebody has to act on: red on a terminal."""
    if not sys.stdout.isatty():
        say(text)
        return
    from rich.console import Console

    Console(markup=False, emoji=False, highlight=False).print(
        _printable(text, "\n"), style="bold red"
    )


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json_text(value, indent=1))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON in which every character that prints nothing is escaped, not only those JSON asks for."""
    text = json.dumps(value, indent=indent, default=plain, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def plain(value: Any) -> Any:
    """Plain data of what JSON does not know."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return sorted(value)
    return str(value)


def as_csv(row: type[Any], rows: Sequence[Any]) -> None:
    """Rows with their fields as header; for programs cells stay as they are."""
    shown = _printable if sys.stdout.isatty() else str
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [f.name for f in fields(row)]
    writer.writerow(names)
    for one in rows:
        writer.writerow([shown(_cell(getattr(one, name))) for name in names])


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table: drawn on a terminal, tab-separated elsewhere."""
    if not sys.stdout.isatty():
        print("\t".join(header))
        for row in rows:
            print("\t".join(_printable(_cell(value)) for value in row))
        return
    # Rich is imported where a terminal is drawn on; jobs have none.
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left")
    for index, name in enumerate(header):
        numeric = bool(rows) and all(isinstance(r[index], int | float | None) for r in rows)
        drawn.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        drawn.add_row(*(_printable(_cell(value)) for value in row))
    # Markup in a log's user name must not colour the terminal.
    Console(markup=False, emoji=False, highlight=False).print(drawn)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _printable(text: str, also: str = "") -> str:
    return "".join(c if c.isprintable() or c in also else "\ufffd" for c in text)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[str, int], None]]:
    """A bar on a terminal, a plain line a file or day elsewhere; both on standard error."""
    if not sys.stderr.isatty():
        seen: set[str] = set()

        def line(name: str, _: int) -> None:
            if name not in seen:
                seen.add(name)
                warn(f"{what}: {_printable(name)}")

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(name: str, amount: int) -> None:
            bar.update(task, description=f"{what} {_printable(name)[-60:]}", advance=amount)

        yield advance
