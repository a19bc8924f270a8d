"""Days written anew under a new key without one person's rows; the key they had can then be destroyed."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from holds import make_final
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import PERSONAL, Dataset
from lake.keys import Seal
from lake.write import PartWriter
from subjects import KEPT, Span, chosen, count, sources
from workspace import Workspace

RESTRICTED = "restricted"
REWRITTEN = re.compile(r"-w[0-9a-f]{8}$")


@dataclass(frozen=True)
class Day:
    """One day of a dataset with rows of a span: each partition that holds any, and how many."""

    dataset: Dataset
    day: date
    parts: dict[str, tuple[Part, int]]


def days(ws: Workspace, span: Span, *states: str) -> Iterator[Day]:
    """Where rows of the span lie, dataset by dataset, oldest day first."""
    for dataset in PERSONAL:
        for day in span.days(dataset):
            with ws.state.read() as connection:
                found = sources(connection, dataset, day, *states)
            counted = {p.path: (p, count(ws, p, dataset, span)) for p in found}
            if named := {path: told for path, told in counted.items() if told[1]}:
                yield Day(dataset, day, named)


def take_out(ws: Workspace, one: Day, span: Span, id_: str, *, apart: bool) -> None:
    """Write all partitions of a day anew without the span's rows; `apart`: those into one of their own.

    Partitions of restricted people are sealed by the day's key as well, and written anew with it. One
    transaction puts the new ones in the place of the old: killed before or after it, nothing is lost or
    there twice. The old key is not destroyed here.
    """
    states = ("live",) if apart else KEPT
    with ws.state.read() as connection:
        known = {
            state: catalogue.parts(connection, one.dataset.name, [one.day], state=state)
            for state in KEPT
        }
    seal = ws.keys.seal(one.dataset.name, one.day, fresh=True)
    kept: list[tuple[PartWriter, Part, str]] = []
    with ExitStack() as abandoned:
        aside = _aside(ws, one, id_, seal) if apart else None
        if aside:
            abandoned.callback(aside.abandon)
        for state, parts in known.items():
            for part in parts:
                writer = _again(ws, one, part, seal)
                abandoned.callback(writer.abandon)
                _sift(ws, part, writer, aside, span if state in states else None)
                kept.append((writer, part, state))
        abandoned.pop_all()
    _replace(ws, one, kept, aside, span)


def put_back(ws: Workspace, one: Day) -> None:
    """The rows kept apart become rows of the lake again, in partitions of their own."""
    made = []
    for part, _ in one.parts.values():
        name = _anew(PurePosixPath(part.path).stem)
        writer = PartWriter(ws.folder, one.dataset, one.day, name, ws.keys)
        writer.oldest, writer.newest = part.oldest, part.newest
        for table in _groups(ws, part, one.dataset):
            writer.write(table)
        made.append((writer, part))
    parts = [writer.close(part.made_from) for writer, part in made]
    for writer, _ in made:
        writer.move()
    with ws.state.change() as change:
        catalogue.forget(change.connection, list(one.parts))
        catalogue.add(change.connection, parts)


def _sift(
    ws: Workspace, part: Part, writer: PartWriter, aside: PartWriter | None, span: Span | None
) -> None:
    """Copy a partition; the span's rows go aside, or nowhere."""
    for table in _groups(ws, part, writer.dataset):
        mine = span.mask(table, writer.dataset) if span else None
        if mine is None or not pc.any(mine).as_py():
            writer.write(table)
            continue
        writer.write(chosen(table, pc.invert(mine)))
        if aside is not None:
            aside.write(chosen(table, mine))


def _groups(ws: Workspace, part: Part, dataset: Dataset) -> Iterator[pa.Table]:
    with ws.keys.open(ws.folder / part.path) as file:
        for group in range(file.num_row_groups):
            yield dataset.whole(file.read_row_group(group, use_threads=False))


def _anew(stem: str) -> str:
    """A name that no partition of the day has."""
    return f"{REWRITTEN.sub('', stem)}-w{os.urandom(4).hex()}"


def _again(ws: Workspace, one: Day, part: Part, seal: Seal | None) -> PartWriter:
    old = PurePosixPath(part.path)
    name, folder = _anew(old.stem), str(old.parent)
    writer = PartWriter(ws.folder, one.dataset, one.day, name, ws.keys, folder=folder, seal=seal)
    if one.dataset.day == "local":  # told by their day, not by their rows
        writer.oldest, writer.newest = part.oldest, part.newest
    return writer


def _aside(ws: Workspace, one: Day, id_: str, seal: Seal | None) -> PartWriter:
    folder, name = f"{RESTRICTED}/{id_}/{one.day}", _anew(one.dataset.name)
    writer = PartWriter(ws.folder, one.dataset, one.day, name, ws.keys, folder=folder, seal=seal)
    if one.dataset.day == "local":
        first = next(iter(one.parts.values()))[0]
        writer.oldest, writer.newest = first.oldest, first.newest
    return writer


def _replace(
    ws: Workspace,
    one: Day,
    kept: Sequence[tuple[PartWriter, Part, str]],
    aside: PartWriter | None,
    span: Span,
) -> None:
    made: dict[str, list[Part]] = {state: [] for state in KEPT}
    for writer, part, state in kept:
        if writer.rows or not part.rows:
            made[state].append(writer.close(part.made_from))
            writer.move()
        else:
            writer.abandon()
    if aside is not None:
        part = aside.close(next(iter(one.parts.values()))[0].made_from)
        aside.move()
        made[RESTRICTED].append(part)
    with ws.state.change() as change:
        catalogue.forget(change.connection, [part.path for _, part, _ in kept])
        for state, parts in made.items():
            catalogue.add(change.connection, parts, state)
        if aside is None:
            make_final(change.connection, ws, span)
