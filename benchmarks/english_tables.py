"""Write ``explorer/primitives/english.json`` from the installed spaCy and datatrove (run with an interpreter that has both).

    python benchmarks/english_tables.py > explorer/primitives/english.json

The file holds what spaCy's blank English tokenizer is made of (MIT licence, Explosion) and datatrove's punctuation sets
(Apache-2.0, Hugging Face): character classes as ranges of code points, units, currencies and the tokenizer's exceptions.
"""

import json
import re
import sys

import spacy
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from spacy.lang import char_classes as c
from spacy.symbols import ORTH
from spacy.tokenizer import Tokenizer
from spacy.util import compile_suffix_regex


def ranges(test) -> str:
    found: list[list[int]] = []
    for point in range(sys.maxunicode + 1):
        if test(chr(point)):
            if found and found[-1][1] == point - 1:
                found[-1][1] = point
            else:
                found.append([point, point])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in found)


def main() -> None:
    nlp = spacy.blank("en")
    tokenizer = nlp.tokenizer
    before_dot = r"(?<=[0-9{al}{e}{p}(?:{q})])\.".format(al=c.ALPHA_LOWER, e=r"%²\-\+", q=c.CONCAT_QUOTES, p=c.PUNCT)
    assert before_dot in nlp.Defaults.suffixes
    one = {
        "alpha": re.compile(f"[{c.ALPHA}]"),
        "lower": re.compile(f"[{c.ALPHA_LOWER}]"),
        "upper": re.compile(f"[{c.ALPHA_UPPER}]"),
        "quote": re.compile(f"[{c.CONCAT_QUOTES}]"),
        "icon": re.compile(f"[{c.CONCAT_ICONS}]"),
        "before_dot": re.compile(before_dot.removeprefix("(?<=").removesuffix(r")\.")),
        "suffix": compile_suffix_regex(nlp.Defaults.suffixes),
    }
    classes = {name: ranges(lambda ch, r=regex: r.fullmatch(ch) is not None) for name, regex in one.items()}
    classes["prefix"] = ranges(lambda ch: tokenizer.prefix_search(ch) is not None)
    classes["currency"] = ranges(lambda ch: re.fullmatch(c.CURRENCY, ch) is not None)
    classes["gopher_punctuation"] = ranges(PUNCTUATION_SET.__contains__)
    classes["terminal"] = ranges(TERMINAL_PUNCTUATION.__contains__)

    bare = Tokenizer(nlp.vocab, {}, tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer, None, tokenizer.url_match)
    exceptions, rejoined = [], []
    for text, pieces in sorted(tokenizer.rules.items()):
        if text != "".join(text.split()):
            continue  # white space never reaches the tokenizer's rules
        exceptions.append(" ".join(p[ORTH] for p in pieces))
        if tokenizer.find_prefix(text) or tokenizer.find_infix(text) or tokenizer.find_suffix(text):
            rejoined.append(" ".join(t.text for t in bare(text)))
    table = {
        "source": f"spaCy {spacy.__version__} blank('en'), MIT licence; datatrove punctuation sets, Apache-2.0",
        "classes": classes,
        "units": sorted(set(c.LIST_UNITS)),
        "currencies": sorted(x.replace("\\", "") for x in c.LIST_CURRENCY if len(x.replace("\\", "")) > 1),
        "exceptions": exceptions,
        "rejoined": rejoined,
    }
    json.dump(table, sys.stdout, ensure_ascii=True, indent=0)
    print()


if __name__ == "__main__":
    main()
