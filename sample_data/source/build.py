"""Assemble the sample corpus from the originals beside this file: ``python sample_data/source/build.py``.

Reads ``originals/*.jsonl`` (clean documents), ``defects.jsonl`` (documents that are defective as written), ``rewrites_*.jsonl``,
``edu_ratings.json`` (by hand) and ``edu_scores.json`` (by ``rate_edu.py``); derives the defects that are changes of an original (near-duplicates, recognition noise, ...) from fixed seeds.
Writes ``corpus/*.parquet``, ``rewrites.parquet`` and the truth about both: ``planted.json`` and ``planted_rewrites.json``.
Nothing depends on the clock, the machine or the order of a folder, so that the same sources give the same bytes with the same pyarrow.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SOURCE = Path(__file__).resolve().parent
ROWS_A_GROUP = 96
FILES = {
    "web": ("web", "forum", "news", "recipes"),
    "reference": ("encyclopedia", "science_notes", "python_docs", "legal_licences"),
    "books": ("books", "speeches"),
    "code": ("code",),
}
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "text": pa.string(),
        "source": pa.string(),
        "language": pa.string(),
        "date": pa.date32(),
        "url": pa.string(),
        "edu_rating": pa.int8(),
        "edu_score": pa.float32(),
    }
)
PAIR_SCHEMA = pa.schema(
    {
        "pair_id": pa.string(),
        "id": pa.string(),
        "rewrite": pa.string(),
        "method": pa.string(),
        "style": pa.string(),
        "prompt_id": pa.string(),
        "generator_model": pa.string(),
        "seed": pa.int64(),
    }
)
FIRST_DAY, LAST_DAY = date(2013, 1, 1), date(2025, 9, 30)
# What a reader of scanned print confuses; recognition noise is drawn from here.
CONFUSED = {
    "e": "c",
    "c": "e",
    "o": "0",
    "l": "1",
    "i": "l",
    "h": "b",
    "rn": "m",
    "m": "rn",
    "s": "5",
    "t": "f",
    "u": "ii",
    "a": "o",
    "n": "ii",
}

Document = dict[str, Any]


def read_jsonl(path: Path) -> list[Document]:
    """Objects of a JSON Lines file, in order."""
    # Not splitlines(): a text may hold line separators such as U+2028, which JSON does not escape.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def digest(text: str, digits: int = 8) -> str:
    """The first hex digits of SHA-256: an order and a number that no library version changes."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def finish(document: Document, ratings: dict[str, int]) -> Document:
    """Fill in what a crawler would have written: id, date and address, all derived from the document's key."""
    key, source = document["key"], document["source"]
    days = int(digest("date:" + key), 16) % ((LAST_DAY - FIRST_DAY).days + 1)
    when = date.fromisoformat(document["date"]) if document.get("date") else FIRST_DAY + timedelta(days=days)
    return {
        "key": key,
        "id": f"{source.replace('_', '-')}-{digest('id:' + key, 6)}",
        "text": document["text"],
        "source": source,
        "language": document.get("language"),
        "date": when,
        "url": document.get("url") or f"https://{source.replace('_', '-')}.example/{when.year}/{digest('url:' + key, 6)}",
        "edu_rating": document.get("edu", ratings.get(key)),
    }


def change_words(text: str, share: float, seed: int) -> tuple[str, list[tuple[str, str]]]:
    """Replace ``share`` of the words by other words of the same text; white space stays as it is.

    Returns:
        The changed text, and the (old, new) words in reading order. Every replacement differs from the word it replaces.
    """
    choose = random.Random(seed)
    pieces = re.split(r"(\s+)", text)  # words at even places, white space between them
    words = [i for i in range(0, len(pieces), 2) if pieces[i]]
    changed = []
    for i in sorted(choose.sample(words, max(1, round(share * len(words))))):
        new = choose.choice([pieces[j] for j in words if pieces[j] != pieces[i]])
        changed.append((pieces[i], new))
        pieces[i] = new
    return "".join(pieces), changed


def scan_badly(text: str, share: float, seed: int) -> tuple[str, int]:
    """Confuse ``share`` of the confusable letters, as character recognition does; returns the text and how many were changed."""
    choose, out, count, i = random.Random(seed), [], 0, 0
    while i < len(text):
        step = 2 if text[i : i + 2] in CONFUSED else 1
        piece = text[i : i + step]
        if piece in CONFUSED and choose.random() < share:
            piece, count = CONFUSED[piece], count + 1
        out.append(piece)
        i += step
    return "".join(out), count


def derived_defects(originals: list[Document]) -> list[Document]:
    """Documents made from originals by a stated change; ``kind``, ``note`` and ``of`` (the original's key) say which."""
    by_key = {document["key"]: document for document in originals}
    ordered = sorted(originals, key=lambda document: digest("pick:" + document["key"], 16))

    def pick(count: int, salt: str, **want: Any) -> list[Document]:
        fits = [d for d in ordered if all(d.get(k) == v for k, v in want.items()) and 300 <= len(d["text"]) <= 4000]
        return sorted(fits, key=lambda d: digest(salt + d["key"], 16))[:count]

    out: list[Document] = []

    def plant(base: Document, kind: str, name: str, text: str, note: str, **changes: Any) -> None:
        copy = {k: v for k, v in base.items() if k not in ("url", "date") and (k != "edu" or kind == "exact_duplicate")}
        out.append({**copy, "key": f"{kind}-{name}-{base['key']}", "text": text, "kind": kind, "note": note, "of": base["key"], **changes})

    for source in ("speeches", "books", "python_docs", "encyclopedia", "news", "web"):
        for base in pick(2, "near", source=source, language="en"):
            for percent in (2, 5, 10):
                text, changed = change_words(base["text"], percent / 100, seed=percent)
                words = " ".join(f"{old}→{new}" for old, new in changed[:6]).replace("\n", " ")
                plant(base, "near_duplicate", f"{percent:02d}", text, f"{percent} % of the words replaced ({len(changed)}): {words}")
    for base in pick(10, "exact", language="en"):
        plant(base, "exact_duplicate", "a", base["text"], "the same bytes under another id, date and address")
    for base in pick(10, "exact", language="en")[:2]:
        plant(base, "exact_duplicate", "b", base["text"], "a third copy of the same bytes")
    for number, base in enumerate(pick(8, "scan", source="books")):
        share = (0.03, 0.06, 0.12, 0.25)[number % 4]
        text, count = scan_badly(base["text"], share, seed=number)
        plant(
            base,
            "ocr_noise",
            f"{number}",
            text,
            f"{count} letters confused as by character recognition ({share:.0%} of the confusable ones)",
        )
    for language in ("de", "fr", "es"):
        for base in pick(2, "mojibake", language=language) or [d for d in ordered if d.get("language") == language][:2]:
            text = base["text"].encode().decode("cp1252", errors="replace")
            plant(base, "mojibake", language, text, "UTF-8 bytes read as Windows-1252")
    for base in pick(4, "cut", source="news"):
        text = base["text"][: int(len(base["text"]) * 0.45)].rsplit(" ", 1)[0]
        plant(base, "truncated", "cut", text, f"cut after {len(text)} of {len(base['text'])} characters, in the middle of a sentence")
    for base in pick(3, "caps", source="forum"):
        plant(base, "all_caps", "caps", base["text"].upper(), "every letter a capital")
    assert all(d["of"] in by_key for d in out)
    return out


def mislabelled(originals: list[Document]) -> list[Document]:
    """The originals, a dozen of them under a wrong language, as crawlers that trust the page's own mark-up label them."""
    foreign = [d["key"] for d in originals if d.get("language") not in ("en", None) and d["source"] != "books"]
    english = [d["key"] for d in originals if d.get("language") == "en" and d["source"] in ("web", "forum")]
    chosen = [sorted(keys, key=lambda key: digest("label:" + key, 16))[:count] for keys, count in ((foreign, 9), (english, 3))]
    claims = dict(zip(sorted(chosen[0]), ["en", "nl", "en", "pt", "en", "ko", "en", "it", "en"], strict=True))
    claims |= dict(zip(sorted(chosen[1]), ["de", "fr", "es"], strict=True))
    out = []
    for document in originals:
        claim, true = claims.get(document["key"]), document.get("language")
        if claim and claim != true:
            note = f"claimed {claim!r}, written in {true!r}"
            document = {**document, "language": claim, "kind": "wrong_language", "note": note}
        out.append(document)
    return out


def corpus() -> tuple[list[Document], dict[str, Document]]:
    """All documents in their final order, and what is planted by id."""
    originals = [document for path in sorted((SOURCE / "originals").glob("*.jsonl")) for document in read_jsonl(path)]
    defects = read_jsonl(SOURCE / "defects.jsonl") + derived_defects(originals)
    documents, planted = [], {}
    ratings = json.loads((SOURCE / "edu_ratings.json").read_text(encoding="utf-8"))
    ids = {document["key"]: finish(document, ratings)["id"] for document in originals}
    for document in sorted(mislabelled(originals) + defects, key=lambda document: digest("order:" + document["key"], 16)):
        row = finish(document, ratings)
        documents.append(row)
        if "kind" in document:
            planted[row["id"]] = {"kind": document["kind"], "note": document["note"]}
            if "of" in document:
                planted[row["id"]]["of"] = ids[document["of"]]
    scores = json.loads((SOURCE / "edu_scores.json").read_text(encoding="utf-8"))
    for row in documents:
        row["edu_score"] = scores.get(row["id"])
    repeated = sorted(key for key, count in Counter(row["id"] for row in documents).items() if count > 1)
    if repeated:
        raise ValueError(f"Ids {repeated} are given twice. Ids must be unique. Change a key in originals/ or defects.jsonl.")
    return documents, planted


def apply_edits(text: str, edits: list[dict[str, str]]) -> str:
    """Make the planted changes; each ``old`` must occur exactly once, so that the recorded span is unambiguous."""
    for edit in edits:
        if text.count(edit["old"]) != 1:
            raise ValueError(f"{edit['old']!r} occurs {text.count(edit['old'])} times. A planted span must occur once. Quote more of it.")
        text = text.replace(edit["old"], edit["new"])
    return text


def pairs(documents: list[Document]) -> tuple[list[Document], dict[str, Document]]:
    """Rewrites with their ids in the corpus, and the truth about each by pair id."""
    ids = {row["key"]: row["id"] for row in documents}
    rows, truth = [], {}

    def add(key: str, of: str, rewrite: str, about: Document, method: str = "hand", **columns: Any) -> None:
        blank = {"style": None, "prompt_id": None, "generator_model": None, "seed": None}
        row = {"pair_id": f"pair-{digest('pair:' + key, 6)}", "id": ids[of], "rewrite": rewrite, "method": method, **blank, **columns}
        rows.append(row)
        truth[row["pair_id"]] = {"id": row["id"], **about}

    for written in read_jsonl(SOURCE / "rewrites_hand.jsonl"):
        add("hand:" + written["key"], written["key"], written["rewrite"], {"label": "faithful"}, style=written["style"])
        twin = written.get("twin")
        if twin:
            spans = [{"faithful": edit["old"], "planted": edit["new"]} for edit in twin["edits"]]
            about = {"label": "unfaithful", "kind": twin["kind"], "spans": spans}
            add("twin:" + written["key"], written["key"], apply_edits(written["rewrite"], twin["edits"]), about, style=written["style"])
    for flagged in read_jsonl(SOURCE / "rewrites_flagged.jsonl"):
        about = {"label": flagged["label"], "kind": flagged["kind"], "note": flagged["note"]}
        add(f"flag:{flagged['kind']}:{flagged['key']}", flagged["key"], flagged["rewrite"], about, style=flagged.get("style"))
    for made in read_jsonl(SOURCE / "rewrites_generated.jsonl"):
        about = {"label": made["label"], "kind": "generated", "note": made["note"]}
        columns = {name: made[name] for name in ("method", "style", "prompt_id", "generator_model", "seed")}
        add(f"made:{made['key']}:{made['prompt_id']}:{made['seed']}", made["key"], made["rewrite"], about, **columns)
    rows.sort(key=lambda row: row["pair_id"])
    return rows, dict(sorted(truth.items()))


def write(rows: list[Document], schema: pa.Schema, path: Path, rows_a_group: int) -> None:
    """One Parquet file: zstd, page index, and nothing that differs from one machine to the next."""
    table = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)
    pq.write_table(table, path, row_group_size=rows_a_group, compression="zstd", compression_level=12, write_page_index=True)


def build(out: Path) -> None:
    """Write the corpora and the truth about them into ``out``."""
    documents, planted = corpus()
    rewrites, truth = pairs(documents)
    (out / "corpus").mkdir(parents=True, exist_ok=True)
    for name, sources in FILES.items():
        write([row for row in documents if row["source"] in sources], SCHEMA, out / "corpus" / f"{name}.parquet", ROWS_A_GROUP)
    write(rewrites, PAIR_SCHEMA, out / "rewrites.parquet", ROWS_A_GROUP)
    for name, facts in (("planted", dict(sorted(planted.items()))), ("planted_rewrites", truth)):
        (out / f"{name}.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    build(SOURCE.parent)
