"""Obfuscated code beside its original: what a faithful renaming leaves alone, in seven languages."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.engine.local import score_texts
from explorer.errors import SignalError
from explorer.rewrites.methods.code_tokens import KEYWORD, LITERAL, NAME, guess, language, read
from explorer.rewrites.pairs import open_pairs
from explorer.sample import sample_corpus_files

PYTHON = '''\
def total(items, rate=0.2):
    """Sum with tax."""
    # add up
    result = 0
    for item in items:
        result += item.price * (1 + rate)
    print(f"total: {result:.2f}")
    return result
'''
RENAMED = """\
def FUNC_0(VAR_0, VAR_1=0.2):
    VAR_2 = 0
    for VAR_3 in VAR_0:
        VAR_2 += VAR_3.VAR_4 * (1 + VAR_1)
    print(f"total: {VAR_2:.2f}")
    return VAR_2
"""

# language: code, names, keywords, literals, comments
CODE: dict[str, tuple[str, list[str], list[str], list[str], list[str]]] = {
    "c": (
        '#include <stdio.h>\nint main(void) { /* go */\n  char c = \'"\'; // quote\n  printf("%d\\"x", 0x1F);\n}\n',
        ["include", "stdio", "h", "main", "c", "printf"], ["int", "void", "char"], ["'\"'", '"%d\\"x"', "0x1F"], ["/* go */", "// quote"],
    ),
    "cpp": (
        'template <class T> T top(std::vector<T>& v) { return v.empty() ? T() : v[0]; } // R"(no)"\nauto s = R"x(a)" // )x";',
        ["T", "T", "top", "std", "vector", "T", "v", "v", "empty", "T", "v", "s"], ["template", "class", "return", "auto"], ["0", 'R"x(a)" // )x"'], ['// R"(no)"'],
    ),
    "go": (
        "package main\nfunc (s *Set) Add(k string) { s.m[k] = `a \"b`; r := 'x' }\n",
        ["main", "s", "Set", "Add", "k", "string", "s", "m", "k", "r"], ["package", "func"], ['`a "b`', "'x'"], [],
    ),
    "java": (
        "/** Doc. */\npublic class A<T> { private int $n = 1_000L; @Override public String toString() { return \"a\" + 'b'; } }",
        ["A", "T", "$n", "Override", "String", "toString"], ["public", "class", "private", "int", "public", "return"], ["1_000L", '"a"', "'b'"], ["/** Doc. */"],
    ),
    "rust": (
        "fn f<'a>(x: &'a mut Vec<u8>) -> Option<&'a str> { let r#type = r#\"a\"b\"#; println!(\"{}\", '\\''); for i in 0..10 {} }",
        ["f", "'a", "x", "'a", "Vec", "u8", "Option", "'a", "str", "r#type", "println", "i"], ["fn", "mut", "let", "for", "in"], ['r#"a"b"#', '"{}"', "'\\''", "0", "10"], [],
    ),
    "typescript": (
        "export const f = (a: number) => /[/\"]+/g.test(`x${a + `y${a}`}z`) ? a / 2 / 3 : null; // done",
        ["f", "a", "test", "a", "a", "a"], ["export", "const", "number", "null"], ['/[/"]+/g', "`x${", "`y${", "}`", "}z`", "2", "3"], ["// done"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CODE)
def test_tokens_of_each_language(name: str) -> None:
    code, names, keywords, literals, comments = CODE[name]
    found = read(code, name)
    assert found is not None
    assert (found.of(NAME), found.of(KEYWORD), found.of(LITERAL), found.comments) == (names, keywords, literals, comments)


def test_tokens_of_python() -> None:
    found = read(PYTHON, "python")
    assert found is not None
    assert found.of(KEYWORD) == ["def", "for", "in", "return"]
    assert found.of(LITERAL) == ["0.2", "0", "1", 'f"total: {:.2f}"']
    assert found.of(NAME)[-3:] == ["print", "result", "result"], "what an f-string computes is code"
    assert found.comments == ['"""Sum with tax."""', "# add up"]
    assert found.lines == 8


def test_blocks_of_python_are_told_by_indentation() -> None:
    one, other = read("if a:\n    b\n    c\n", "python"), read("if a:\n    b\nc\n", "python")
    wide = read("if a:\n\n  b\n      # aside\n  c", "python")
    brackets = read("if a:\n  b\n  c[\n0\n]", "python")
    assert one is not None and other is not None and wide is not None and brackets is not None  # noqa: PT018
    assert one.skeleton() != other.skeleton()
    assert one.skeleton() == wide.skeleton()
    assert [t.text for t in brackets.tokens][-5:] == ["c", "[", "0", "]", "dedent"], "lines inside brackets open no block"


@pytest.mark.parametrize(
    ("name", "ours"),
    [("C++", "cpp"), ("TypeScript", "typescript"), ("js", "typescript"), ("Golang", "go"), ("en", None), ("", None), (None, None)],
)
def test_names_of_languages(name: str | None, ours: str | None) -> None:
    assert language(name) == ours


@pytest.mark.parametrize("name", [*CODE, "python"])
def test_languages_are_guessed(name: str) -> None:
    texts = {
        "c": "#include <stdlib.h>\nint *f(int n) { return malloc(n * sizeof(int)); }",
        "cpp": "#include <vector>\nusing namespace std;\nint main() { std::vector<int> v; }",
        "go": 'package main\n\nimport "fmt"\n\nfunc main() {\n\tx := 1\n\tfmt.Println(x)\n}\n',
        "java": "import java.util.List;\npublic class A {\n  public static void main(String[] a) { System.out.println(1); }\n}",
        "rust": 'fn main() {\n    let mut x = 5;\n    println!("{}", x);\n}\n',
        "typescript": "export function f(a: number): string {\n  const b = a + 1;\n  return `${b}`;\n}\n",
        "python": PYTHON,
    }
    assert guess(texts[name]) == name
    assert guess("The mill stands by the old bridge. It is for all.") is None


def columns(before: str | bytes | None, after: str | bytes | None, **given: str) -> dict[str, object]:
    row = score_texts([after], ["obscura"], {"obscura": given}, originals=[before]).to_pylist()[0]  # type: ignore[list-item]
    return {name.removeprefix("obscura_"): value for name, value in row.items()}


def test_a_faithful_renaming() -> None:
    assert columns(PYTHON, RENAMED) == {
        "ident_renamed_frac": pytest.approx(6 / 7),  # print stays
        "skeleton_equal": 1,
        "renaming_consistent": 1,
        "keywords_equal": 1,
        "literals_equal": 1,
        "line_count_equal": 0,  # two lines of comments fewer
        "comment_removed": 1,
        "language": "python",
    }


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("VAR_2 += VAR_3.VAR_4", "VAR_1 += VAR_3.VAR_4", {"renaming_consistent"}),  # one name became two
        ("0.2", "0.3", {"literals_equal", "skeleton_equal", "renaming_consistent"}),
        ("for VAR_3 in", "for VAR_3 is", {"keywords_equal", "skeleton_equal", "renaming_consistent"}),
        ("    return", "return", {"skeleton_equal", "renaming_consistent"}),
        ("total: ", "sum: ", {"literals_equal", "skeleton_equal", "renaming_consistent"}),
        ("VAR_3", "VAR_0", {"renaming_consistent"}),  # two names became one
        (" = 0", "=0", set()),
        ("    VAR_2 = 0", "    # set\n    VAR_2 = 0", {"comment_removed"}),
    ],
)
def test_an_unfaithful_one_shows(old: str, new: str, changed: set[str]) -> None:
    before, after = columns(PYTHON, RENAMED), columns(PYTHON, RENAMED.replace(old, new))
    assert {k for k in after if k not in ("line_count_equal", "ident_renamed_frac") and after[k] != before[k]} == changed


def test_undefined_is_null() -> None:
    assert set(columns(None, RENAMED).values()) == {None}
    assert set(columns("plain words", "other words").values()) == {None}, "no language"
    assert set(columns("", "", language="python").values()) == {None, "python"}
    same = columns("x = 1", "x = 1", language="py")
    assert (same["comment_removed"], same["ident_renamed_frac"], same["language"]) == (None, 0, "python")
    assert columns("1 + 1", "1 + 1", language="python")["ident_renamed_frac"] is None
    assert columns(b"x = '\xff'", b"y = '\xff'", language="python")["skeleton_equal"] == 1
    with pytest.raises(SignalError, match="Language 'cobol' is not read"):
        columns("x", "x", language="cobol")


def test_the_language_is_read_from_its_column(tmp_path: Path) -> None:
    rows = {"original": ["x = 1;", "x = 1"], "rewrite": ["y = 1;", "y = 1"], "language": ["JavaScript", None]}
    pq.write_table(pa.table(rows), tmp_path / "p.parquet")
    pairs = open_pairs(tmp_path / "p.parquet", workspace=tmp_path / "w")
    pairs.score("obscura")
    found = pairs.sql("SELECT obscura_language, obscura_skeleton_equal FROM corpus ORDER BY _row")
    assert found.rows() == [("typescript", 1.0), (None, None)]


@given(
    st.text("ab0 \n\"'`/\\*#{}()$:!f\u202e\0é", max_size=60), st.sampled_from(["c", "cpp", "go", "java", "python", "rust", "typescript"])
)
def test_no_character_is_lost_whatever_the_text(text: str, name: str) -> None:
    found = read(text, name)
    assert found is not None
    kept = "".join(t.text for t in found.tokens if t.text not in ("indent", "dedent")) + "".join(found.comments)
    if name != "python":  # where f-strings are taken apart
        assert sorted("".join(kept.replace("\\", "").split())) == sorted("".join(text.replace("\\", "").split()))


@pytest.mark.parametrize(
    "text",
    [
        "a " * 100_000,
        "\n" * 200_000,
        "(" * 100_000,
        "'" * 100_000,
        '"""' * 30_000,
        "/*" * 50_000,
        "`${" * 30_000,
        "f'{" * 30_000,
        "\\" * 100_000,
        'R"(' * 30_000,
    ],
)
@pytest.mark.thorough
def test_time_grows_with_the_text_alone(text: str) -> None:
    started = time.monotonic()
    for name in ("c", "cpp", "go", "java", "python", "rust", "typescript"):
        read(text, name)
    guess(text)
    assert time.monotonic() - started < 60


def test_on_the_sample() -> None:
    code = (
        pl.concat(pl.read_parquet(f, columns=["text", "source"]) for f in sample_corpus_files()).filter(source="code")["text"].drop_nulls()
    )
    python = [t for t in code if guess(t) == "python"]
    assert len(python) > 120
    for text in python:
        again = columns(text, text)
        assert (again["skeleton_equal"], again["ident_renamed_frac"]) in ((1, 0), (1, None))
