"""Where the bars of a chart stand; the drawing itself is templates/charts.html.j2."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600, 1200, 3000, 6000)
"""Minutes between two lines of a scale, the finest first."""

WIDTH, HEIGHT = 440.0, 200.0
LEFT, TOP = 56.0, 12.0
"""The plot's size and corner in the drawing's own units; text is 12 of them high."""


@dataclass(frozen=True)
class Bar:
    """An interval; `missing` says in a word why there is none."""

    low: float | None
    likely: float | None
    high: float | None
    missing: str = ""


@dataclass(frozen=True)
class Group:
    """The bars that stand at one label."""

    label: str
    bars: tuple[Bar, ...]
    marked: bool = False


@dataclass(frozen=True)
class Placed:
    """One bar in the drawing: its box, its range's ends, and which of its group it is."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    low: float
    high: float
    series: int


@dataclass(frozen=True)
class Slot:
    """One label's place: its bars, or the word that stands instead."""

    x: float
    width: float
    label: str
    marked: bool
    missing: str
    bars: list[Placed]


@dataclass(frozen=True)
class Chart:
    """Slots from left to right (or top to bottom) and the lines of the scale: place and minutes."""

    slots: list[Slot]
    scale: list[tuple[float, float]]


def columns(groups: Sequence[Group]) -> Chart:
    """Upright bars side by side."""
    top, step = scale(bar for group in groups for bar in group.bars)
    each = WIDTH / max(len(groups), 1)

    def down(value: float) -> float:
        return round(TOP + HEIGHT * (1 - value / top), 1)

    slots = []
    for index, group in enumerate(groups):
        x = LEFT + index * each
        width = each * 0.76 / max(len(group.bars), 1)
        placed = [
            Placed(
                x=round(x + each * 0.12 + n * width, 1),
                y=down(bar.likely),
                width=round(width * 0.9, 1),
                height=round(TOP + HEIGHT - down(bar.likely), 1),
                middle=round(x + each * 0.12 + n * width + width * 0.45, 1),
                low=down(bar.low),
                high=down(bar.high),
                series=n,
            )
            for n, bar in enumerate(group.bars)
            if bar.low is not None and bar.likely is not None and bar.high is not None
        ]
        missing = next((bar.missing for bar in group.bars if bar.low is None), "")
        slots.append(Slot(round(x, 1), round(each, 1), group.label, group.marked, missing, placed))
    return Chart(slots, _lines(top, step, down))


def rows(groups: Sequence[Group], each: float = 44) -> Chart:
    """Lying bars one below the other, one a group; `x` and `width` of a slot run downwards."""
    top, step = scale(bar for group in groups for bar in group.bars)

    def along(value: float) -> float:
        return round(4 + (WIDTH + LEFT - 24) * value / top, 1)

    slots = []
    for index, group in enumerate(groups):
        y = TOP + index * each
        placed = [
            Placed(
                x=4,
                y=round(y + 18, 1),
                width=round(along(bar.likely) - 4, 1),
                height=16,
                middle=round(y + 26, 1),
                low=along(bar.low),
                high=along(bar.high),
                series=0,
            )
            for bar in group.bars
            if bar.low is not None and bar.likely is not None and bar.high is not None
        ]
        missing = next((bar.missing for bar in group.bars if bar.low is None), "")
        slots.append(Slot(round(y, 1), each, group.label, group.marked, missing, placed))
    return Chart(slots, _lines(top, step, along))


def scale(bars: Iterable[Bar]) -> tuple[float, float]:
    """The end of a scale that holds all bars, and the minutes between its lines, five at most."""
    highest = max((bar.high for bar in bars if bar.high is not None), default=0.0)
    step = next((s for s in STEPS if s * 5 >= highest), STEPS[-1] * (1 + highest // 30000))
    return step * max(-(-highest // step), 1), step


def _lines(top: float, step: float, place: Callable[[float], float]) -> list[tuple[float, float]]:
    return [(place(step * n), step * n) for n in range(int(top // step) + 1)]
