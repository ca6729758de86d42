"""Personal data that patterns can find: e-mail addresses and public IPv4 addresses (datatrove's PII formatter, FineWeb)."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Literal

import numba as nb
import numpy as np

from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["email", "ip"]

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_EMAIL_HEAD = rf"\b{_ATOM}(?:\.{_ATOM})*@"
_EMAIL_LITERAL = rf"\[(?:{_OCTET}\.){{3}}(?:{_OCTET}|[A-Za-z0-9-]*[A-Za-z0-9]:)\]"

EMAIL_REFERENCE = rf"{_EMAIL_HEAD}(?:(?:{_LABEL}\.)+{_LABEL}|{_EMAIL_LITERAL})"
IP_REFERENCE = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
# Ours: an address ends at a word boundary, and four numbers are an address only when they stand alone ("999.1.1.1", "v1.2.3.4"
# and "1.2.3.4.5" hold none; the full stop that ends a sentence may follow).
EMAIL = rf"{_EMAIL_HEAD}(?:(?:{_LABEL}\.)+{_LABEL}\b|{_EMAIL_LITERAL})"
_IP_ALONE = re.compile(rf"(?<![\w.]){IP_REFERENCE}(?!\w|\.\w)")
_IP_ANYWHERE = re.compile(IP_REFERENCE)


def is_public(address: str) -> bool:
    """Whether an IPv4 address is globally routable; False for what is no address (leading zeros), private or reserved."""
    try:
        return ipaddress.IPv4Address(address).is_global
    except ValueError:
        return False


@nb.njit(nogil=True, cache=True)
def _candidates(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which documents hold an "@", and which hold three dots between digits with at most three digits from one to the next.

    Invariant: a document without an "@" has no e-mail address and one without such dots no IPv4 address, in either definition.
    """
    n = len(offsets) - 1
    has_at, has_quad = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for d in range(n):
        start, end = offsets[d], offsets[d + 1]
        dots, last = 0, start - 5
        for i in range(start, end):
            b = data[i]
            if b == 64:
                has_at[d] = True
            elif b == 46 and i > start and i + 1 < end and 48 <= data[i - 1] <= 57 and 48 <= data[i + 1] <= 57:
                dots = dots + 1 if i - last <= 4 else 1
                last = i
                has_quad[d] |= dots >= 3
    return has_at, has_quad


def _patterns(strict_reference: bool) -> tuple[str, re.Pattern[str]]:
    return (EMAIL_REFERENCE, _IP_ANYWHERE) if strict_reference else (EMAIL, _IP_ALONE)


def _mask(texts: pl.Series, email: str) -> pl.Series:
    """The texts with every e-mail address replaced: datatrove looks for IP addresses after that ("a@[8.8.8.8]" is one e-mail)."""
    return texts.str.replace_all(email, "email@example.com")


_MISLEADS_EMAIL = "Finds the written form only: 'name (at) site' is missed, and example addresses in manuals and code count."
_MISLEADS_IP = "Version numbers of four parts, such as 1.2.3.4, look the same and count; IPv6 is not searched."


@family(
    version=1,
    source="datatrove 0.10.1 formatters/pii.py (FineWeb, Penedo et al. 2024, arXiv:2406.17557), with word boundaries of our own",
    signals=[
        Signal(
            "pii_n_email", "addresses", "Number of e-mail addresses in the text.", "lower_is_better", (0, None), "int64", _MISLEADS_EMAIL
        ),
        Signal(
            "pii_n_ip",
            "addresses",
            "Number of globally routable IPv4 addresses in the text.",
            "lower_is_better",
            (0, None),
            "int64",
            _MISLEADS_IP,
        ),
    ],
)
def pii(batch: Batch, *, strict_reference: bool = False) -> Columns:
    """Number of e-mail addresses and of public IPv4 addresses in a document.

    The patterns are datatrove's, with boundaries added: an e-mail ends at a word boundary, and an IPv4 address is neither
    preceded nor followed by more letters, digits or dotted parts. E-mail addresses are taken out before IP addresses are
    looked for. Private, reserved and malformed addresses do not count, as in the reference.

    Args:
        batch: documents.
        strict_reference: count exactly what datatrove would replace, which includes "999.1.1.1" (as 9.1.1.1 after "99").

    Returns:
        int64 counts, 0 for the empty text.
    """
    import polars as pl

    email, ip = _patterns(strict_reference)
    n_email = np.zeros(len(batch), np.int64)
    n_ip = np.zeros(len(batch), np.int64)

    # Regular expressions run only on the few documents that hold an "@" or three dots between digits.
    has_at, has_quad = _candidates(batch.data, batch.offsets)
    rows = np.flatnonzero(has_at | has_quad)
    raw = [batch.data[batch.offsets[row] : batch.offsets[row + 1]].tobytes() for row in rows]
    texts = pl.Series("text", [text.decode("utf-8", "replace") for text in raw], pl.String)
    n_email[rows] = texts.str.count_matches(email).to_numpy()
    quad = np.flatnonzero(has_quad[rows])
    for row, text in zip(rows[quad], _mask(texts.gather(quad), email), strict=True):
        n_ip[row] = sum(is_public(address) for address in ip.findall(text))
    return {"pii_n_email": n_email, "pii_n_ip": n_ip}


def pii_spans(text: str, *, strict_reference: bool = False) -> list[tuple[int, int, Kind]]:
    """Where the counted addresses are, for highlighting.

    Args:
        text: one document.
        strict_reference: as in ``pii``.

    Returns:
        (first character, character after the last, kind), by position; as many of a kind as ``pii`` counts.
    """
    import polars as pl

    email, ip = _patterns(strict_reference)
    spans: list[tuple[int, int, Kind]] = []
    rest: list[str] = []
    start = 0
    # Addresses come from the same linear-time engine that counts them; Python's backtracking one is quadratic on hostile text.
    # The engine returns strings, so each is located again: the first place from where the last one ended that has the boundary.
    for match in pl.Series([text.encode("utf-8", "replace").decode()]).str.extract_all(email).item():
        at = text.find(match, start)
        while at > 0 and _is_word(text[at - 1]) == _is_word(match[0]):
            at = text.find(match, at + 1)
        spans.append((at, at + len(match), "email"))
        # Characters of the reference's replacement that touch what stands around it: a letter, then nothing an address can hold.
        rest += [text[start:at], "e" * len(match)]
        start = at + len(match)
    masked = "".join([*rest, text[start:]])
    spans += [(m.start(), m.end(), "ip") for m in ip.finditer(masked) if is_public(m.group())]
    return sorted(spans)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
