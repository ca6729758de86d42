"""How often our Gopher and FineWeb signals decide like datatrove's filters; writes the table in ``docs/agreement.md``.

    python benchmarks/agreement.py FILES... [--peer-python /path/with/datatrove/bin/python] [--out docs/agreement.md]

FILES are Parquet with a ``text`` column (and ``source``, if present, is only counted). Every document is judged as it is and once
more after a seeded mutation that pushes it towards the limits (repeated lines and phrases, bullets, ellipses, number signs,
digits for words, truncation). datatrove runs under ``--peer-python`` on the same documents, in a process of its own.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# (signal, the document is dropped when the value is <, > or either side of the limit, reason datatrove gives), in its order.
RULES = {
    "GopherQualityFilter": [
        ("gopher_n_words", "<", 50, "gopher_short_doc"),
        ("gopher_n_words", ">", 100000, "gopher_long_doc"),
        ("gopher_mean_word_len", "<", 3, "gopher_below_avg_threshold"),
        ("gopher_mean_word_len", ">", 10, "gopher_above_avg_threshold"),
        ("gopher_hash_ratio", ">", 0.1, "gopher_too_many_hashes"),
        ("gopher_ellipsis_ratio", ">", 0.1, "gopher_too_many_ellipsis"),
        ("gopher_bullet_line_frac", ">", 0.9, "gopher_too_many_bullets"),
        ("gopher_ellipsis_line_frac", ">", 0.3, "gopher_too_many_end_ellipsis"),
        ("gopher_alpha_word_frac", "<", 0.8, "gopher_below_alpha_threshold"),
        ("gopher_stop_words", "<", 2, "gopher_enough_stop_words"),
    ],
    "GopherRepetitionFilter": [
        ("rep_dup_para_frac", ">", 0.3, "dup_para_frac"),
        ("rep_dup_para_char_frac", ">", 0.2, "dup_para_char_frac"),
        ("rep_dup_line_frac", ">", 0.3, "dup_line_frac"),
        ("rep_dup_line_char_frac", ">", 0.2, "dup_line_char_frac"),
        *((f"rep_top{n}_char_frac", ">", limit, f"top_{n}_gram") for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16))),
        *((f"rep_dup{n}_char_frac", ">", round(0.2 - n / 100, 2), f"duplicated_{n}_n_grams") for n in range(5, 11)),
    ],
    "FineWebQualityFilter": [
        ("fw_line_punct_ratio", "<", 0.12, "line_punct_ratio"),
        ("fw_short_line_ratio", ">", 0.67, "short_line_ratio"),
        ("fw_char_dup_ratio", ">", 0.01, "char_dup_ratio"),
        ("fw_newline_word_ratio", ">", 0.3, "list_ratio"),
    ],
}


def peer(source: str, target: str) -> None:
    """The datatrove side: every metric by the filters' own formulas and helpers, every verdict by the filters themselves."""
    import re

    from datatrove.data import Document
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
    from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
    from datatrove.pipeline.filters.gopher_repetition_filter import find_all_duplicate, find_duplicates, find_top_duplicate, get_n_grams
    from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_words

    filters = [GopherQualityFilter(), GopherRepetitionFilter(), FineWebQualityFilter()]
    nan = float("nan")
    rows = []
    for text in pq.read_table(source, columns=["text"])["text"].to_pylist():
        words = split_into_words(text)
        kept = [w for w in words if any(c not in PUNCTUATION_SET for c in w)]
        lines, n = text.splitlines(), len(words)
        row = {
            "gopher_n_words": len(kept),
            "gopher_mean_word_len": float(np.mean([len(w) for w in kept])) if kept else nan,
            "gopher_hash_ratio": text.count("#") / n if n else nan,
            "gopher_ellipsis_ratio": (text.count("...") + text.count("…")) / n if n else nan,
            "gopher_bullet_line_frac": sum(s.lstrip().startswith(("•", "-")) for s in lines) / len(lines) if lines else nan,
            "gopher_ellipsis_line_frac": sum(s.rstrip().endswith(("...", "…")) for s in lines) / len(lines) if lines else nan,
            "gopher_alpha_word_frac": sum(any(c.isalpha() for c in w) for w in words) / n if n else nan,
            "gopher_stop_words": len(set(STOP_WORDS) & set(words)),
        }
        paragraphs, segments, size = re.split(r"\n{2,}", text.strip()), re.split("\n+", text), len(text)
        for name, items in (("para", paragraphs), ("line", segments)):
            count, chars = find_duplicates(items)
            row[f"rep_dup_{name}_frac"] = count / len(items) if size else nan
            row[f"rep_dup_{name}_char_frac"] = chars / size if size else nan
        for k in (2, 3, 4):
            grams = get_n_grams(words, k)
            row[f"rep_top{k}_char_frac"] = find_top_duplicate(grams) / size if grams else nan
        for k in range(5, 11):
            row[f"rep_dup{k}_char_frac"] = find_all_duplicate(words, k) / size if size else nan
        filled = [s for s in text.split("\n") if s.strip() != ""]
        stops = tuple(TERMINAL_PUNCTUATION)
        row["fw_line_punct_ratio"] = sum(s.endswith(stops) for s in filled) / len(filled) if filled else nan
        row["fw_short_line_ratio"] = sum(len(s) <= 30 for s in filled) / len(filled) if filled else nan
        row["fw_char_dup_ratio"] = find_duplicates(filled)[1] / len(text.replace("\n", "")) if filled else nan
        row["fw_newline_word_ratio"] = text.count("\n") / n if n else nan
        for judge in filters:
            answer = judge.filter(Document(text=text, id="0")) if n else (False, "empty")
            row[type(judge).__name__] = "kept" if answer is True else answer[1]
        rows.append(row)
    pq.write_table(pa.Table.from_pylist(rows), target)


def mutated(text: str, rng: random.Random) -> str:
    """The text pushed towards one of the limits by a random amount."""
    lines, kind, share = text.split("\n"), rng.randrange(9), rng.random()
    if kind == 0:
        return "\n".join(x for line in lines for x in ([line, line] if rng.random() < share * 0.5 else [line]))
    if kind == 1:
        words = text.split(" ")
        phrase = words[: rng.randrange(3, 12)]
        return " ".join(x for word in words for x in ([word, *phrase] if rng.random() < share * 0.05 else [word]))
    if kind == 2:
        return "\n".join("- " + line if rng.random() < 0.8 + 0.2 * share else line for line in lines)
    if kind == 3:
        return "\n".join(line + "..." if rng.random() < 0.6 * share else line for line in lines)
    if kind == 4:
        return " ".join(word + rng.choice([" #", "...", " …"]) if rng.random() < 0.3 * share else word for word in text.split(" "))
    if kind == 5:
        return " ".join(rng.choice(["1,234", "--", "17", "(4)"]) if rng.random() < 0.4 * share else word for word in text.split(" "))
    if kind == 6:
        return text[: int(120 + 600 * share)]
    if kind == 7:
        return " ".join(word + "\n" if rng.random() < 0.5 * share else word for word in text.split(" "))
    blocks = text.split("\n\n")
    return "\n\n".join(x for b in blocks for x in ([b, b] if rng.random() < 0.6 * share else [b]))


def fails(values: np.ndarray, side: str, limit: float | np.float32) -> np.ndarray:
    """Where a rule drops; undefined never fails. Our values are compared in float32, as they are stored."""
    return values < limit if side == "<" else values > limit


def ours(texts: list[str]) -> dict[str, np.ndarray]:
    from explorer.primitives.batch import Batch
    from explorer.registry import families

    batch = Batch.of(texts)
    return {
        name: np.asarray(v) for f in ("gopher_quality", "gopher_repetition", "fineweb") for name, v in families()[f].compute(batch).items()
    }


def table(texts: list[str], mine: dict[str, np.ndarray], theirs: pa.Table) -> list[str]:
    """Markdown rows: one a rule, and one a filter."""
    out = ["| rule | drops (datatrove) | same verdict | largest difference | mean difference |", "|---|---|---|---|---|"]
    for name, rules in RULES.items():
        reasons = np.full(len(texts), "kept", dtype=object)
        for signal, side, limit, reason in reversed(rules):
            value = mine[signal].astype(np.float32)
            reference = theirs[signal].to_numpy().astype(np.float64)
            wrong, right = fails(value, side, np.float32(limit)), fails(reference, side, limit)
            reasons[wrong] = reason
            both = ~np.isnan(value) & ~np.isnan(reference)
            difference = np.abs(value[both].astype(np.float64) - reference[both])
            out.append(
                f"| `{signal}` {side} {limit:g} | {int(right.sum())} | {np.mean(wrong == right):.4%} | {difference.max(initial=0):.2e} | {difference.mean():.2e} |"
            )
        if name != "GopherQualityFilter":
            key = "fw_line_punct_ratio" if name == "FineWebQualityFilter" else "rep_dup_line_frac"
            reasons[np.isnan(mine[key])] = "empty"
        reference = np.array(theirs[name].to_pylist(), dtype=object)
        keep = np.mean((reasons == "kept") == (reference == "kept"))
        out.append(
            f"| **{name}**: keep or drop | {int((reference != 'kept').sum())} | **{keep:.4%}** | same first reason: {np.mean(reasons == reference):.4%} | |"
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--out", default="docs/agreement.md")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        peer(*arguments.files)
        return
    real = [t for f in arguments.files for t in pq.read_table(f, columns=["text"])["text"].to_pylist() if t and t.strip()]
    rng = random.Random(17)
    sets = {
        "Real documents": real,
        "The same documents, each pushed towards a limit": [t for t in (mutated(t, rng) for t in real) if t.strip()],
    }
    page = [
        "# Agreement with datatrove",
        "",
        "`python benchmarks/agreement.py` recomputes this page: the signals of the families `gopher_quality`, `gopher_repetition` and",
        "`fineweb` beside datatrove 0.10.1's filters (spaCy blank English tokenizer) on the same documents. A verdict is one rule's keep",
        "or drop at datatrove's default limit, our value in float32 as it is stored; differences are absolute, over documents where both are defined.",
        "`rep_dup…` can differ where datatrove, which joins an n-gram's tokens without a space, takes '1 11' and '11 1' for the same.",
    ]
    for title, texts in sets.items():
        with tempfile.TemporaryDirectory() as folder:
            source, target = str(Path(folder) / "texts.parquet"), str(Path(folder) / "peer.parquet")
            pq.write_table(pa.table({"text": texts}), source)
            subprocess.run([arguments.peer_python, __file__, "--peer", source, target], check=True)
            rows = table(texts, ours(texts), pq.read_table(target))
        page += ["", f"## {title}", "", f"{len(texts):,} documents, {sum(len(t.encode()) for t in texts) / 1e6:.1f} MB.", "", *rows]
        print("\n".join(page[-len(rows) - 3 :]), flush=True)
    Path(arguments.out).write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
