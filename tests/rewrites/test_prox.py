"""ProX's executor against the answers of its own code, its oddities among them, and the family that runs it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.errors import ColumnNotFoundError
from explorer.rewrites.methods.prox_executor import execute, execute_document, removed_lines
from explorer.rewrites.pairs import open_pairs
from explorer.sample import sample_corpus_files

LINES = (
    "Home | About | Login",
    "The river begins in the hills above the old town.",
    "Share this page! Click here.",
    "Farmers have used its water for three hundred years or more.",
    "Copyright 2020 all rights reserved",
)
TEXT = "\n".join(LINES)
MANY = '"hills, above", target_str="x")'

# GAIR-NLP/ProX utils/chunk_utils.py run unchanged on TEXT: program, result, errors, merged intervals, replacements
KNOWN: dict[str, tuple[str, str, int, list[tuple[int, int]], list[tuple[str, str]], str]] = {
    "keep_all": ("keep_all()", TEXT, 0, [], [], "unchanged"),
    "remove two lines": (
        "remove_lines(line_start=0, line_end=0)\nremove_lines(line_start=2, line_end=2)\nremove_lines(line_start=4, line_end=4)",
        f"{LINES[1]}\n{LINES[3]}", 0, [(0, 0), (2, 2), (4, 4)], [], "edited",
    ),
    "normalize delete": (
        'normalize(source_str="Click here.", target_str="")', TEXT.replace("Click here.", ""), 0, [], [("Click here.", "")], "edited",
    ),
    "normalize replace": (
        'normalize(source_str="old town", target_str="town")', TEXT.replace("old town", "town"), 0, [], [("old town", "town")], "edited",
    ),
    "a comma makes three arguments": (f"normalize(source_str={MANY}", TEXT, 0, [], [], "unchanged"),
    "a bracket ends the arguments": ('normalize(source_str="(river)", target_str="x")', TEXT, 0, [], [("(river", "")], "unchanged"),
    "out of range": ("remove_lines(line_start=40, line_end=41)", TEXT, 1, [], [], "unchanged"),
    "two errors": ("remove_lines(line_start=40, line_end=41)\nremove_lines(bad)", TEXT, 2, [], [], "reverted_errors"),
    "remove everything": ("remove_lines(line_start=0, line_end=4)", "", 0, [(0, 4)], [], "dropped_ratio"),
    "all=True": ("remove_lines(all=True)", "", 0, [], [], "dropped_ratio"),
    "ten words": (
        'remove_lines(line_start=0, line_end=2)\nremove_lines(line_start=4, line_end=4)\nnormalize(source_str=" or more", target_str="")',
        "", 0, [(0, 2), (4, 4)], [(" or more", "")], "dropped_short",
    ),
    "unknown call": ("delete_line(3)", TEXT, 0, [], [], "unchanged"),
}  # fmt: skip


@pytest.mark.parametrize("case", KNOWN)
def test_gives_the_answers_of_prox(case: str) -> None:
    program, text, errors, intervals, replacements, outcome = KNOWN[case]
    result = execute(TEXT, program)
    assert (result.text, result.errors, list(result.intervals), list(result.replacements), result.outcome) == (
        text, errors, intervals, replacements, outcome,
    )  # fmt: skip


def test_what_was_passed_over_without_an_error_is_named() -> None:
    assert execute(TEXT, f'normalize(source_str={MANY}\ndelete_line(3)\nkeep_all()\n\nnormalize(source_str="zzz")').ignored == (
        f"normalize(source_str={MANY}",
        "delete_line(3)",
        'normalize(source_str="zzz")',
    )
    assert execute(TEXT, "keep_all()").ignored == ()


@pytest.mark.parametrize(
    ("program", "errors"),
    [
        ("remove_lines", 1),
        ("remove_lines)(", 1),
        ("remove_lines(line_start=0, line_end=1", 2),  # no bracket, and the 1 is lost with it
        ("remove_lines(line_start=0, line_end=12", 1),
        ("remove_lines(line_start=9, line_end=3)", 1),
        ("normalize", 1),
        ("normalize(x)", 1),
        (" remove_lines(bad)", 1),
        ("keep_all()\n remove_lines(bad)", 0),  # a blank before a call hides it
    ],
)
def test_calls_that_cannot_be_read_are_errors(program: str, errors: int) -> None:
    assert execute(TEXT, program).errors == errors


def test_touching_intervals_are_one_error() -> None:
    beyond = "remove_lines(line_start=3, line_end=4)\nremove_lines(line_start=5, line_end=6)"
    result = execute(TEXT, beyond)
    assert (result.errors, result.intervals, result.lines) == (1, ((3, 4),), (3, 4))
    apart = "remove_lines(line_start=6, line_end=6)\nremove_lines(line_start=8, line_end=8)"
    assert execute(TEXT, apart).outcome == "reverted_errors"


def test_short_and_blank_documents() -> None:
    ten = "one two three four five six seven eight nine ten"
    assert execute(ten, "keep_all()").outcome == "dropped_short"
    assert execute(f"{ten} eleven", "keep_all()").outcome == "unchanged"
    # the rule of ten words has no guard against errors
    assert execute(ten, "remove_lines(bad)\nremove_lines(bad)").outcome == "dropped_short"
    for blank in ("", " \n\t"):
        result = execute(blank, "keep_all()")
        assert (result.outcome, result.text, result.removed_word_fraction) == ("undefined", blank, None)


def test_share_of_words_removed() -> None:
    assert execute(TEXT, KNOWN["remove two lines"][0]).removed_word_fraction == pytest.approx(1 - 21 / 36)
    assert execute(TEXT, KNOWN["two errors"][0]).removed_word_fraction == 0.0
    assert execute(TEXT, "remove_lines(all=True)").removed_word_fraction == 1.0
    more = execute(TEXT, 'normalize(source_str="river", target_str="very long river")')
    assert more.removed_word_fraction == pytest.approx(1 - 38 / 36)


def test_the_document_program_comes_first() -> None:
    assert execute_document(TEXT, "drop_doc()", "keep_all()").outcome == "dropped_doc"
    assert execute_document(TEXT, "keep_doc() # raindrops", None).outcome == "dropped_doc"  # anywhere, as in ProX
    assert execute_document(TEXT, "keep_doc()", "keep_all()").outcome == "unchanged"
    assert execute_document(TEXT, None, None).outcome == "unchanged"


def test_programs_are_hostile() -> None:
    wide = "remove_lines(line_start=-99999999999999, line_end=99999999999999999999)\n" * 2_000
    result = execute("a b c\n" * 50_000, wide)
    assert (result.outcome, result.errors, len(result.lines)) == ("dropped_ratio", 1, 50_001)
    assert execute(TEXT, f"remove_lines(line_start={'9' * 5_000}, line_end=1)").errors == 1
    assert execute(TEXT, "__import__('os').system('false')\nexec(1)").text == TEXT
    assert execute(TEXT, 'normalize(source_str="")\nnormalize(source_str=" ", target_str="")').text == TEXT
    assert execute(TEXT, 'normalize(source_str=" ")').outcome == "dropped_short"  # one argument: all blanks go, as in ProX
    bidi = "\u202eone two three four five six seven eight nine ten eleven\u202c\ufffd\0"
    assert execute(bidi, 'normalize(source_str="\u202e")').text == bidi[1:]


def test_lines_removed_most_often() -> None:
    programs = [
        (TEXT, KNOWN["remove two lines"][0]),
        (TEXT, "remove_lines(all=True)"),
        (TEXT, KNOWN["two errors"][0]),
        (None, "x"),
        (TEXT, None),
    ]
    table = removed_lines(programs, most=3)
    assert table.to_dict(as_series=False) == {
        "line": ["Copyright 2020 all rights reserved", "Home | About | Login", "Share this page! Click here."],
        "documents": [2, 2, 2],
        "times": [2, 2, 2],
    }
    assert removed_lines([]).schema == {"line": pl.String, "documents": pl.Int64, "times": pl.Int64}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    pq.write_table(pa.table({"id": ["a", "b", "c", "d"], "text": [TEXT, TEXT, "few words", None]}), tmp_path / "originals.parquet")
    rows = {
        "id": ["a", "b", "c", "d", "zz", "a"],
        "rewrite": [f"{LINES[1]}\n{LINES[3]}", TEXT, "few words", "x", "y", None],
        "chunk_program": [KNOWN["remove two lines"][0], "remove_lines(bad)\ndelete(1)", "keep_all()", "keep_all()", "keep_all()", None],
        "doc_program": ["keep_doc", "drop_doc", None, None, None, "drop_doc"],
    }
    pq.write_table(pa.table(rows), tmp_path / "rewrites.parquet", row_group_size=4)
    return tmp_path


def test_the_family_runs_the_programs_of_all_pairs(programs: Path) -> None:
    pairs = open_pairs(programs / "originals.parquet", programs / "rewrites.parquet", workspace=programs / "w")
    pairs.score("prox")
    found = pairs.sql("SELECT prox_outcome, prox_errors, prox_ignored, prox_removed_word_frac, prox_as_given FROM corpus ORDER BY _row")
    assert found["prox_outcome"].to_list() == ["edited", "unchanged", "dropped_short", None, None, None]
    assert found["prox_errors"].to_list() == [0, 1, 0, None, None, None]
    assert found["prox_ignored"].to_list() == [0, 1, 0, None, None, None]
    assert found["prox_removed_word_frac"].round(5).to_list() == [pytest.approx(1 - 21 / 36, abs=1e-5), 0, 1, None, None, None]
    assert found["prox_as_given"].to_list() == [1, 1, 0, None, None, None]


def test_the_family_reads_document_programs_and_the_rewrite_as_a_program(programs: Path) -> None:
    pairs = open_pairs(programs / "originals.parquet", programs / "rewrites.parquet", workspace=programs / "w", rewrite="chunk_program")
    pairs.score("prox", parameters={"prox": {"document_program": "doc_program"}})
    found = pairs.sql("SELECT prox_outcome, prox_as_given FROM corpus ORDER BY _row")
    assert found["prox_outcome"].to_list() == ["edited", "dropped_doc", "dropped_short", None, None, "dropped_doc"]
    assert found["prox_as_given"].to_list() == [None] * 6


def test_a_column_that_is_not_there_is_named(programs: Path) -> None:
    pairs = open_pairs(programs / "originals.parquet", programs / "rewrites.parquet", workspace=programs / "w")
    with pytest.raises(ColumnNotFoundError, match=r"Column 'programs' is not in the rewrites\. Columns: 'id', 'rewrite'"):
        pairs.score("prox", parameters={"prox": {"program": "programs"}})


def test_on_the_sample() -> None:
    texts = pl.concat(pl.read_parquet(f, columns=["text"]) for f in sample_corpus_files())["text"].drop_nulls()
    outcomes = [execute(t, "keep_all()") for t in texts]
    words = [len(t.split()) for t in texts]
    assert {(r.outcome, r.errors) for r, n in zip(outcomes, words, strict=True) if n > 10} == {("unchanged", 0)}
    assert {r.outcome for r, n in zip(outcomes, words, strict=True) if 0 < n <= 10} == {"dropped_short"}
