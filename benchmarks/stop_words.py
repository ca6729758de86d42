"""Write explorer/embeddings/stop_words.json from spaCy's lists (MIT licence): python benchmarks/stop_words.py

Run with an interpreter that has spaCy. Languages written without spaces are cut into pairs of characters by the titles, so of their
words only those of one or two characters are of use.
"""

import importlib
import json
import pkgutil
from pathlib import Path

import spacy.lang

TARGET = Path(__file__).parent.parent / "explorer" / "embeddings" / "stop_words.json"
WITHOUT_SPACES = {"zh", "ja", "th"}


def main() -> None:
    found = {}
    for module in pkgutil.iter_modules(spacy.lang.__path__):
        try:
            words = importlib.import_module(f"spacy.lang.{module.name}.stop_words").STOP_WORDS
        except ImportError:
            continue
        kept = {part for word in words for part in word.lower().replace("’", "'").split() if any(c.isalpha() for c in part)}
        kept = {word for word in kept if module.name not in WITHOUT_SPACES or len(word) <= 2}
        if kept:
            found[module.name] = sorted(kept)
    TARGET.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
    print(f"{sum(map(len, found.values())):,} words of {len(found)} languages, {TARGET.stat().st_size / 1e3:,.0f} kB")


if __name__ == "__main__":
    main()
