"""The word tokenizer in plain Python and ``re``, as spaCy's own source has it: the twin that the kernel is held to."""

import json
import re
from pathlib import Path

import explorer.primitives.english as english

STORED = json.loads(Path(english.__file__).with_name("english.json").read_text("ascii"))
SETS = {}
for name, ranges in STORED["classes"].items():
    parts = (r.partition("-") for r in ranges.split())
    SETS[name] = "".join(f"\\U{int(a, 16):08x}-\\U{int(b or a, 16):08x}" for a, _, b in parts)
EXCEPTIONS = {"".join(line.split(" ")): line.split(" ") for line in STORED["exceptions"]}
REJOINED = {tuple(line.split(" ")) for line in STORED["rejoined"]}
UNITS = "|".join(map(re.escape, STORED["units"]))
CURRENCIES = f"[{SETS['currency']}]|" + "|".join(map(re.escape, STORED["currencies"]))
A, L, U, Q = SETS["alpha"], SETS["lower"], SETS["upper"], SETS["quote"]
PREFIX = re.compile(rf"\.\.+|\+(?![0-9])|(?!\+)[{SETS['prefix']}]|" + "|".join(map(re.escape, STORED["currencies"])))
SUFFIX = re.compile(
    rf"(?:[{SETS['suffix']}]|\.\.+|'s|'S|’s|’S|(?<=[0-9])\+|(?<=[0-9])(?:{CURRENCIES})|(?<=[0-9])(?:{UNITS})"
    rf"|(?<=[{SETS['before_dot']}])\.|(?<=[{U}][{U}])\.)\Z"
)
INFIX = re.compile(
    rf"\.\.+|…|[{SETS['icon']}]|(?<=[0-9])[+\-*^](?=[0-9-])|(?<=[{L}{Q}])\.(?=[{U}{Q}])|(?<=[{A}]),(?=[{A}])"
    rf"|(?<=[{A}0-9])(?:-|–|—|--|---|——|~)(?=[{A}])|(?<=[{A}0-9])[:<>=/](?=[{A}])"
)
URL = re.compile(
    r"(?:(?:[\w\+\-\.]{2,})://)?(?:\S+(?::\S*)?@)?(?:"
    r"(?!(?:10|127)(?:\.\d{1,3}){3})(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})(?!172\.(?:1[6-9]|2\d|3[0-1])(?:\.\d{1,3}){2})"
    r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}(?:\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4]))"
    r"|(?:(?:[A-Za-z0-9\u00a1-\uffff][A-Za-z0-9\u00a1-\uffff_-]{0,62})?[A-Za-z0-9\u00a1-\uffff]\.)+"
    rf"(?:[{L}]{{2,63}}))(?::[0-9]{{2,5}})?(?:[/?#]\S*)?\Z"
)


def _pieces(text: str) -> list[str]:
    prefixes, suffixes, last = [], [], -1
    while text and len(text) != last and text not in EXCEPTIONS:
        last = len(text)
        found = PREFIX.match(text)
        p = found.end() if found else 0
        if p and text[p:] in EXCEPTIONS:
            prefixes.append(text[:p])
            text = text[p:]
            break
        found = SUFFIX.search(text[p:])
        s = len(found[0]) if found else 0
        if s and text[:-s] in EXCEPTIONS:
            suffixes.append(text[-s:])
            text = text[:-s]
            break
        if p:
            prefixes.append(text[:p])
        if s:
            suffixes.append(text[-s:])
        text = text[p : len(text) - s]
    middle = []
    if text in EXCEPTIONS:
        middle = EXCEPTIONS[text]
    elif text and URL.match(text):
        middle = [text]
    elif text:
        start = 0
        for found in INFIX.finditer(text):
            if found.start() == 0:
                continue
            middle += [text[start : found.start()], found[0]]
            start = found.end()
        middle = [m for m in [*middle, text[start:]] if m]
    return _rejoin([*prefixes, *middle, *reversed(suffixes)])


def _rejoin(tokens: list[str]) -> list[str]:
    blocked, chosen = set(), {}
    for n in range(len(tokens), 1, -1):
        for i in range(len(tokens) - n + 1):
            if tuple(tokens[i : i + n]) in REJOINED:
                if i not in blocked and i + n - 1 not in blocked:
                    chosen[i] = n
                blocked.update(range(i, i + n))
    out, i = [], 0
    while i < len(tokens):
        n = chosen.get(i, 1)
        out += EXCEPTIONS["".join(tokens[i : i + n])] if i in chosen else [tokens[i]]
        i += n
    return out


def tokenise(text: str) -> list[str]:
    return [token for piece in text.split() for token in _pieces(piece)]
