"""Charts as numbers for SVG: the template only writes them down, so no script and no style is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

WIDTH, HEIGHT = 440, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 10, 24


@dataclass(frozen=True)
class Line:
    name: str
    tone: str  # a class of tools.css
    points: str  # of a polyline
    total: int


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    title: str
    lines: tuple[Line, ...]
    rows: tuple[tuple[datetime, tuple[int, ...]], ...]  # the same as a table
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    floor: int = HEIGHT - _BOTTOM

    @property
    def empty(self) -> bool:
        return not any(line.total for line in self.lines)


def line_chart(title: str, starts: Sequence[datetime], series: Sequence[tuple[str, str, Sequence[int]]]) -> Chart:
    """``series``: (name, tone, one value for each start). Times are shown in UTC."""
    top = _round_up(max((value for _, _, values in series for value in values), default=0))
    across = [_LEFT + (WIDTH - _LEFT - _RIGHT) * number / max(1, len(starts) - 1) for number in range(len(starts))]

    def height(value: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top, 1)

    lines = tuple(
        Line(name, tone, " ".join(f"{x:.1f},{height(value)}" for x, value in zip(across, values, strict=True)), sum(values))
        for name, tone, values in series
    )
    rows = tuple((start, tuple(values[number] for _, _, values in series)) for number, start in enumerate(starts))
    return Chart(
        title, lines, rows, tuple(_times(starts, across)), tuple(Tick(height(value), _short(value)) for value in (0, top / 2, top))
    )


def _times(starts: Sequence[datetime], across: Sequence[float]) -> list[Tick]:
    by_day = len(starts) > 48
    wanted = [number for number, start in enumerate(starts) if (start.hour == 0 if by_day else start.hour % 6 == 0)]
    return [Tick(round(across[number], 1), f"{starts[number]:%d %b}" if by_day else f"{starts[number]:%H:%M}") for number in wanted]


def _round_up(value: int) -> int:
    """The next of 2, 4, 10, 20, 40, 100, … so that half of it is whole too."""
    scale = 1
    while True:
        for step in (2, 4, 10):
            if step * scale >= value:
                return step * scale
        scale *= 10


def _short(value: float) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
