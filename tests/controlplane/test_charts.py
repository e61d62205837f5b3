from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controlplane.charts import HEIGHT, WIDTH, line_chart

START = datetime(2026, 1, 1, 3, tzinfo=UTC)


def hours(count: int) -> list[datetime]:
    return [START + timedelta(hours=number) for number in range(count)]


def test_points_stay_inside_and_the_top_is_round() -> None:
    chart = line_chart("c", hours(24), [("all", "all", [*range(23), 1234]), ("none", "no", [0] * 24)])
    points = [tuple(map(float, pair.split(","))) for pair in chart.lines[0].points.split()]
    assert len(points) == 24
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert points[-1][1] < points[0][1]
    assert [tick.text for tick in chart.up] == ["0", "1k", "2k"]
    assert [tick.text for tick in chart.across] == ["06:00", "12:00", "18:00", "00:00"]
    assert chart.lines[0].total == sum(range(23)) + 1234
    assert chart.rows[-1] == (START + timedelta(hours=23), (1234, 0))
    assert not chart.empty


def test_a_week_has_days_and_nothing_is_empty() -> None:
    week = line_chart("c", hours(168), [("all", "all", [1] * 168)])
    assert [tick.text for tick in week.across][:2] == ["02 Jan", "03 Jan"]
    assert line_chart("c", hours(1), [("all", "all", [0])]).empty
    assert line_chart("c", [], [("all", "all", [])]).empty
