"""Numbers as the app writes them: short on the page, exact on hover; a percentage exists only here, at the edge."""

from __future__ import annotations

import math

THIN = "\u202f"  # narrow no-break space: "1.24 M" never breaks across lines
_SHORT = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def short(value: float | None) -> str:
    """A count in three significant digits: 412, 12.4 k, 1.24 M, 2.10 B; a dash where undefined."""
    return _scaled(value, _SHORT, "")


def size(n_bytes: float | None) -> str:
    """Bytes in decimal units, as disks are sold: 0 B, 18.2 MB, 1.90 TB."""
    return _scaled(n_bytes, _BYTES, "B")


def exact(value: float | None) -> str:
    """Every digit, thousands apart."""
    if value is None or math.isnan(value):
        return "not defined"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,}"


def number(value: float | None) -> str:
    """A measured value: four significant digits, whole numbers as they are, a dash where undefined."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def share(part: float, whole: float | None = None) -> str:
    """A share as a percentage: 41.3 %, 0.02 %; "<0.01 %" for what is there but tiny, "0 %" only for nothing."""
    if whole is not None:
        if not whole:
            return "–"
        part = part / whole
    if math.isnan(part):
        return "–"
    percent = 100 * part
    if 0 < percent < 0.01:
        return f"<0.01{THIN}%"
    if 99.95 <= percent < 100:
        return f">99.9{THIN}%"
    if percent in (0, 100):
        return f"{percent:.0f}{THIN}%"
    return f"{percent:.1f}{THIN}%" if percent >= 1 else f"{percent:.2f}{THIN}%"


def about(text: str, estimated: bool = True) -> str:
    """The sign of an estimate or of a sample before a figure."""
    return f"≈{THIN}{text}" if estimated else text


def duration(seconds: float | None) -> str:
    """A time span as one would say it: 0.3 s, 42 s, 3 min 10 s, 2 h 05 min."""
    if seconds is None or math.isnan(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.2g}{THIN}s" if seconds >= 0.001 else f"<1{THIN}ms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{THIN}s"
    if whole < 3600:
        return f"{whole // 60}{THIN}min {whole % 60:02d}{THIN}s"
    return f"{whole // 3600}{THIN}h {whole % 3600 // 60:02d}{THIN}min"


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """A short count with its noun in the right number: "1 file", "12.4 k files"."""
    return f"{short(n)} {singular if n == 1 else plural or singular + 's'}"


def _scaled(value: float | None, steps: tuple[tuple[float, str], ...], unit: str) -> str:
    if value is None or math.isnan(value):
        return "–"
    sign, value = ("−", -value) if value < 0 else ("", value)
    for i, (step, name) in enumerate(steps):
        if value >= step:
            if f"{value / step:.3g}" in ("1e+03", "1000") and i:  # 999.9 k reads better as 1.00 M
                step, name = steps[i - 1]
            return f"{sign}{_three(value / step)}{THIN}{name}"
    return f"{sign}{_plain(value)}" + (f"{THIN}{unit}" if unit else "")


def _three(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _plain(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else _three(value)
