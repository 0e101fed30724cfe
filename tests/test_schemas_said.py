"""Dates and times read out of requests: whatever the sayings write is found again."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematune.schemas.said import can_say, said_values
from schematune.schemas.sayings import sayings

DATE = {"type": "string", "format": "date"}
TIME = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}
TODAY = date(2026, 4, 20)
NOW = "2026-04-20T11:25+02:00"


@given(st.data(), st.integers(0, 364), st.dates(date(2000, 1, 1), date(2090, 1, 1)))
def test_every_saying_of_a_date_is_read(data: st.DataObject, ahead: int, today: date) -> None:
    day = (today + timedelta(days=ahead)).isoformat()
    said = data.draw(st.sampled_from(sayings(DATE, "day", day, today)))
    assert day in said_values(DATE, f"please, {said}, thanks", today.isoformat() + "T09:00")


@given(st.data(), st.integers(0, 24 * 60 - 1))
def test_every_saying_of_a_time_is_read(data: st.DataObject, minute: int) -> None:
    time = f"{minute // 60:02}:{minute % 60:02}"
    said = data.draw(st.sampled_from(sayings(TIME, "start", time)))
    assert time in said_values(TIME, f"please, {said}, thanks")


@pytest.mark.parametrize(
    ("request_", "days"),
    [
        ("tomorrow", ["2026-04-21"]),
        ("tommorow", ["2026-04-21"]),
        ("the day after tomorrow", ["2026-04-22"]),
        ("yesterday's lunch", ["2026-04-19"]),
        ("thurs or Fri", ["2026-04-23", "2026-04-24"]),
        ("3 may", ["2026-05-03"]),
        ("12 march", ["2026-03-12", "2027-03-12"]),
        ("12 march 2027", ["2027-03-12"]),
        ("1 Decemeber", ["2026-12-01"]),
        ("on 2026-11-18 or 19.11.2026", ["2026-11-18", "2026-11-19"]),
        ("31 february, or 2026-13-01", []),
        ("for six people", []),
    ],
)
def test_days(request_: str, days: list[str]) -> None:
    assert said_values(DATE, request_, NOW) == days


def test_without_a_context_only_whole_dates_are_read() -> None:
    assert said_values(DATE, "tomorrow, 3 may, or 3 may 2027") == ["2027-05-03"]


@pytest.mark.parametrize(
    ("request_", "times"),
    [
        ("3pm", ["15:00"]),
        ("at 3", ["03:00", "15:00"]),
        ("8:15am", ["08:15"]),
        ("10:30", ["10:30", "22:30"]),
        ("half past six", ["06:30", "18:30"]),
        ("half past six in the evening", ["18:30"]),
        ("noon", ["12:00"]),
        ("tomorrow", []),
    ],
)
def test_times(request_: str, times: list[str]) -> None:
    assert said_values(TIME, request_) == times


def test_only_plain_dates_and_times_can_be_said() -> None:
    assert can_say(DATE) and can_say(TIME)
    assert not can_say({"type": "string"})
    assert not can_say({**DATE, "enum": ["2026-01-01"]})
    assert not can_say({"type": "string", "format": "date-time"})
    assert not can_say(True)


@given(
    st.integers(-(10**7), 10**7),
    st.sampled_from(("it is {} today", "{}", "x = {}, right?", "between ({} and that)", "minus? no: {}")),
)
def test_numbers_keep_their_signs(number: int, text: str) -> None:
    assert said_values({"type": "integer"}, text.format(number)) == [number]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7-3", [3, 7]),
        ("room A-5", [5]),
        ("10 minus 3", [3, 10]),
        ("minus 4 degrees", [-4]),
        ("it is negative 12.5", [-12.5]),
        ("1.2 million dollars", [1_200_000]),
        ("two dozen eggs", [24]),
        ("half a million", [500_000]),
        ("\u22123.5", [-3.5]),
    ],
)
def test_numbers_as_people_write_them(text: str, numbers: list[float]) -> None:
    assert said_values({"type": "number"}, text) == numbers


def test_percents_are_shares_where_the_argument_says_so() -> None:
    told = {"type": "number", "description": "Yearly rate as a decimal, e.g. 0.05"}
    assert said_values(told, "12.5 percent over 3 years") == [0.125, 3]
    assert said_values({"type": "number", "description": "Rate in percent."}, "12.5 percent") == [12.5]
