"""The one place that turns a measured quantity into text."""

from __future__ import annotations

import math

_BYTES = ("B", "kB", "MB", "GB", "TB")
_THOUSANDS = ("", "k", "M", "G", "T")
_LEAST = {"h": 2, "min": 2}
_TIMES = ((3.6e12, "h"), (6e10, "min"), (1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def _three_digits(value: float) -> str:
    """`value` to three significant digits, never in exponent form."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    if abs(round(value, decimals)) >= 10 ** (3 - decimals):  # 0.9996 is 1.00, not 1.000
        decimals = max(0, decimals - 1)
    return f"{value:.{min(decimals, 3)}f}"


def duration(ns: float) -> str:
    """Nanoseconds as text, e.g. `1.23 ms`; minutes and hours from two on."""
    for scale, unit in _TIMES:
        if abs(ns) >= scale * _LEAST.get(unit, 1):
            return f"{_three_digits(ns / scale)} {unit}"
    return f"{_three_digits(ns)} ns"


def span(seconds: float) -> str:
    """A time that somebody asked for, in seconds, to its last digit: `90 s`; in minutes from two on."""
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"


def size(count: float) -> str:
    """Bytes as text in powers of 1000, e.g. `124 MB`; exact below 10 kB."""
    if abs(count) < 10_000:
        return f"{count:,.0f} B"
    power = min(int(math.log10(abs(count)) // 3), len(_BYTES) - 1)
    return f"{_three_digits(count / 1000**power)} {_BYTES[power]}"


def number(count: float) -> str:
    """A large number as text, e.g. `510 M`; exact below 10,000."""
    if abs(count) < 10_000:
        return f"{count:,.0f}"
    power = min(int(math.log10(abs(count)) // 3), len(_THOUSANDS) - 1)
    return f"{_three_digits(count / 1000**power)} {_THOUSANDS[power]}"


def _joules(value: float) -> str:
    for scale, unit in ((1.0, "J"), (1e-3, "mJ")):
        if abs(value) >= scale:
            return f"{_three_digits(value / scale)} {unit}"
    return f"{_three_digits(value / 1e-6)} µJ"


def ratio(value: float) -> str:
    """A ratio as text, e.g. `4.02×` or `5,130×`."""
    return f"{value:,.0f}×" if abs(value) >= 1000 else f"{_three_digits(value)}×"


def percent(fraction: float) -> str:
    """A fraction as a percentage with two decimals, e.g. `97.20 %`."""
    return f"{100 * fraction:.2f} %"


def quantity(value: float, unit: str) -> str:
    """A value in one of the units that measurements carry: `ns`, `B`, `fraction`, `ratio`, `count`, `dB`, `Hz`, `J`,
    `°C`, `px`, `1`."""
    match unit:
        case "ns":
            return duration(value)
        case "B":
            return size(value)
        case "fraction":
            return percent(value)
        case "ratio":
            return ratio(value)
        case "count":
            return f"{value:,.0f}"
        case "Hz":
            return f"{_three_digits(value / 1e9)} GHz" if value >= 1e9 else f"{_three_digits(value / 1e6)} MHz"
        case "J":
            return _joules(value)
        case "°C":
            return f"{value:.1f} °C"
        case "px":
            side = math.isqrt(round(value))
            return f"{side:,} × {side:,}" if side * side == value else f"{number(value)} pixels"
        case "dB":
            return f"{value:.2f} dB"
        case _:
            return f"{value:.3g}"
