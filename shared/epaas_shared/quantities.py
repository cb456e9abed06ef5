"""Numbers as a person says them, the same in the terminal and on the pages. Knows nothing of what they mean."""

from __future__ import annotations

from collections.abc import Callable

Interval = tuple[float, float]


def percent(share: float) -> str:
    """A share: ``97.8 %``. Rounding never makes all or nothing of it: ``over 99.9 %``, ``under 0.1 %``."""
    text = f"{100 * share:.1f} %"
    if text == "100.0 %":
        return "100 %" if share == 1 else "over 99.9 %"
    if text in ("0.0 %", "-0.0 %"):
        return "0 %" if share == 0 else "under 0.1 %"
    return text


def decimal(number: float) -> str:
    """Any number, to three significant digits: ``0.0123``, ``1.23``, ``12,300``, ``1.2e-06``."""
    if number == 0:
        return "0"
    if abs(number) >= 999.5:
        return f"{float(f'{number:.3g}'):,.0f}" if abs(number) < 1e9 else f"{number:.2e}"
    return f"{number:.3g}"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign: ``+1.3 points``."""
    return f"{100 * share:+.1f} points"


def count(number: int) -> str:
    """``12,345``."""
    return f"{number:,}"


def between(value: float, interval: Interval | None, say: Callable[[float], str] = percent) -> str:
    """A number and its interval: ``97.8 % (97.5 to 98.1 %)``."""
    return say(value) if interval is None else f"{say(value)} ({span(interval, say)})"


def span(interval: Interval, say: Callable[[float], str] = percent) -> str:
    """``97.5 to 98.1 %``."""
    low, high = map(say, interval)
    return f"{low.removesuffix(' %')} to {high}" if high.endswith(" %") else f"{low} to {high}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``0.4 s``, ``35 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: int) -> str:
    """A number of bytes as a person says it."""
    return f"{count} B" if count < 1000 else f"{count / 1e3:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
