"""The program's commands by name; the module of one is imported when it is called.

To import what all of them need would cost each start a fifth more.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

Commands = Mapping[str, typer.Typer | Callable[..., None]]
"""What each module of commands says as COMMANDS: a function, or a group of them."""

PLACES = {
    **dict.fromkeys(("init", "demo"), "begin"),
    **dict.fromkeys(("check-logs", "ingest", "watch"), "reading"),
    **dict.fromkeys(("activity", "usage"), "sums"),
    **dict.fromkeys(("tally", "lines"), "lines"),
    "classify": "explain",
    "who": "people",
    "calibrate": "calibrate",
    **dict.fromkeys(("run", "schedule", "status"), "running"),
    "doctor": "doctor",
    "findings": "findings",
    "report": "managers",
    **dict.fromkeys(("case", "evidence"), "casework"),
    "retention": "year",
    "ledger": "proving",
    "keys": "keys",
    "lists": "lists",
    "people": "people",
    "hold": "holds",
    "subject": "subject",
    "help": "codes",
}
"""The module of fairwatch/ whose COMMANDS holds each."""


def program(**options: Any) -> typer.Typer:
    """A Typer whose errors are ours to tell."""
    return typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, **options)


class Program(TyperGroup):
    """All commands, each made when it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = cast(Any, _Made())


class _Made(Mapping[str, TyperCommand | TyperGroup]):
    """Commands by name."""

    def __getitem__(self, name: str) -> TyperCommand | TyperGroup:
        made: Commands = import_module(f"fairwatch.{PLACES[name]}").COMMANDS
        one, app = made[name], program()
        if isinstance(one, typer.Typer):
            app.add_typer(one, name=name)
        else:
            app.command(name)(one)
        return cast(TyperCommand | TyperGroup, typer.main.get_group(app).commands[name])

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)
