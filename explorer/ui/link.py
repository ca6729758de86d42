"""Filters as one readable word of a link, and back: ``?f=recipe=fineweb;edu_score:2.5..;where=language = 'en'``.

Parts stand between semicolons; ``drop=signal`` takes a rule of the recipe away and a threshold on its signal moves it. A threshold is ``signal:minimum..maximum``, a side left out when open, then what is not at its
default: ``,exclusive``, ``,nulls=keep``, ``,reason=…``, ``,source=…``. Everything else is ``key=value``; a sampler's settings are
``key:value`` pairs between commas. ``%`` and ``;`` inside a value are percent-encoded; ``,``, ``:`` and ``=`` too where they would divide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.recipes import recipes
from explorer.selection.samplers import Sample
from explorer.selection.threshold import Threshold

_WORDS = ("name", "about", "source", "where")
_DIVIDES_PARTS = r"[%;\x00-\x1f\x7f]"
_NUMBER = re.compile(r"[+-]?(\d+|\d+\.\d*(e[+-]?\d+)?|\d+e[+-]?\d+|inf)", re.IGNORECASE)


def encode(filters: Filters) -> str:
    """The filters as text for a link; empty for no filters. Of a shipped recipe, only what was changed is spelled out."""
    name = _recipe_of(filters)
    base = recipes[name] if name else Filters()
    dropped, changed = _difference(base.filters, filters.filters)
    parts = [f"recipe={_escape(name)}"] if name else []
    parts += [
        f"{key}={_escape(getattr(filters, key), _DIVIDES_PARTS)}" for key in _WORDS[:3] if getattr(filters, key) != getattr(base, key)
    ]
    parts += [f"drop={_escape(signal)}" + (f",{_escape(reason)}" if reason else "") for signal, reason in dropped]
    parts += [_threshold(t) for t in changed]
    if filters.where != base.where:
        parts.append(f"where={_escape(filters.where, _DIVIDES_PARTS)}")
    if filters.sample:
        parts.append("sample=" + ",".join(f"{k}:{_escape(str(v))}" for k, v in filters.sample.to_dict().items()))
    return ";".join(parts)


def decode(text: str) -> Filters:
    """The filters that a link carries.

    Raises:
        SelectionError: the text is no such link, with the part that cannot be read.

    """
    base, dropped, changed, said, sample = Filters(), [], [], {}, None
    for part in filter(None, text.split(";")):
        key, found, value = part.partition("=")
        if found and key == "recipe":
            base = recipes[unquote(value)]
        elif found and key in _WORDS:
            said[key] = unquote(value)
        elif found and key == "drop":
            signal, _, reason = value.partition(",")
            dropped.append((unquote(signal), unquote(reason)))
        elif found and key == "sample":
            sample = _read_sample(value)
        else:
            changed.append(_read_threshold(part))
    plain = {key: getattr(base, key) for key in _WORDS} | said
    return Filters(_merged(base.filters, dropped, changed), sample=sample, **plain)


def _recipe_of(filters: Filters) -> str | None:
    """The shipped recipe that these filters say they are, when it and its changes give them back exactly."""
    for name in recipes:
        base = recipes[name]
        if filters.name.split(" + ")[0] in (name, base.name) and base.filters and base.sample is None:
            dropped, changed = _difference(base.filters, filters.filters)
            if _merged(base.filters, dropped, changed) == filters.filters:
                return name
    return None


def _difference(base: Sequence[Threshold], now: Sequence[Threshold]) -> tuple[list[tuple[str, str]], list[Threshold]]:
    """(signal, reason) of the thresholds that were taken away, and the thresholds that are new or moved."""
    keys = {(t.signal, t.reason) for t in now}
    return [(t.signal, t.reason) for t in base if (t.signal, t.reason) not in keys], [t for t in now if t not in base]


def _merged(base: Sequence[Threshold], dropped: Sequence[tuple[str, str]], changed: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """The base without the dropped, a changed one in its old place, new ones at the end."""
    moved = {(t.signal, t.reason): t for t in changed if any((t.signal, t.reason) == (b.signal, b.reason) for b in base)}
    kept = [moved.get((t.signal, t.reason), t) for t in base if (t.signal, t.reason) not in dropped]
    return (*kept, *(t for t in changed if (t.signal, t.reason) not in moved))


def _threshold(t: Threshold) -> str:
    low = "" if t.minimum is None else repr(t.minimum)
    high = "" if t.maximum is None else repr(t.maximum)
    said = t.to_dict()
    flags = [",exclusive"] if t.exclusive else []
    flags += [f",{key}={_escape(said[key])}" for key in ("nulls", "reason", "source") if key in said]
    return f"{_escape(t.signal)}:{low}..{high}{''.join(flags)}"


def _read_threshold(part: str) -> Threshold:
    head, *flags = part.split(",")
    signal, found, bounds = head.partition(":")
    low, dots, high = bounds.partition("..")
    bad = not found or not dots or any(side and not _NUMBER.fullmatch(side) for side in (low, high))
    settings: dict[str, Any] = {}
    for flag in flags:
        key, _, value = flag.partition("=")
        bad = bad or key not in ("exclusive", "nulls", "reason", "source")
        settings[key] = True if key == "exclusive" else unquote(value)
    if bad:
        raise SelectionError(
            f"The link's filter {part!r} cannot be read. A filter is signal:minimum..maximum, such as gopher_n_words:50..100000. "
            "Copy the link again, or set the filter on the Filters page."
        )
    return Threshold(unquote(signal), minimum=_value(low) if low else None, maximum=_value(high) if high else None, **settings)


def _read_sample(text: str) -> Sample:
    given: dict[str, Any] = {}
    for item in text.split(","):
        key, _, value = item.partition(":")
        given[key] = unquote(value) if key in ("method", "by", "per", "shares") else _value(unquote(value))
    return Sample.from_dict(given)


def _value(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _escape(text: str, reserved: str = r"[%;,:=\x00-\x1f\x7f]") -> str:
    """Percent-encode what the grammar uses and what browsers mangle in a link."""
    return re.sub(reserved, lambda m: f"%{ord(m.group()):02X}", text)
