"""Controlled errors: one known thing is made wrong in a text, so that a check of rewrites can be held against the truth.

    rng = np.random.default_rng(0)
    broken = corrupt("The mill burned down in 1911.", "date", rng)
    broken.text, broken.before, broken.after  # 'The mill burned down in 1918.', ((24, 28),), ((24, 28),)

A corruption takes a faithful text and returns an unfaithful twin, the places that differ, and how grave the difference is. Where a text
offers nothing to corrupt the answer is None, never an unchanged text. What needs words (names, negation, units …) knows English;
deleting, inventing, reordering, shuffling and cutting work in every language with sentence marks or paragraphs.

The errors are those of generators that were caught at it: wrong numbers, names, units and dates, negation lost or added, hedges
hardened, one side of a comparison turned round, roles exchanged, sentences and paragraphs lost or made up, and text that stops. Reordered
sentences are there as a control: most of their meaning stays, and a check that calls them unfaithful cries wolf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

import numpy as np

Severity = Literal["harmless", "mild", "severe"]
Span = tuple[int, int]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Corruption:
    """A text with one planted error.

    Attributes:
        text: the corrupted text.
        kind: of `KINDS`.
        before: characters [begin, end) of the given text that were replaced or removed; empty spans where something was put in.
        after: the same places in ``text``; empty spans where something was removed.
        severity: what a careful reader would say of it: "harmless" (the meaning stays), "mild" (a detail), "severe" (a false statement,
            or much of the meaning gone).

    """

    text: str
    kind: str
    before: tuple[Span, ...]
    after: tuple[Span, ...]
    severity: Severity


_Edit = tuple[int, int, str]  # characters [begin, end) of the text, and what takes their place
_Maker = Callable[[str, np.random.Generator, Sequence[str]], "list[_Edit] | None"]


def _words(text: str, mark: str = " ") -> list[str]:
    return text.split(mark)


_MONTHS = _words("January February March April May June July August September October November December")
_DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_NUMBER_WORDS = [
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
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
]
_ORDINALS = _words("second third fourth fifth sixth seventh eighth ninth tenth")

# Units that stand for the same kind of quantity: any of a row can be put in another's place.
_UNITS = [
    row.split()
    for row in (
        "mm cm m km",
        "millimetres centimetres metres kilometres",
        "millimeters centimeters meters kilometers",
        "inches feet yards miles",
        "mg g kg tonnes",
        "micrograms milligrams grams kilograms",
        "ounces pounds stones",
        "ml cl litres hectolitres",
        "seconds minutes hours days weeks months years decades centuries",
        "°C °F",
        "degrees percent",
        "thousand million billion trillion",
        "watts kilowatts megawatts gigawatts",
        "volts kilovolts",
        "KB MB GB TB",
        "bytes kilobytes megabytes gigabytes",
        "dollars cents",
        "euros dollars pounds francs yen",
        "acres hectares",
        "Hz kHz MHz GHz",
    )
]

# Words whose exchange turns the statement round. Each is unambiguous enough that its other senses are rare in running text.
_REVERSALS = [
    (pair.split()[0], pair.split()[1])
    for pair in _words(
        "increase decrease|increases decreases|increased decreased|increasing decreasing|rise fall|rises falls|rose fell|higher lower|"
        "highest lowest|larger smaller|largest smallest|longer shorter|longest shortest|older younger|oldest youngest|"
        "earliest latest|before after|above below|north south|northern southern|east west|eastern western|best worst|better worse|"
        "strong weak|stronger weaker|hot cold|warm cool|warmer cooler|wet dry|rich poor|success failure|successful unsuccessful|"
        "positive negative|true false|victory defeat|won lost|wins loses|opened closed|opens closes|accepted rejected|accept reject|"
        "allowed forbidden|allows forbids|possible impossible|legal illegal|visible invisible|safe dangerous|cheap expensive|"
        "cheaper dearer|male female|maximum minimum|major minor|simple complicated|easy difficult|easier harder|supported opposed|"
        "supports opposes|agreed refused|gained lost|inside outside|upper lower|ancient modern|public private|joined left|"
        "advantage disadvantage|advantages disadvantages|common rare|deep shallow|deeper shallower|faster slower|fast slow|early late",
        "|",
    )
]
_QUANTIFIERS = {
    "all": "some",
    "some": "all",
    "every": "hardly any",
    "each": "hardly any",
    "many": "few",
    "few": "many",
    "most": "few",
    "several": "all",
    "always": "sometimes",
    "often": "rarely",
    "frequently": "rarely",
    "rarely": "often",
    "seldom": "often",
    "usually": "rarely",
    "sometimes": "always",
    "generally": "rarely",
    "at least": "at most",
    "at most": "at least",
    "more than": "less than",
    "less than": "more than",
    "fewer than": "more than",
    "nearly all": "hardly any",
    "almost": "more than",
    "everyone": "hardly anyone",
    "mostly": "rarely",
    "mainly": "rarely",
}
_MODALITY = {
    "may": "will",
    "might": "will",
    "could": "will",
    "can": "must",
    "must": "may",
    "should": "must",
    "will": "may",
    "would": "might",
    "probably": "certainly",
    "perhaps": "certainly",
    "possibly": "certainly",
    "likely": "certain",
    "unlikely": "certain",
    "certainly": "possibly",
    "apparently": "undoubtedly",
    "allegedly": "undoubtedly",
    "believed": "proven",
    "alleged": "proven",
    "suggests": "proves",
    "suggest": "prove",
    "suggested": "proved",
    "claimed": "proved",
    "argued": "proved",
}
_NEGATION_LOST = {
    r"\bcannot\b": "can",
    r"\bcan't\b": "can",
    r"\bwon't\b": "will",
    r"\bshan't\b": "shall",
    r"(?<=[a-z])n['’]t\b": "",
    r"\s+not(?=\s)": "",
    r"\s+never(?=\s)": " always",
    r"\bwithout\b": "with",
    r"\bnone of\b": "all of",
    r"\bno longer\b": "still",
    r"\bno one\b": "everyone",
    r"\bnobody\b": "everybody",
    r"\bnothing\b": "everything",
    r"\bno(?= [a-z])": "every",
}
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|can|could|will|would|should|must|may|might|does|do|did)\b(?=\s+[a-z])(?!\s+(?:not|never|no)\b)", re.I
)
_PERFECT = re.compile(r"\b(has|have|had)\b(?=\s+(?:been|[a-z]{2,}(?:ed|en))\b)", re.I)

_PEOPLE = _words("Alvarez Bergman Castellan Dvorak Ferrante Haraldson Ishikawa Kowalski Lindqvist Marchetti Novotny Okafor Petrescu Yamada")
_PLACES = _words("Aldermoor Brackenridge Corvina Dunstable Esterhaz Fallowmere Galveston Harrowgate Ilmenau Kesteven Lodomir Marlow")
_NOT_NAMES = set(
    _words(
        "the a an in on at of for from to by with and but or if as it its he she they we i you his her their our my this that these those there "
        "when where while after before since during because although however most many some all each every no not one two three first what who "
        "why how which then also both such other another until between under over through so yet nor whether only even mr mrs ms dr st "
        "question answer note example summary"
    )
) | {w.lower() for w in (*_MONTHS, *_DAYS)}

# What invents a detail without knowing the text: a relative clause that fits after nearly any statement.
_CLAUSES = (
    ", a decision that was later reversed",
    ", according to a study from 2009",
    ", which cost about 40,000 dollars",
    ", as his brother had predicted",
    ", and three people were injured",
    ", the only case of its kind in Europe",
    ", although experts still doubt this",
    ", which had been abandoned for decades",
    ", mainly because of the heavy rain",
    ", under the direction of Professor Lindqvist",
    ", for which it received an award",
    ", and the owner moved to Canada soon afterwards",
)

_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|No|Vol|Fig|approx|ca|cf|al|Inc|Ltd|Co|Gen|Col|Lt|Rev|Hon|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)"
    r"|\b[a-z]\.[a-z])\.$"
)
_BOUNDARY = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])\s*|\s*\n\s*")
_NUMBER = re.compile(r"(?<![\w.,:/-])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?![\w:/]|[.,]\d|-\d)")
_NAME = re.compile(r"\b[A-Z][\w’']*[a-z][\w’']*(?:[ -][A-Z][\w’']*[a-z][\w’']*)*")
_YEAR = re.compile(r"(?<![\w.,:$€£/-])(1[0-9]{3}|20[0-9]{2})(?![\w:/%]|[.,]\d|\s*(?:%|percent|km|m|kg|people)\b)")
_LINK = re.compile(r"\b(?:[a-z]{3,}ed|beat|won|wrote|led|took|gave|made|met|sold|taught|told|than|from|to|of|by|over|became|saw|held)\b")


_COUNTED = re.compile(r"(?:\d|\b(?:" + "|".join([*_NUMBER_WORDS, "one", "hundred", "several", "few"]) + r"))$", re.I)


def sentence_spans(text: str) -> list[Span]:
    """Characters [begin, end) of each sentence, without the white space around it; a line's end ends a sentence too."""
    spans, begin = [], 0
    for found in _BOUNDARY.finditer(text):
        marked = text[begin : found.start()]
        if "\n" not in found.group() and _ABBREVIATION.search(marked):
            continue
        end = found.start() + len(found.group().rstrip())
        if text[begin:end].strip():
            spans.append((begin, end))
        begin = found.end()
    end = len(text.rstrip())
    if text[begin:end].strip():
        spans.append((begin, end))
    return spans


def corrupt(text: str, kind: str, rng: np.random.Generator, others: Sequence[str] = ()) -> Corruption | None:
    """Plant one error of a kind.

    Args:
        text: a faithful rewrite, or an original.
        kind: of `KINDS`.
        rng: where chance comes from; the same state gives the same corruption.
        others: other texts. Invented sentences are taken from them, and so are wrong names; "sentence_invented" needs at least one.

    Returns:
        None where the text offers nothing to corrupt in this way.

    Raises:
        ValueError: there is no such kind.

    """
    if kind not in _MAKERS:
        raise ValueError(f"Kind {kind!r} is unknown. Kinds: {', '.join(KINDS)}. Choose one of them.")
    severity, make = _MAKERS[kind]
    edits = make(text, rng, others)
    if not edits:
        return None
    new, before, after = _applied(text, sorted(edits))
    return None if new == text else Corruption(new, kind, before, after, severity)


def _applied(text: str, edits: list[_Edit]) -> tuple[str, tuple[Span, ...], tuple[Span, ...]]:
    """The text with the edits in it, and the spans of each edit before and after."""
    pieces, spans, at, size = [], [], 0, 0
    for begin, end, new in edits:
        pieces += [text[at:begin], new]
        size += begin - at
        spans.append((size, size + len(new)))
        size += len(new)
        at = end
    pieces.append(text[at:])
    return "".join(pieces), tuple((begin, end) for begin, end, _ in edits), tuple(spans)


def _pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    return options[int(rng.integers(len(options)))]


def _like(model: str, word: str) -> str:
    """A word in the capitals of another."""
    if model.isupper() and len(model) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def _exchanged(text: str, rng: np.random.Generator, table: dict[str, str]) -> list[_Edit] | None:
    """One word or phrase of a table replaced by its partner; longer phrases come before the words in them."""
    pattern = r"\b(?:" + "|".join(sorted(map(re.escape, table), key=len, reverse=True)) + r")\b"
    found = [m for m in re.finditer(pattern, text, re.I) if not (m.group() == "May" or m.group() == "Will")]
    if not found:
        return None
    m = _pick(rng, found)
    return [(m.start(), m.end(), _like(m.group(), table[m.group().lower()]))]


def _number(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    years = {m.start() for m in _YEAR.finditer(text)}
    digits = [m for m in _NUMBER.finditer(text) if m.start() not in years]
    words = list(re.finditer(r"\b(?:" + "|".join(_NUMBER_WORDS) + r")\b", text, re.I))
    if not digits and not words:
        return None
    m = _pick(rng, [*digits, *words])
    if m.group().isalpha():
        other = _pick(rng, [w for w in _NUMBER_WORDS if w != m.group().lower()])
        return [(m.start(), m.end(), _like(m.group(), other))]
    whole, rest = m.group(1), m.group(2) or ""
    if "," not in whole and not rest and rng.random() < 0.4:  # off by a power of ten: the commonest slip of a generator
        new = whole[:-1] if len(whole) > 1 and whole.endswith("0") else whole + "0"
        if int(new) != int(whole):
            return [(m.start(), m.end(), new)]
    places = [i for i, c in enumerate(whole) if c.isdigit()]
    at = places[min(int(rng.geometric(0.6)) - 1, len(places) - 1)]
    digit = _pick(rng, [d for d in "0123456789" if d != whole[at] and not (at == 0 and d == "0")])
    return [(m.start(), m.end(), whole[:at] + digit + whole[at + 1 :] + rest)]


def _date(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    options: list[_Edit] = []
    for m in _YEAR.finditer(text):
        shift = int(rng.integers(1, 40)) * (1 if rng.random() < 0.5 else -1)
        options.append((m.start(), m.end(), str(int(m.group()) + shift)))
    for names in (_MONTHS, _DAYS):
        for m in re.finditer(r"\b(?:" + "|".join(names) + r")\b", text):
            options.append((m.start(), m.end(), _pick(rng, [w for w in names if w != m.group()])))
    for m in re.finditer(r"\b(\d{1,2})(st|nd|rd|th)(?= century)", text):
        shift = int(rng.integers(1, 4))
        century = int(m.group(1)) - shift if int(m.group(1)) > shift else int(m.group(1)) + shift
        suffix = "th" if 10 <= century % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(century % 10, "th")
        options.append((m.start(), m.end(), f"{century}{suffix}"))
    for m in re.finditer(r"\b(?:" + "|".join(_ORDINALS) + r")(?= (?:century|day|week|month|year))", text, re.I):
        options.append((m.start(), m.end(), _like(m.group(), _pick(rng, [w for w in _ORDINALS if w != m.group().lower()]))))
    return [_pick(rng, options)] if options else None


def _unit(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    options: list[_Edit] = []
    for row in _UNITS:
        for plural in (True, False):
            units = row if plural else [w[:-1] if len(w) > 4 and w.endswith("s") else w for w in row]
            for m in re.finditer(r"(?<=[\w)])[ -]?\b(" + "|".join(map(re.escape, units)) + r")(?![\w/])|(?<=\d)[ ]?(°[CF])\b", text):
                group = 1 if m.group(1) else 2
                if m.group(group) in units and _COUNTED.search(text[: m.start()]):
                    options.append((m.start(group), m.end(group), _pick(rng, [w for w in units if w != m.group(group)])))
    for m in re.finditer(r"[$€£](?=\d)", text):
        options.append((m.start(), m.end(), _pick(rng, [s for s in "$€£" if s != m.group()])))
    return [_pick(rng, options)] if options else None


def names(text: str) -> list[Span]:
    """Spans that are names by their capitals: runs of capitalised words, not one that merely begins a sentence."""
    begins = {begin for begin, _ in sentence_spans(text)}
    found = []
    for m in _NAME.finditer(text):
        begin, end = m.span()
        words = m.group().split(" ")
        while words and words[0].lower() in _NOT_NAMES:
            begin += len(words[0]) + 1
            words = words[1:]
        opening = re.match(r"[\"'“‘(\[*#>\s-]*", text[max(begin - 3, 0) : begin])
        first = begin in begins or begin - len(opening.group() if opening else "") in begins
        if words and not (first and len(words) == 1) and " ".join(words).lower() not in _NOT_NAMES:
            found.append((begin, end))
    return found


def _name(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    here = names(text)
    if not here:
        return None
    begin, end = _pick(rng, here)
    old = text[begin:end]
    foreign = [other[b:e] for other in others for b, e in names(other) if other[b:e] not in text]
    if foreign and rng.random() < 0.5:
        return [(begin, end, _pick(rng, sorted(set(foreign))))]
    if " " in old:  # another surname: the first name stays, as generators err
        begin, old = begin + old.rindex(" ") + 1, old[old.rindex(" ") + 1 :]
    place = re.search(r"\b(?:in|at|from|near|to)\s+(?:[A-Z]\w+ )*$", text[:begin])
    return [(begin, end, _pick(rng, [w for w in (_PLACES if place else _PEOPLE) if w != old]))]


def _negation_dropped(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    options: list[_Edit] = []
    for pattern, new in _NEGATION_LOST.items():
        for m in re.finditer(pattern, text, re.I):
            if not any(begin <= m.start() < end for begin, end, _ in options) and not text[m.end() :].lower().startswith(
                (" only", " just")
            ):
                options.append((m.start(), m.end(), _like(m.group(), new)))
    return [_pick(rng, options)] if options else None


def _negation_inserted(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    places = [m.end() for pattern in (_AUXILIARY, _PERFECT) for m in pattern.finditer(text) if m.group() not in ("May", "Will")]
    if not places:
        return None
    at = _pick(rng, places)
    return [(at, at, " not")]


def _reversed_claim(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    table = {a: b for a, b in _REVERSALS} | {b: a for a, b in reversed(_REVERSALS)}
    return _exchanged(text, rng, table)


def _role_swap(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    """Two names of a sentence change places, where a verb or a preposition that has a direction stands between them."""
    here = names(text)
    pairs = []
    for (a, b), (c, d) in pairwise(here):
        between = text[b:c]
        same = text[a:b] == text[c:d] or re.search(r"[.!?;()\n]| (?:and|or|as well as) ", between)
        if not same and _LINK.search(between) and len(between) < 80:
            pairs.append((a, b, c, d))
    if not pairs:
        return None
    a, b, c, d = _pick(rng, pairs)
    return [(a, b, text[c:d]), (c, d, text[a:b])]


def _without(text: str, spans: Sequence[Span], at: int) -> list[_Edit]:
    """Remove a span together with the white space that parted it from the next, or from the one before if it is the last."""
    begin, end = spans[at]
    if at + 1 < len(spans):
        return [(begin, spans[at + 1][0], "")]
    return [(spans[at - 1][1] if at else begin, end, "")]


def _sentence_deleted(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    spans = sentence_spans(text)
    telling = [i for i, (begin, end) in enumerate(spans) if len(text[begin:end].split()) >= 4 or not text[begin:end].isascii()]
    return _without(text, spans, _pick(rng, telling)) if len(spans) > 1 and telling else None


def _sentence_invented(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    spans = sentence_spans(text)
    foreign = [
        other[begin:end]
        for other in others
        for begin, end in sentence_spans(other)
        if other[begin:end] not in text and end - begin >= 25 and other[end - 1] in ".!?。！？"
    ]
    if not spans or not foreign:
        return None
    at = spans[int(rng.integers(len(spans)))][1]
    return [(at, at, " " + _pick(rng, foreign))]


def _paragraphs(text: str) -> list[Span]:
    return [(m.start(), m.end()) for m in re.finditer(r"\S(?:.|\n(?!\s*\n))*", text)]


def _paragraph_deleted(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    spans = _paragraphs(text)
    telling = [i for i, (begin, end) in enumerate(spans) if end - begin >= 40]
    return _without(text, spans, _pick(rng, telling)) if len(spans) > 1 and telling else None


def _reordered(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    spans = sentence_spans(text)
    if len({text[begin:end] for begin, end in spans}) < 2:
        return None
    order = rng.permutation(len(spans))
    while all(text[slice(*spans[i])] == text[slice(*spans[k])] for k, i in enumerate(order)):
        order = rng.permutation(len(spans))
    return [(begin, end, text[slice(*spans[i])]) for (begin, end), i in zip(spans, order, strict=True) if (begin, end) != spans[i]]


def _word_shuffle(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    words = [m.span() for m in re.finditer(r"\S+", text)]
    if len({text[slice(*w)] for w in words}) < 3:
        return None
    order = rng.permutation(len(words))
    return [(begin, end, text[slice(*words[i])]) for (begin, end), i in zip(words, order, strict=True) if (begin, end) != words[i]]


def _truncated(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    words = [m.span() for m in re.finditer(r"\S+", text)]
    if len(words) < 6:
        return None
    keep = max(2, int(len(words) * rng.uniform(0.3, 0.7)))
    return [(words[keep - 1][1], len(text), "")]


def _hallucinated_clause(text: str, rng: np.random.Generator, others: Sequence[str]) -> list[_Edit] | None:
    ends = [end for begin, end in sentence_spans(text) if end - begin >= 20 and text[end - 1] in ".!"]
    if not ends:
        return None
    at = _pick(rng, ends) - 1
    return [(at, at, _pick(rng, _CLAUSES))]


_MAKERS: dict[str, tuple[Severity, _Maker]] = {
    "number": ("severe", _number),
    "name": ("severe", _name),
    "unit": ("severe", _unit),
    "date": ("severe", _date),
    "negation_dropped": ("severe", _negation_dropped),
    "negation_inserted": ("severe", _negation_inserted),
    "quantifier": ("mild", lambda text, rng, others: _exchanged(text, rng, _QUANTIFIERS)),
    "modality": ("mild", lambda text, rng, others: _exchanged(text, rng, _MODALITY)),
    "claim_reversed": ("severe", _reversed_claim),
    "role_swap": ("severe", _role_swap),
    "sentence_deleted": ("severe", _sentence_deleted),
    "sentence_invented": ("severe", _sentence_invented),
    "paragraph_deleted": ("severe", _paragraph_deleted),
    "hallucinated_clause": ("severe", _hallucinated_clause),
    "truncated": ("severe", _truncated),
    "word_shuffle": ("severe", _word_shuffle),
    "reordered": ("harmless", _reordered),
}
KINDS = tuple(_MAKERS)
