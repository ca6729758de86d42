"""Facts kept, lost, added and changed: values written otherwise, hand-counted pairs, a twin for numbers, the planted errors of the sample corpus."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.engine.local import score_texts
from explorer.primitives.batch import Batch
from explorer.rewrites import compare as cp
from explorer.rewrites import facts as fa
from explorer.rewrites.align import alignments
from explorer.rewrites.checks.facts import EXCHANGED, KINDS
from explorer.rewrites.corruptions import corrupt

SAMPLE = Path(__file__).parents[2] / "sample_data"


def facts_of(text: str | bytes) -> list[tuple[str, str]]:
    """(kind, words) of the facts of a text that are counted."""
    batch = Batch.of([text])
    found, raw = fa.facts(batch), bytes(batch.data)
    return [
        (fa.KINDS[k], raw[a:b].decode("utf-8", "replace"))
        for k, f, a, b in zip(found.kind, found.flags, found.start, found.end, strict=True)
        if not f & (fa.FAINT | fa.REPEATED)
    ]


def differences(original: str, rewrite: str) -> list[str]:
    """What is not kept: "changed number 4 → 5", "lost name Ann", "added date 1931"."""
    left, right = Batch.of([original]), Batch.of([rewrite])
    found, ours, theirs = cp.compared(left, right), fa.facts(left), fa.facts(right)
    a, b = bytes(left.data), bytes(right.data)
    said = []
    for f, verdict in enumerate(found.original):
        words = a[ours.start[f] : ours.end[f]].decode()
        if verdict == cp.CHANGED:
            g = found.original_partner[f]
            assert found.rewrite_partner[g] == f
            said.append(f"changed {fa.KINDS[ours.kind[f]]} {words} → {b[theirs.start[g] : theirs.end[g]].decode()}")
        elif verdict == cp.GONE:
            said.append(f"lost {fa.KINDS[ours.kind[f]]} {words}")
    return said + [
        f"added {fa.KINDS[theirs.kind[g]]} {b[theirs.start[g] : theirs.end[g]].decode()}"
        for g, verdict in enumerate(found.rewrite)
        if verdict == cp.GONE
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Dr. Smith, in the U.S. Army, paid $4.2 million on 3 March 1931.",
            [("name", "Dr. Smith"), ("name", "U.S. Army"), ("number", "$4.2 million"), ("date", "3 March 1931")],
        ),
        (
            "Two thirds of 1,234.5 km, 2 000 figures, 50 %, ten thousand two hundred and fifty cats, 5 to 8 kilometres per second.",
            [
                ("number", "Two thirds"), ("number", "1,234.5 km"), ("number", "2 000"), ("number", "50 %"),
                ("number", "ten thousand two hundred and fifty"), ("number", "5"), ("number", "8 kilometres per second"),
            ],
        ),
        ("It is 6.62607015 × 10⁻³⁴ joule at −273.15 °C.", [("number", "6.62607015 × 10⁻³⁴ joule"), ("number", "−273.15 °C")]),
        ("In the 1990s, 447–432 BC, 1636–37, the sixteenth century, on Monday, at 10:30.", [
            ("date", "1990s"), ("date", "447"), ("date", "432 BC"), ("date", "1636"), ("date", "37"), ("date", "sixteenth century"), ("date", "Monday"), ("time", "10:30"),
        ]),
        ("1. First item\n2. Second item\n## 3 Methods\nQuestion 1: Who? [12] Then 4 came.", [("number", "4")]),
        ("See `foo(x)`, main.py, open() and https://a.org/b, mail x@a.org.", [
            ("code", "foo(x)"), ("code", "main.py"), ("code", "open()"), ("link", "https://a.org/b"), ("link", "x@a.org"),
        ]),
        ("He said “it is a good day” and “no”.", [("quote", "it is a good day")]),
        ("Tulips reached the Netherlands. When Hokusai came, NASA and Ptolemy V slept.", [
            ("name", "Netherlands"), ("name", "Hokusai"), ("name", "NASA"), ("name", "Ptolemy V"), ("number", "V"),
        ]),
        ("THE GREAT WAVE OFF KANAGAWA\nThe Rise of Modern Cities\n\nText follows here.", []),
        ("Der Hund und die Katze sind im Juni 1817 nach Mannheim gefahren.", [("date", "Juni 1817")]),
        ("公元105年8月3日", [("date", "105年8月3日")]),
        ("one of them, twice, half, a week, a few days, both", []),
        ("one week, three weeks", [("number", "one week"), ("number", "three weeks")]),
        ("error B006 in v1.2.3 of 3.10.2", [("number", "B006"), ("code", "v1.2.3"), ("code", "3.10.2")]),
    ],
)  # fmt: skip
def test_what_is_a_fact(text: str, expected: list[tuple[str, str]]) -> None:
    assert facts_of(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("has 1,000 wells", "has one thousand wells"),
        ("holds 4.2 million litres", "holds 4,200,000 liters"),
        ("is 1 km long", "is 1000 m long"),
        ("took 90 minutes", "took 1.5 hours"),
        ("50 % agreed", "fifty percent agreed"),
        ("cost £3", "cost three pounds"),
        ("had 2 000 sheep", "had two thousand sheep"),
        ("has 1 234,5 units", "has 1,234.5 units"),
        ("came 3rd", "came third"),
        ("ran 10-12 miles", "ran ten to twelve miles"),
        ("was 4°C", "was four degrees Celsius"),
        ("was 4 °C", "was 4 degrees"),
        ("was 3½ hours", "was 3.5 hours"),
        ("two thirds of them", "2/3 of them"),
        ("weighs 6.02 × 10²³ grams", "weighs 6.02e23 grams"),
        ("a 38-year-old man", "a man of 38 years"),
        ("at 80 km/h", "at eighty kilometres per hour"),
        ("100 cubic kilometres", "100 km³"),
        ("World War II ended", "World War Two ended"),
        ("on 3 March 1931", "on March 3, 1931"),
        ("on 3 March 1931", "on 1931-03-03"),
        ("on 4 March 1931", "on 3/4/1931"),
        ("on 4 March 1931", "on 4/3/1931"),
        ("on 4 March 1931", "on 04.03.1931"),
        ("the nineteenth century", "the 1800s"),
        ("the '80s", "the 1980s"),
        ("at 10:30 pm", "at 22:30"),
        ("at noon", "at 12 pm"),
        ("公元105年", "105 AD"),
        ("the United States joined", "America joined"),
        ("the USA joined", "the U.S.A. joined"),
        ("the French soldiers", "soldiers from France"),
        ("the World Health Organization", "the WHO"),
        ("Californian oranges", "oranges from California"),
        ("they read Reye's book", "they read the book by Reye"),
        ("https://www.Example.org/a/", "http://example.org/a"),
        ("`foo(x, y)`", "`foo( x,y )`"),
        ("said “it is a good day”", "said that it is a good day"),
    ],
)
def test_the_same_value_written_otherwise_is_kept(one: str, other: str) -> None:
    for left, right in ((one, other), (other, one)):
        if "that it is" not in left and "America" not in left:
            assert [d for d in differences(f"Here {left}.", f"Here {right}.") if not d.startswith("added quote")] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4.2 million litres", "42 million litres"),
        ("50 micrograms", "50 milligrams"),
        ("4 °C", "4 °F"),
        ("ten minutes", "ten hours"),
        ("1 km", "100 m"),
        ("1914", "1941"),
        ("15 August 1914", "16 August 1914"),
        ("Monday", "Tuesday"),
        ("the 1990s", "the 1980s"),
        ("the nineteenth century", "the eighteenth century"),
        ("10 am", "10 pm"),
        ("Peter Higgs", "Stephen Hawking"),
        ("https://a.org/x", "https://a.org/y"),
        ("`a_b`", "`a_c`"),
        ("80 km/h", "80 km/s"),
        ("a kilometre of road", "a metre of road"),
        ("a few years later", "a few hours later"),
        ("the fourth power", "the second power"),
        ("196 BC", "196 AD"),
        ("B006", "B060"),
        ("$5", "€5"),
    ],
)
def test_another_value_in_its_place_is_a_change(one: str, other: str) -> None:
    said = differences(f"We say it was {one} there.", f"We say it was {other} there.")
    assert [d.split()[0] for d in said] == ["changed"]


@pytest.mark.parametrize(
    ("original", "rewrite", "expected"),
    [
        ("It burned in March 1931.", "It burned in 1931.", ["lost date March 1931"]),
        ("It burned in 1931.", "It burned on 4 March 1931.", ["added date 4 March 1931"]),
        ("We met Jean-François Champollion.", "We met Champollion.", []),
        ("We met Marie Curie.", "We met Pierre Curie.", ["added name Pierre Curie"]),
        ("A baobab stores water.", "Baobabs store water.", []),
        ("They sailed three miles in five hours.", "They sailed for five hours.", ["lost number three miles"]),
        ("Open Saturday 10 am; closed Sunday and Monday.", "Open Saturday 10 am; closed Saturday and Monday.", ["changed date Sunday → Saturday"]),
        ("Most need five hours.", "Most people need five hours, about 300 minutes.", []),
        ("The mill made 20 sacks. It burned in 1911.", "It burned in 1918. The mill made 200 sacks.", ["changed number 20 → 200", "changed date 1911 → 1918"]),
        ("", "In 1931 Ann met Bob.", ["added date 1931", "added name Ann", "added name Bob"]),
        ("In 1931 Ann met Bob.", "", ["lost date 1931", "lost name Ann", "lost name Bob"]),
    ],
)  # fmt: skip
def test_pairs_by_hand(original: str, rewrite: str, expected: list[str]) -> None:
    assert sorted(differences(original, rewrite)) == sorted(expected)


def test_columns() -> None:
    original = "The mill of Lyon made 20 sacks, 30 bags and 4 tons in May 1911."
    rewrite = "The mill of Paris made 20 sacks, 31 bags and a cake in May 1911. See https://a.org."
    columns = {name: column.to_pylist()[0] for name, column in zip(*_columns([rewrite], [original]), strict=True)}
    assert columns["numbers_kept_frac"] == pytest.approx(1 / 3)
    assert [columns[f"numbers_{v}"] for v in ("lost", "added", "changed")] == [1, 0, 1]
    assert columns["dates_kept_frac"] == 1.0
    assert [columns[f"names_{v}"] for v in ("lost", "added", "changed")] == [0, 0, 1]
    assert columns["names_kept_frac"] == 0.0
    assert columns["links_kept_frac"] is None, "the original has none"
    assert columns["links_added"] == 1
    assert [columns[f"facts_{v}"] for v in ("lost", "added", "changed")] == [1, 1, 2]
    assert columns["facts_kept_frac"] == pytest.approx(2 / 5)


def _columns(rewrites: list[str | bytes | None], originals: list[str | bytes | None]) -> tuple[list[str], list[object]]:
    table = score_texts(rewrites, ["facts"], originals=originals)
    return table.column_names, table.columns


# Numbers written in a style of one's own, and a twin that compares their values.
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(n: int) -> str:
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10] + (f"-{_ONES[n % 10]}" if n % 10 else "")
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if n >= size:
            return f"{in_words(n // size)} {name}" + (f"{' and' if size == 100 else ''} {in_words(n % size)}" if n % size else "")
    raise AssertionError


@st.composite
def written(draw: st.DrawFn, value: int) -> str:
    styles = [str(value), f"{value:,}", in_words(value), f"{value:,}".replace(",", "\u202f"), f"{value}.0"]
    if value % 100_000 == 0 and value:
        styles.append(f"{Decimal(value) / 10**6:f} million")
    return draw(st.sampled_from(styles))


VALUES = st.one_of(st.integers(3, 40), st.integers(2200, 10**9), st.integers(1, 9000).map(lambda n: n * 10**5))


@given(st.data(), st.lists(VALUES, min_size=1, max_size=6, unique=True), st.lists(VALUES, max_size=6, unique=True))
def test_numbers_as_plain_sets_do(data: st.DataObject, ours: list[int], theirs: list[int]) -> None:
    theirs = [*theirs, *(v for v in ours if data.draw(st.booleans()) and v not in theirs)]
    original, rewrite = (" ".join(f"The yard had {data.draw(written(v))} things." for v in values) for values in (ours, theirs))
    found = cp.compared(Batch.of([original]), Batch.of([rewrite]))
    kept = len(set(ours) & set(theirs))
    counts = Counter(found.original.tolist()), Counter(found.rewrite.tolist())
    assert counts[0][cp.KEPT] == counts[1][cp.KEPT] == kept, (original, rewrite)
    assert counts[0][cp.GONE] + counts[0][cp.CHANGED] == len(ours) - kept
    assert counts[1][cp.GONE] + counts[1][cp.CHANGED] == len(theirs) - kept
    assert counts[0][cp.CHANGED] == counts[1][cp.CHANGED] == min(len(ours), len(theirs)) - kept


MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


@given(st.integers(1000, 2198), st.integers(1, 12), st.integers(1, 28), st.integers(0, 6), st.integers(0, 6))
def test_dates_in_every_style_are_equal(year: int, month: int, day: int, one: int, other: int) -> None:
    end = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in (11, 12, 13) else 0, "th")
    name = MONTHS[month - 1]
    styles = [
        f"{day} {name} {year}", f"{name} {day}, {year}", f"the {day}{end} of {name}, {year}", f"{year}-{month:02}-{day:02}",
        f"{day:02}.{month:02}.{year}", f"{month}/{day}/{year}", f"{name} {day}{end} {year}",
    ]  # fmt: skip
    assert differences(f"It rained on {styles[one]} here.", f"It rained on {styles[other]} here.") == []
    later = f"{day} {name} {year + 1}"
    assert differences(f"It rained on {styles[one]} here.", f"It rained on {later} here.") == [
        f"changed date {styles[one].removeprefix('the ')} → {later}"
    ]


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_fact_gets_one_verdict(original: str, rewrite: str) -> None:
    left, right = Batch.of([original]), Batch.of([rewrite])
    found, ours = cp.compared(left, right), fa.facts(left)
    counted = (ours.flags & (fa.FAINT | fa.REPEATED)) == 0
    assert (found.original[counted] != cp.UNCOUNTED).all()
    assert np.isin(found.original[~counted], [cp.UNCOUNTED, cp.CHANGED]).all()
    assert (found.original_partner[found.original == cp.CHANGED] >= 0).all()
    same = cp.compared(left, Batch.of([original]))
    assert not np.isin(same.original, [cp.GONE, cp.CHANGED]).any(), "a copy keeps everything"


@given(st.lists(st.lists(st.sampled_from(["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine"]), min_size=1, max_size=5), min_size=1, max_size=5),
       st.lists(st.lists(st.sampled_from(["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine", "yew"]), min_size=1, max_size=5), min_size=1, max_size=5))  # fmt: skip
def test_sentences_are_aligned_as_plain_python_does(ours: list[list[str]], theirs: list[list[str]]) -> None:
    left, right = (Batch.of([" ".join(" ".join(["The", *words]) + "." for words in text)]) for text in (ours, theirs))
    found = alignments(left, right).rewrite
    sets = [set(words) for words in ours]
    for s, words in enumerate(theirs):
        scores, total = [0.0] * len(ours), 0.0
        for word in dict.fromkeys(words):
            having = [k for k, other in enumerate(sets) if word in other]
            total += 1 / len(having) if having else 1
            for k in having:
                scores[k] += 1 / len(having)
        best = sorted((k for k in range(len(ours)) if scores[k] > 0), key=lambda k: (-np.float32(scores[k]), k))
        assert found.share[s, 0] == pytest.approx(scores[best[0]] / total if best else 0.0, rel=1e-5)
        assert (found.sentence[s, 0] >= 0) == bool(best)
        if best and found.sentence[s, 0] != best[0]:
            assert scores[found.sentence[s, 0]] == pytest.approx(scores[best[0]], rel=1e-5)


HOSTILE: list[str | bytes | None] = [
    "", " \t\n", b"a\0b 3\0 km", b"caf\xe9 \xff\xfe 4 km \xe2\x82", "a" * 1_000_000, "3 km 👩‍👩‍👧‍👦 🇫🇷 5", "\u202e12 km\u202c", "我们在2019年8月3日见面。",
    " ".join(map(str, range(5000))), "million " * 3000, "1-" * 3000, "A-B-" * 2000, "“" * 3000, "`" * 3001, "a`b" * 999, "A. B. C. " * 999, "9" * 5000, "1,234," * 999, None,
]  # fmt: skip


def test_survives_any_pair_and_does_not_depend_on_the_batch() -> None:
    rewrites = list(reversed(HOSTILE))
    names, together = _columns(rewrites, HOSTILE)
    for k, (rewrite, original) in enumerate(zip(rewrites, HOSTILE, strict=True)):
        _, alone = _columns([rewrite], [original])
        assert [c.to_pylist()[0] for c in alone] == [c.to_pylist()[k] for c in together], (k, names)
        for name, column in zip(names, together, strict=True):
            value = column.to_pylist()[k]
            assert value is None or value >= 0, name
            if original is None or rewrite is None:
                assert value is None
    assert all(len(c) == 0 for c in _columns([], [])[1])


def sample() -> pl.DataFrame:
    planted = json.loads((SAMPLE / "planted_rewrites.json").read_text("utf-8"))
    corpus = pl.concat([pl.read_parquet(f, columns=["id", "text"]) for f in sorted((SAMPLE / "corpus").glob("*.parquet"))]).unique(
        "id", keep="first"
    )
    rows = pl.read_parquet(SAMPLE / "rewrites.parquet").join(corpus, on="id").filter(pl.col("rewrite").is_not_null())
    known = pl.DataFrame([{"pair_id": k, "label": v["label"], "planted": v.get("kind") or "faithful rewrite"} for k, v in planted.items()])
    table = rows.join(known, on="pair_id").sort("pair_id")
    scores = score_texts(table["rewrite"].to_list(), ["facts", "polarity"], originals=table["text"].to_list())
    return pl.concat([table, pl.from_arrow(scores)], how="horizontal")


def test_planted_errors_are_found_and_faithful_rewrites_left_alone() -> None:
    table = sample()
    wrong = {
        kind: pl.sum_horizontal(*(f"{kind}_{v}" for v in ("changed", "added", *["exchanged"] * (kind in EXCHANGED)))) > 0 for kind in KINDS
    }
    # a weekday planted as a "name" is a date here
    matching = {
        "number changed": wrong["numbers"], "unit changed": wrong["numbers"], "date changed": wrong["dates"],
        "name changed": wrong["names"] | wrong["dates"], "negation flipped": pl.col("negation_flips") > 0,
    }  # fmt: skip
    found = {
        kind: table.filter(pl.col("planted") == kind).select(flag.sum().alias("n"), pl.len()).row(0) for kind, flag in matching.items()
    }
    assert found["number changed"] == (18, 18)
    assert found["unit changed"] == (5, 5)
    assert found["date changed"] == (6, 6)
    assert found["name changed"] == (9, 10), "peppers and beans are no names"
    assert found["negation flipped"] == (9, 11), "one is told in altogether other words, one is a matter of few and many"
    assert sum(n for n, _ in found.values()) / sum(n for _, n in found.values()) >= 0.9
    faithful = table.filter(
        (pl.col("label") == "faithful")
        & (pl.col("method") == "hand")
        & pl.col("planted").is_in(["faithful rewrite", "near_copy", "postscript", "preamble"])
    )
    alarms = faithful.filter(wrong["numbers"] | wrong["dates"] | wrong["names"] | (pl.col("negation_flips") > 0))
    assert len(faithful) == 67
    assert len(alarms) <= 0.1 * len(faithful), alarms.select("pair_id")
    flips = faithful.filter(pl.sum_horizontal("negation_flips", "modality_flips", "quantifier_flips", "antonym_flips") > 0)
    assert len(flips) <= 0.1 * len(faithful)


@pytest.mark.parametrize(("kind", "columns", "least"), [("number", ("numbers", "dates"), 0.9), ("unit", ("numbers",), 0.9), ("date", ("dates", "numbers"), 0.9), ("name", ("names",), 0.85)])  # fmt: skip
def test_corrupted_rewrites_are_found(kind: str, columns: tuple[str, ...], least: float) -> None:
    """Of names 0.85: the corruptions take sentences' first words and German nouns for names, which the check does not."""
    table = sample().filter((pl.col("label") == "faithful") & (pl.col("method") == "hand") & (pl.col("planted") == "faithful rewrite"))
    rng = np.random.default_rng(3)
    broken = [
        (o, r, c.text)
        for o, r in table.select("text", "rewrite").rows()
        for _ in range(4)
        if (c := corrupt(r, kind, rng, table["rewrite"].to_list()))
    ]

    def wrong(rewrites: list[str]) -> np.ndarray:
        scores = score_texts(rewrites, ["facts"], originals=[o for o, _, _ in broken])
        return sum(scores[f"{c}_{v}"].to_numpy() for c in columns for v in ("changed", "added", "lost"))

    more = wrong([c for _, _, c in broken]) > wrong([r for _, r, _ in broken])
    assert more.mean() >= least
