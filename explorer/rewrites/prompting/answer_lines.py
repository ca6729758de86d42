"""Lines of answers, as a batch service or a program of one's own writes them, collected into one table."""

from __future__ import annotations

import json
import os
import re
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from explorer.errors import CorpusError
from explorer.models.sampled import finish_of
from explorer.rewrites.prompting.written import Piece

EXAMPLES = 5
ROWS = 4096  # answers handled at once
_ID = re.compile(r"([0-9a-f]{16})-(\d{1,18})-(\d{1,9})")
_ANSWERS = pa.schema(
    [
        ("seq", pa.int64()),
        ("custom_id", pa.string()),
        ("key", pa.string()),
        ("row", pa.int64()),
        ("k", pa.int64()),
        ("answer", pa.string()),
        ("finish", pa.string()),
        ("problem", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
    ]
)


def read_line(line: str) -> tuple[str, Piece, str]:
    """(custom_id, what came, the model that gave it) of a line of answers.

    Raises:
        ValueError: it is none, and why.

    """
    said = json.loads(line)
    name = said.get("custom_id") if isinstance(said, dict) else None
    if not isinstance(name, str):
        raise ValueError("it has no custom_id")
    if not {"response", "text", "error"} & set(said):
        raise ValueError("it has neither response nor text")
    if problem := _message(said.get("error")):
        return name, Piece(None, "", problem), ""
    if "response" not in said:
        text, model = said.get("text"), said.get("model")
        piece = Piece(text, finish_of(said)) if isinstance(text, str) else Piece(None, "", "the answer is no text")
        return name, piece, model if isinstance(model, str) else ""
    response: dict[str, Any] = said["response"] if isinstance(said["response"], dict) else {}
    status = response.get("status_code", 200)
    body: Any = response.get("body")
    if status != 200:
        problem = _message(body.get("error") if isinstance(body, dict) else body)
        return name, Piece(None, "", f"HTTP {status}{f' ({problem})' if problem else ''}"), ""
    try:
        choice = body["choices"][0]
        text = choice["message"]["content"]
    except (TypeError, KeyError, IndexError):
        return name, Piece(None, "", "the response is no chat completion"), ""
    usage = body.get("usage")
    used = [usage.get(n) if isinstance(usage, dict) else None for n in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (n if type(n) is int and 0 <= n < 2**63 else None for n in used)
    model = body.get("model")
    return name, Piece(text if isinstance(text, str) else "", finish_of(choice), "", prompt, completion), str(model) if model else ""


def _message(error: Any) -> str:
    """What an error says, in a line; empty where there is none."""
    if error in (None, "", {}):
        return ""
    words = (error.get("message") or error.get("code") or error) if isinstance(error, dict) else error
    return " ".join(str(words).split())[:200] or "error"


class Seen(NamedTuple):
    """What was read: models that answered, lines that are no answer (some of them, and how many)."""

    models: Tally[str]
    unreadable: list[str]
    unreadable_lines: int


def collect(files: Sequence[Path], into: Path, on_lines: Callable[[int], None]) -> Seen:
    """Put every answer into one file, in the order it came."""
    models: Tally[str] = Tally()
    unreadable: list[str] = []
    bad = seq = 0
    rows: list[dict[str, Any]] = []
    with pq.ParquetWriter(into, _ANSWERS, compression="zstd") as writer:
        for path in files:
            try:
                with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
                    for number, line in enumerate(file, 1):
                        if not line.strip():
                            continue
                        try:
                            name, piece, model = read_line(line)
                        except (ValueError, RecursionError) as error:
                            bad += 1
                            if len(unreadable) < EXAMPLES:
                                unreadable.append(f"{path.name} line {number}: {str(error) or 'no JSON'}")
                            continue
                        if model:
                            models[model] += 1
                        rows.append({"seq": seq, **_place(name), **{k: v for k, v in piece._asdict().items() if k in _ANSWERS.names}})
                        seq += 1
                        if len(rows) >= ROWS:
                            writer.write_table(pa.Table.from_pylist(_clean(rows), schema=_ANSWERS))
                            rows = []
                            on_lines(seq)
            except OSError as error:
                raise CorpusError(f"{str(path)!r} cannot be read: {error.strerror or error}. Check the file.") from error
        writer.write_table(pa.Table.from_pylist(_clean(rows), schema=_ANSWERS))
    return Seen(models, unreadable, bad)


def _place(name: str) -> dict[str, Any]:
    found = _ID.fullmatch(name)
    return {"custom_id": name} | ({"key": found[1], "row": int(found[2]), "k": int(found[3])} if found else {})


def _clean(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # JSON may spell lone surrogates, which are no UTF-8
    return [{k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in row.items()} for row in rows]


def answer_files(answers: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Files of answers: as named, those of a folder that end in .jsonl, or of a glob.

    Raises:
        CorpusError: one is not there.

    """
    named = [answers] if isinstance(answers, str | os.PathLike) else list(answers)
    found: list[Path] = []
    for name in named:
        path = Path(name)
        if path.is_file():
            found.append(path)
            continue
        here = sorted(path.glob("*.jsonl") if path.is_dir() else path.parent.glob(path.name) if any(c in path.name for c in "*?[") else [])
        if not here:
            raise CorpusError(
                f"{str(name)!r} is no file of answers. It is a file of JSON lines, a folder that holds *.jsonl, or a glob. Check the path."
            )
        found += here
    if not found:
        raise CorpusError("No file of answers was named. It is a file of JSON lines, a folder that holds *.jsonl, or a glob. Name one.")
    return list(dict.fromkeys(found))
