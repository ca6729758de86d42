"""E-mail and IP addresses against datatrove's PII formatter."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.primitives.batch import Batch
from explorer.signals.pii import EMAIL_REFERENCE, IP_REFERENCE, is_public, pii, pii_spans

# datatrove 0.10.1 writes: "Write to email@example.com or firstname.lastname@example.org. Server 22.214.171.124, local 192.168.0.1,
# bad 9126.96.36.199, version 188.8.131.52, email@example.com." That is three e-mails and three addresses replaced.
KNOWN = (
    "Write to jane.doe+x@mail.example.co.uk or bob@site.org. Server 8.8.8.8, local 192.168.0.1, bad 999.1.1.1, version 1.2.3.4, carol@a.io."
)


def count(text: str | bytes | None, strict: bool = False) -> tuple[int, int]:
    result = pii(Batch.of([text]), strict_reference=strict)
    return int(result["pii_n_email"][0]), int(result["pii_n_ip"][0])


def test_known_answer_of_the_reference() -> None:
    assert count(KNOWN, strict=True) == (3, 3)
    assert [KNOWN[a:b] for a, b, _ in pii_spans(KNOWN, strict_reference=True)] == [
        "jane.doe+x@mail.example.co.uk",
        "bob@site.org",
        "8.8.8.8",
        "99.1.1.1",
        "1.2.3.4",
        "carol@a.io",
    ]


def test_boundaries_of_ours() -> None:
    assert count(KNOWN) == (3, 2)
    assert "99.1.1.1" not in [KNOWN[a:b] for a, b, _ in pii_spans(KNOWN)]


@pytest.mark.parametrize(
    ("text", "email", "ip"),
    [
        ("", 0, 0),
        (None, 0, 0),
        ("mail me: a@b.co.", 1, 0),
        ("a@b is no address, nor is @b.co", 0, 0),
        ("a@b.co,c@d.co;e@f.co", 3, 0),
        ("x@[8.8.8.8] is one e-mail", 1, 0),
        ("DNS is 8.8.8.8.", 0, 1),
        ("8.8.8.8 9.9.9.9", 0, 2),
        ("(8.8.8.8), [9.9.9.9]:80 and http://1.1.1.1/x", 0, 3),
        ("private 10.0.0.1 192.168.1.1 127.0.0.1 172.16.0.1 0.0.0.0 255.255.255.255", 0, 0),
        ("v1.2.3.4 and 1.2.3.4.5 and 1.2.3 and 256.1.1.1 and 01.02.03.04", 0, 0),
        ("a" * 10000 + "@" + "b" * 10000, 0, 0),
        (b"\xff a@b.co \xe9 8.8.8.8\xff", 1, 1),
    ],
)
def test_counts(text: str | bytes | None, email: int, ip: int) -> None:
    assert count(text) == (email, ip)


def reference(text: str) -> tuple[int, int]:
    """datatrove's two replacers in plain Python: e-mails first, then public addresses in what is left."""
    masked, n_email = re.subn(EMAIL_REFERENCE, "email@example.com", text)
    return n_email, sum(map(is_public, re.findall(IP_REFERENCE, masked)))


texts = st.lists(
    st.sampled_from(["a", "8", ".", "8.8.8.8", "@", "b.co", "x@y.org", " ", "\n", "é", "[", "]", "-", "_", "1", "#", "99"]), max_size=25
).map("".join)


@given(texts)
def test_strict_counts_equal_the_plain_reference(text: str) -> None:
    assert count(text, strict=True) == reference(text)


@given(texts, st.booleans())
def test_spans_are_what_is_counted(text: str, strict: bool) -> None:
    spans = pii_spans(text, strict_reference=strict)
    assert (sum(k == "email" for *_, k in spans), sum(k == "ip" for *_, k in spans)) == count(text, strict)
    for start, end, kind in spans:
        assert 0 <= start < end <= len(text)
        assert ("@" in text[start:end]) == (kind == "email")


def test_hostile_text_takes_linear_time() -> None:
    assert count("a#" * 200_000 + "@ 8.8.8.8") == (0, 1)
