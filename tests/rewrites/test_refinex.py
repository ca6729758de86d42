"""RefineX: the published example, and that whatever is deleted, nothing is ever put in."""

from __future__ import annotations

import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.engine.local import score_texts
from explorer.errors import SignalError
from explorer.rewrites.methods.edit_script import align
from explorer.rewrites.methods.refinex_program import (
    RemoveLines,
    RemoveStr,
    apply_spans,
    as_program,
    execute,
    parse,
    program,
    spans,
    to_text,
)
from explorer.sample import sample_corpus_files, sample_rewrites_file

RAW = "Home | About | Login\nThe mill H#f*%8& still stands by the old brigde.\nhttp://ads.example/click\nIt was built in 1702."
REFINED = "The mill still stands by the old bridge.\nIt was built in 1702."


def is_subsequence(part: str, whole: str) -> bool:
    left = iter(whole)
    return all(c in left for c in part)


def test_the_published_example_over_characters() -> None:
    found = align(RAW, REFINED, level="characters")
    assert found is not None
    assert found.deleted == ((0, 21), (30, 38), (66, 67), (69, 94))
    assert (found.distance, found.inserted, found.replaced) == (56, 1, 0)
    assert apply_spans(found.deleted, RAW) == "The mill still stands by the old brige.\nIt was built in 1702."


def test_over_words_no_splinter_is_left() -> None:
    found = align(RAW, REFINED)
    assert found is not None
    assert apply_spans(found.deleted, RAW) == "The mill still stands by the old brigde.\nIt was built in 1702."
    assert (found.inserted, found.replaced) == (0, len("bridge."))
    made = program(RAW, REFINED)
    assert made is not None
    assert str(made) == 'remove_lines(1, 1)\nremove_str(2, "H#f*%8& ")\nremove_lines(3, 3)'
    assert execute(made.operations, RAW) == apply_spans(found.deleted, RAW)


@pytest.mark.parametrize(
    ("original", "refined", "calls", "result"),
    [
        ("the mill", "the mill", "keep_all()", "the mill"),
        ("a nav b", "a b", 'remove_str(1, "nav ")', "a b"),
        ("a b nav", "a b", 'remove_str(1, " nav")', "a b"),
        ("nav a", "a", 'remove_str(1, "nav ")', "a"),
        ("the the cat", "the cat", 'remove_str(1, " the")', "the cat"),  # "the " stands there twice, " the" once
        ("a go b go c", "a b c", "keep_all()", "a go b go c"),  # neither stands once: lost, never guessed
        ("x\n\nnav\n\ny", "x\n\ny", "remove_lines(3, 4)", "x\n\ny"),
        ("x\nnav", "x", "remove_lines(2, 2)", "x"),
        ("nav\nx", "x", "remove_lines(1, 1)", "x"),
        ("x\n  nav\ny", "x\ny", "remove_lines(2, 2)", "x\ny"),
        ("x\ny", "x y", "keep_all()", "x\ny"),  # lines cannot be joined
        ("x\nnav nav\nz y", "x\ny", 'remove_lines(2, 2)\nremove_str(3, "z ")', "x\ny"),
        ("a\nb", "", 'remove_lines(1, 1)\nremove_str(2, "b")', ""),
        ("", "new", "keep_all()", ""),
        ("  a   b ", " a b", "keep_all()", "  a   b "),
        ("brigde", "bridge", "keep_all()", "brigde"),  # a replaced word stays
        ("我们 nav 的", "我们 的", 'remove_str(1, "nav ")', "我们 的"),
        ('say "no\\" x', "say x", 'remove_str(1, "\\"no\\\\\\" ")', "say x"),
    ],
)
def test_deletions_become_calls(original: str, refined: str, calls: str, result: str) -> None:
    made = program(original, refined)
    assert made is not None
    assert str(made) == calls
    assert execute(made.operations, original) == result
    assert parse(str(made)) == (list(made.operations), [])


TEXTS = st.lists(st.sampled_from(["a", "b", "the", "é", "\u202e", "我", " ", "  ", "\t", "\n", "\r", "."]), max_size=30).map("".join)


@given(TEXTS, TEXTS, st.sampled_from(["words", "characters"]))
def test_only_deletions_whatever_the_texts(original: str, refined: str, level: str) -> None:
    found = align(original, refined, level=level)  # type: ignore[arg-type]
    assert found is not None
    made = as_program(original, found.deleted)
    result, wanted = execute(made.operations, original), apply_spans(found.deleted, original)
    assert is_subsequence(result, original)
    assert is_subsequence(wanted, original)
    assert result == apply_spans(spans(made.operations, original), original)
    assert len(result) == len(wanted) + made.lost
    assert made.lost or result == wanted
    assert parse(to_text(made.operations)) == (list(made.operations), [])
    if level == "words":  # whole words alone: what is left is some of the original's words
        words = iter(original.split())
        assert all(w in words for w in wanted.split())


OPERATIONS = st.lists(
    st.one_of(
        st.builds(RemoveLines, st.integers(-2, 6), st.integers(-2, 10**12)),
        st.builds(RemoveStr, st.integers(-1, 6), st.text("ab é", max_size=3)),
    ),
    max_size=8,
)


@given(OPERATIONS, TEXTS)
def test_any_program_removes_what_its_spans_say(operations, text: str) -> None:  # type: ignore[no-untyped-def]
    result = execute(operations, text)
    assert result == apply_spans(spans(operations, text), text)
    assert is_subsequence(result, text)


def test_a_string_goes_only_where_it_stands_once() -> None:
    assert execute([RemoveStr(1, "a")], "a b a") == "a b a"
    assert execute([RemoveStr(1, "aa")], "aaa") == "aaa"  # it stands there twice, the places overlap
    assert execute([RemoveStr(2, "x"), RemoveStr(9, "x"), RemoveStr(1, "")], "x\nx y") == "x\n y"
    assert execute([RemoveLines(3, 1), RemoveLines(7, 9)], "a\nb") == "a\nb"
    assert execute([RemoveLines(1, 2), RemoveLines(2, 3)], "a\nb\nc") == ""


def test_programs_are_read_not_evaluated() -> None:
    text = 'keep_all()\n remove_lines( 1 , 2 )\nremove_str(3, "a\\n\\"")\n\n__import__("os")\nremove_str(1, \'x\')\nremove_lines(1)\nremove_str(1, "\\q")'
    operations, unread = parse(text)
    assert operations == [RemoveLines(1, 2), RemoveStr(3, 'a\n"')]
    assert unread == ['__import__("os")', "remove_str(1, 'x')", "remove_lines(1)", 'remove_str(1, "\\q")']


def columns(original: str | bytes | None, rewrite: str | bytes | None, **given: object) -> dict[str, object]:
    table = score_texts([rewrite], ["refinex"], {"refinex": given}, originals=[original])  # type: ignore[list-item]
    return {name.removeprefix("refinex_"): value for name, value in table.to_pylist()[0].items()}


def test_columns() -> None:
    found = columns(RAW, REFINED)
    assert found["deleted_frac"] == pytest.approx((21 + 8 + 25) / 116)
    assert found["insertion_share"] == pytest.approx(7 / 51)  # of the 51 characters of words and line ends
    assert {k: found[k] for k in ("inserted_chars", "replaced_chars", "lost_chars", "calls", "pair_usable")} == {
        "inserted_chars": 0, "replaced_chars": 7, "lost_chars": 0, "calls": 3, "pair_usable": 1,
    }  # fmt: skip
    assert columns("a", "a b and so much more that nobody had ever written before")["pair_usable"] == 0
    assert columns("a x b", "a b", shortest_deletion=3)["pair_usable"] == 0
    assert columns("a", "a")["pair_usable"] == 1
    assert columns(RAW, REFINED, level="characters")["inserted_chars"] == 1
    with pytest.raises(SignalError, match="Levels: words, characters"):
        columns("a", "a", level="lines")


def test_undefined_and_hostile() -> None:
    assert set(columns(None, "a").values()) == {None}
    assert set(columns("a", None).values()) == {None}
    empty = columns("", "")
    assert (empty["deleted_frac"], empty["insertion_share"], empty["calls"]) == (None, None, 0)
    assert columns(b"\xff a nav b\xe2\x82", b"\xff a b\xe2\x82")["calls"] == 1
    started = time.monotonic()
    many = " ".join(map(str, range(60_000)))
    assert set(columns(many, many[::-1]).values()) == {None}, "texts too long to align are undefined"
    assert columns("a\n" * 10_000, "b\n" * 10_000)["deleted_frac"] == 0
    assert time.monotonic() - started < 60


def test_on_the_sample() -> None:
    originals = pl.concat(pl.read_parquet(f, columns=["id", "text"]) for f in sample_corpus_files())
    pairs = pl.read_parquet(sample_rewrites_file()).join(originals, on="id").drop_nulls(["text", "rewrite"])
    for text, rewrite in pairs.select("text", "rewrite").rows():
        made = program(text, rewrite)
        assert made is not None
        result = execute(made.operations, text)
        assert is_subsequence(result, text)
        assert result == apply_spans(spans(made.operations, text), text)
