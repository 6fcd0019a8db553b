import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import units


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.0, "ns", "1.23 µs"),
        (12_345_678.0, "ns", "12.3 ms"),
        (0.0, "ns", "0 ns"),
        (1750, "B", "1,750 B"),
        (124_174_344, "B", "124 MB"),
        (0.9784, "fraction", "97.84 %"),
        (5130.4, "ratio", "5,130×"),
        (4.017, "ratio", "4.02×"),
        (0.25, "ratio", "0.250×"),
        (0.9996, "ratio", "1.00×"),
        (0.9994, "ratio", "0.999×"),
        (9.996, "ratio", "10.0×"),
    ],
)
def test_quantities_as_people_write_them(value: float, unit: str, text: str) -> None:
    assert units.quantity(value, unit) == text


@given(st.floats(1, 1e18), st.sampled_from(["ns", "B"]))
def test_three_digits_are_never_further_off_than_half_a_percent(value: float, unit: str) -> None:
    times = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9, "min": 6e10, "h": 3.6e12}
    scales = times | {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
    number, name = units.quantity(value, unit).replace(",", "").split()
    assert float(number) * scales[name] == pytest.approx(value, rel=0.006, abs=0.51)
