"""Which facts of the original a rewrite keeps, loses, changes and adds, by kind."""

from __future__ import annotations

import numpy as np

from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check
from explorer.rewrites import compare as cp
from explorer.rewrites import exchanges as ex
from explorer.rewrites import facts as fa

KINDS: dict[str, tuple[np.int64, ...]] = {
    "numbers": (fa.NUMBER,),
    "dates": (fa.DATE, fa.TIME),
    "names": (fa.NAME,),
    "links": (fa.LINK,),
    "code": (fa.CODE,),
    "quotes": (fa.QUOTE,),
}
_WHAT = {
    "numbers": "numbers with their units, in digits or words, and words with digits (B006)",
    "dates": "dates, years, months, decades, centuries, weekdays and times of day",
    "names": "runs of capitalised words that do not merely begin a sentence, and acronyms",
    "links": "URLs and e-mail addresses",
    "code": "text in backticks, fenced blocks, identifiers with an underscore or (), file names, version numbers",
    "quotes": "quotations of three words or more",
    "facts": "facts of all kinds",
}
EXCHANGED = ("numbers", "dates", "names", "facts")  # what is counted where it stands in another's place
_ODD = "A value counts as kept wherever it stands in the other text; two that change places are seen only sometimes, as exchanged."
_PLACES = "Seen only beside words that both texts have, in sentences that tell the same; null for texts of more than 256 facts, which are not looked at. Of verbs that go both ways (to meet, to marry) the exchange is no error."
_MISLEADS = {
    "numbers": "Percentages said as fractions, miles as kilometres and sums are changes; list, section and question numbers are no facts. One and two in words, "
    "ordinals first and second, twice, half and a unit with a or few count only when they stand for a changed one. A bare number is kept by the same number with "
    f"any unit. {_ODD}",
    "dates": f"15 August 1914 is lost where only August 1914 stands. 3/4/1931 is read both ways. Four digits alone are a year by what is around them. {_ODD}",
    "names": "English sees most; in German, where every noun has a capital, and in scripts without capitals there are no names. A name that is one word and only ever begins "
    "sentences is not seen, nor one of generic words (the Museum). A surname, another form (French, France) or the initials keep a name; another spelling "
    f"is a change. {_ODD}",
    "links": "A link that was shortened or unfolded is lost and added.",
    "code": "Whole blocks are compared, blanks aside: one letter less is a change.",
    "quotes": "Quotation marks around paraphrased speech are an added quotation. Words kept in order without the marks count as kept.",
}
_MISLEADS["facts"] = " ".join(_MISLEADS[kind] for kind in ("numbers", "names"))


def _signals(name: str) -> list[Signal]:
    what, odd = _WHAT[name], _MISLEADS[name]
    of = "facts" if name == "facts" else f"{name} ({what})"
    signals = [
        Signal(
            f"{name}_kept_frac",
            f"fraction of the original's {name}",
            f"Different {of} of the original whose value stands in the rewrite, of all different ones; null where it has none.",
            "higher_is_better",
            (0.0, 1.0),
            misleads=f"A summary leaves facts out rightly. {odd}",
        ),
        Signal(
            f"{name}_lost", name, f"Different {of} of the original that the rewrite has nowhere, changed ones not counted.",
            "lower_is_better", (0.0, None), "int64", f"A summary leaves facts out rightly. {odd}",
        ),
        Signal(
            f"{name}_added", name, f"Different {of} of the rewrite that the original has nowhere, changed ones not counted.",
            "lower_is_better", (0.0, None), "int64", f"What is added may be true. {odd}",
        ),
        Signal(
            f"{name}_changed", name,
            f"Pairs of a lost and an added fact of one kind in the same place ({what}): the same words or unit near them, or sentences that tell the same.",
            "lower_is_better", (0.0, None), "int64", f"At most 64 of a kind in a text are paired; the others stay lost and added. {odd}",
        ),
        Signal(
            f"{name}_exchanged", name,
            f"Places in which the original has one of its {name} and the rewrite another that the original has too: the same word beside it, or denied where the other is denied.",
            "lower_is_better", (0.0, None), "int64", _PLACES,
        ),
    ]  # fmt: skip
    return signals if name in EXCHANGED else signals[:-1]


@check(
    version=2,
    source="ours, after the numbers, dates, links and capitalised names that rewriting pipelines count as kept, lost and added",
    signals=[signal for name in (*KINDS, "facts") for signal in _signals(name)],
)
def facts(original: Batch, rewrite: Batch) -> Columns:
    """Facts kept, lost, added, changed and exchanged: numbers, dates, names, links, code and quotations, compared by value and not by letter."""
    found = cp.compared(original, rewrite)
    ours, theirs = fa.facts(original), fa.facts(rewrite)
    kept, lost, changed = (_count(ours, found.original, verdict) for verdict in (cp.KEPT, cp.GONE, cp.CHANGED))
    unsure = _count(ours, np.where(ours.flags & (fa.FAINT | fa.REPEATED), found.original, cp.UNCOUNTED), cp.CHANGED)
    added = _count(theirs, found.rewrite, cp.GONE)
    places = ex.exchanges(original, rewrite)
    exchanged = np.where(places.looked[:, None], _by_kind(places), np.nan)
    columns: dict[str, np.ndarray] = {}
    for name, kinds in {**KINDS, "facts": tuple(np.arange(len(fa.KINDS)))}.items():
        of = np.array(kinds)
        k, gone, became = kept[:, of].sum(1), lost[:, of].sum(1), changed[:, of].sum(1)
        all_of_them = k + gone + became - unsure[:, of].sum(1)
        columns[f"{name}_kept_frac"] = np.where(all_of_them > 0, k / np.maximum(all_of_them, 1), np.nan)
        columns[f"{name}_lost"] = gone
        columns[f"{name}_added"] = added[:, of].sum(1)
        columns[f"{name}_changed"] = became
        if name in EXCHANGED:
            columns[f"{name}_exchanged"] = exchanged[:, of].sum(1)
    return columns


def _count(found: fa.Facts, verdicts: np.ndarray, verdict: int) -> np.ndarray:
    """How many facts of each document and kind have a verdict, int64 [n, kinds]."""
    return _by_kind(found, verdicts == verdict)


def _by_kind(found: fa.Facts | ex.Exchanges, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
    """How many of each document and kind there are, int64 [n, kinds]."""
    n, kinds = len(found.offsets) - 1, len(fa.KINDS)
    place = np.repeat(np.arange(n), np.diff(found.offsets)) * kinds + found.kind
    return np.bincount(place[chosen], minlength=n * kinds).reshape(n, kinds)
