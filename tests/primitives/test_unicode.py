import time
import unicodedata

import numba as nb
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.primitives import unicode as u


@nb.njit
def code_points(data, end):
    found = []
    i = 0
    while i < end:
        point, i = u.decode(data, i, end)
        found.append(point)
    return found, i


def test_every_code_point_has_the_answers_of_python():
    table = u.classes()
    for bit, predicate in (
        (u.ALPHA, str.isalpha),
        (u.UPPER, str.isupper),
        (u.LOWER, str.islower),
        (u.SPACE, str.isspace),
        (u.DECIMAL, str.isdecimal),
        (u.DIGIT, str.isdigit),
        (u.NUMERIC, str.isnumeric),
        (u.PUNCTUATION, lambda c: unicodedata.category(c)[0] == "P"),
        (u.SYMBOL, lambda c: unicodedata.category(c)[0] == "S"),
        (u.MARK, lambda c: unicodedata.category(c)[0] == "M"),
    ):
        expected = np.fromiter((predicate(chr(c)) for c in range(u.CODE_POINTS)), bool, u.CODE_POINTS)
        np.testing.assert_array_equal((table & bit) != 0, expected, err_msg=str(bit))
    breaks = {c for c in range(u.CODE_POINTS) if len(f"a{chr(c)}b".splitlines()) == 2}
    assert breaks == set(np.flatnonzero(table & u.LINE_BREAK))
    alphanumeric = np.fromiter((chr(c).isalnum() for c in range(u.CODE_POINTS)), bool, u.CODE_POINTS)
    np.testing.assert_array_equal((table & u.ALPHANUMERIC) != 0, alphanumeric)


def test_the_table_is_built_quickly():
    start = time.process_time()
    u.classes.__wrapped__()
    assert time.process_time() - start < 1.0


@settings(deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=20).map(lambda t: t.encode()))
def test_decode_reads_what_python_reads(raw):
    data = np.frombuffer(raw + b"\xbf\xbf\xbf", np.uint8)  # continuation bytes after the end must not be read
    points, end = code_points(data, len(raw))
    assert end == len(raw)
    assert "".join(map(chr, points)) == raw.decode("utf-8", "replace")


def test_decode_on_each_kind_of_ill_formed_sequence():
    for raw in (
        b"\xe2\x82",
        b"\xe2\x82A",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xf4\x90\x80\x80",
        b"\xf0\x9f\x98",
        b"\xff",
        b"\x80",
        b"\xe0\x80\x80",
    ):
        points, _ = code_points(np.frombuffer(raw, np.uint8), len(raw))
        assert "".join(map(chr, points)) == raw.decode("utf-8", "replace"), raw
