"""JSON Lines to Parquet, once: streamed, whole files or none, and no line lost without a word.

Every input is read twice: the first time for its columns' types, its size and its bad lines, the second time to write. So a column
has one type in a file however late a value shows it, and memory holds one block of lines.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.workspace import write_atomically, write_text
from explorer.errors import CorpusError

ENDINGS = tuple(f".{kind}{packed}" for kind in ("jsonl", "ndjson", "json") for packed in ("", ".gz", ".zst", ".zstd", ".bz2"))
SHARD = 512 * 1024**2  # bytes of JSON Lines in one Parquet file, about
BLOCK = 25_000  # documents of a row group unless told otherwise
BLOCK_BYTES = 64 * 1024**2  # a row group of long documents is cut earlier, so that memory stays bounded
EXACT_IN_FLOAT64 = 2**53


@dataclass(frozen=True)
class Rejected:
    """A line that is no JSON object: where, why, and its bytes."""

    path: str
    line: int
    reason: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True)
class Import:
    """What was written, in the order of the inputs, and what was not.

    Attributes:
        files: Parquet files.
        rows: documents in them.
        rejected: lines left out; they are also in ``NAME.rejected.txt`` beside the files.
        notes: what was changed on the way (a column of mixed types kept as JSON text, broken characters replaced).

    """

    files: tuple[Path, ...]
    rows: int
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]


def import_jsonl(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    rows_per_group: int = BLOCK,
    shard_bytes: int = SHARD,
    overwrite: bool = False,
) -> Import:
    """Convert JSON Lines files to Parquet files that open and browse fast (zstd, page index, small row groups).

    One object a line is one document; its keys are columns, missing keys null. Numbers, booleans, texts, lists and objects keep
    their type; texts stay texts even when they look like dates. A column whose values have no common type is kept as text, numbers and objects in it as JSON.

    Args:
        paths: files (plain, .gz, .zst, .bz2), folders (searched deeply) or globs.
        out: folder for ``NAME.parquet``, or ``NAME-00000.parquet`` … where a file is larger than ``shard_bytes``.
        rows_per_group: documents a row group, fewer where they are long.
        shard_bytes: bytes of JSON in one Parquet file, about.
        overwrite: replace what an earlier conversion of the same names has left, shards that there are no more of included.

    Raises:
        CorpusError: nothing was found, a file cannot be read to its end, or a result exists already.
        WorkspaceError: the folder cannot be written; files finished before are kept.

    """
    folder = Path(out)
    files: list[Path] = []
    rows = 0
    rejected: list[Rejected] = []
    notes: list[str] = []
    inputs = _named(_find([paths] if isinstance(paths, str | os.PathLike) else list(paths)))
    earlier = {stem: _results(folder, stem) for _, stem in inputs}
    for there in earlier.values():
        if there and not overwrite:
            raise CorpusError(
                f"{str(there[0])!r} exists already. It was not replaced. Choose another folder, or allow it with --overwrite."
            )
    for source, stem in inputs:
        written: list[Path] = []
        survey = _survey(source, rows_per_group)
        rejected += survey.rejected
        notes += survey.notes
        rows += survey.rows
        if survey.rejected:
            said = "".join(f"{r}\n{r.raw.decode('utf-8', 'backslashreplace')}\n" for r in survey.rejected)
            write_text(folder / f"{stem}.rejected.txt", said)
            written.append(folder / f"{stem}.rejected.txt")
        if survey.rows:
            shards = _write(source, stem, folder, survey, rows_per_group, shard_bytes)
            files += shards
            written += shards
        else:
            notes.append(f"{str(source)!r} holds no document; no file was written for it.")
        for path in earlier[stem]:  # last: what was there is whole until all that replaces it is
            if path not in written:
                path.unlink(missing_ok=True)
    return Import(tuple(files), rows, tuple(rejected), tuple(notes))


def _results(folder: Path, stem: str) -> list[Path]:
    """What an earlier conversion of this name has left, sorted."""
    mine = re.compile(re.escape(stem) + r"(-\d{5})?\.parquet|" + re.escape(stem) + r"\.rejected\.txt")
    return sorted(p for p in folder.iterdir() if mine.fullmatch(p.name)) if folder.is_dir() else []


def _find(given: Sequence[str | os.PathLike[str]]) -> list[Path]:
    import glob

    found: list[Path] = []
    for item in (os.fspath(g) for g in given):
        path = Path(item).expanduser()
        if path.is_dir():
            here = [p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(ENDINGS)]
        elif path.exists():
            here = [path]
        else:
            here = [Path(p) for p in glob.glob(str(path), recursive=True) if os.path.isfile(p)]
        if not here:
            raise CorpusError(
                f"{item!r} names no JSON Lines file. Endings: .jsonl, .ndjson, .json, also with .gz, .zst or .bz2. Name files, a folder or a glob."
            )
        found += here
    return sorted(dict.fromkeys(p.absolute() for p in found))


def _named(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each input with the name of its result; inputs of one name in several folders are told apart by their folders."""
    for depth in range(1, max(len(p.parts) for p in paths) + 1):
        for last in (_stem, lambda p: p.name):  # a.jsonl beside a.jsonl.gz
            names = ["-".join((*p.parent.parts[1:], last(p))[-depth:]) for p in paths]
            if len(set(names)) == len(names):
                return list(zip(paths, names, strict=True))
    raise CorpusError(
        f"Some of {len(paths)} files have the same name. Results would overwrite each other. Convert them into several folders."
    )


def _stem(path: Path) -> str:
    ending = next((e for e in sorted(ENDINGS, key=len, reverse=True) if path.name.lower().endswith(e)), "")
    return path.name[: len(path.name) - len(ending)] or path.name


@dataclass(frozen=True)
class _Survey:
    schema: pa.Schema
    as_json: frozenset[str]
    rows: int
    size: int
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]


def _survey(path: Path, block_rows: int) -> _Survey:
    kinds: dict[str, pa.DataType | None] = {}
    largest: dict[str, int] = {}
    rejected: list[Rejected] = []
    rows = size = 0
    broken = False
    for block in _blocks(path, block_rows, rejected):
        rows += len(block.documents)
        size += block.size
        broken |= block.replaced
        for name in dict.fromkeys(key for document in block.documents for key in document):
            values = [d.get(name) for d in block.documents]
            kinds[name] = _common(kinds.get(name, pa.null()), values)
            if kinds[name] is not None and pa.types.is_integer(kinds[name]):
                largest[name] = max(largest.get(name, 0), *(abs(v or 0) for v in values))
            elif kinds[name] is not None and pa.types.is_floating(kinds[name]):
                integers = [abs(v) for v in values if isinstance(v, int)]
                if max([largest.get(name, 0), *integers]) > EXACT_IN_FLOAT64:
                    kinds[name] = None
    as_json = frozenset(name for name, kind in kinds.items() if kind is None)
    notes = [
        f"{str(path)!r}: values of {name!r} have no common type; they are kept as text, numbers and objects as JSON."
        for name in sorted(as_json)
    ]
    if broken:
        notes.append(f"{str(path)!r}: half characters (lone surrogates) were replaced by U+FFFD.")
    fields = [(name, pa.string() if kind is None or pa.types.is_null(kind) else kind) for name, kind in kinds.items()]
    return _Survey(pa.schema(fields), as_json, rows, size, tuple(rejected), tuple(notes))


def _common(known: pa.DataType | None, values: Sequence[object]) -> pa.DataType | None:
    """The type that holds what is known and these values exactly; None when only JSON text does."""
    if known is None:
        return None
    try:
        kind = pa.array(values, from_pandas=False).type
        merged = pa.unify_schemas([pa.schema([("c", known)]), pa.schema([("c", kind)])], promote_options="permissive").field(0).type
    except (pa.ArrowException, OverflowError, TypeError):
        return None
    # an empty object has no column that Parquet could store
    return None if _hollow(merged) else merged


def _hollow(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_hollow(kind.field(i).type) for i in range(kind.num_fields))
    return pa.types.is_list(kind) and _hollow(kind.value_type)


@dataclass(frozen=True)
class _Block:
    documents: list[dict[str, Any]]
    size: int
    replaced: bool


def _blocks(path: Path, rows: int, rejected: list[Rejected]) -> Iterator[_Block]:
    """Documents of a file, a row group at a time; bad lines are added to ``rejected``."""
    documents: list[dict[str, Any]] = []
    size, replaced = 0, False
    for number, raw in _lines(path):
        line = raw.strip()
        if not line:
            continue
        try:
            document = json.loads(line.decode("utf-8"))
            if not isinstance(document, dict):
                raise ValueError(f"a JSON {type(document).__name__}, not an object")
        except (ValueError, RecursionError) as error:
            reason = "not valid UTF-8" if isinstance(error, UnicodeDecodeError) else str(error) or type(error).__name__
            rejected.append(Rejected(str(path), number, reason, line))
            continue
        if b"\\ud" in line or b"\\uD" in line:
            document, changed = _whole_characters(document)
            replaced |= changed
        documents.append(document)
        size += len(raw)
        if len(documents) == rows or size >= BLOCK_BYTES:
            yield _Block(documents, size, replaced)
            documents, size, replaced = [], 0, False
    if documents:
        yield _Block(documents, size, replaced)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with pa.input_stream(str(path), compression=_compression(path)) as stream:
            for raw in io.BufferedReader(stream, 1 << 20):
                number += 1
                yield number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(
            f"{str(path)!r} cannot be read beyond line {number:,}: {error}. The file is cut off or damaged; restore it. Nothing was written for it."
        ) from error


def _compression(path: Path) -> str | None:
    return {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}.get(path.suffix.lower())


def _whole_characters(value: Any) -> tuple[Any, bool]:
    """Lone surrogates, which JSON can write and UTF-8 cannot, replaced by U+FFFD."""
    if isinstance(value, str):
        whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return whole, whole != value
    if isinstance(value, list):
        pairs = [_whole_characters(item) for item in value]
        return [item for item, _ in pairs], any(changed for _, changed in pairs)
    if isinstance(value, dict):
        items = [(_whole_characters(key), _whole_characters(item)) for key, item in value.items()]
        return {key[0]: item[0] for key, item in items}, any(key[1] or item[1] for key, item in items)
    return value, False


def _write(source: Path, stem: str, folder: Path, survey: _Survey, block_rows: int, shard_bytes: int) -> list[Path]:
    shards = max(1, -(-survey.size // shard_bytes))
    targets = [folder / (f"{stem}-{i:05d}.parquet" if shards > 1 else f"{stem}.parquet") for i in range(shards)]
    blocks = _blocks(source, block_rows, [])
    written = 0
    files = []
    for i, target in enumerate(targets):

        def fill(temporary: Path, last: int = survey.size * (i + 1) // shards) -> None:
            nonlocal written
            options = {"compression": "zstd", "write_page_index": True, "write_page_checksum": True}
            with pq.ParquetWriter(temporary, survey.schema, **options) as writer:
                while written < last and (block := next(blocks, None)) is not None:
                    writer.write_table(_table(block.documents, survey))
                    written += block.size

        if written < survey.size * (i + 1) // shards:  # blocks are whole, so one can have filled the next file's share too
            write_atomically(target, fill)
            files.append(target)
    return files


def _table(documents: Sequence[dict[str, Any]], survey: _Survey) -> pa.Table:
    columns = []
    for field in survey.schema:
        values = [d.get(field.name) for d in documents]
        if field.name in survey.as_json:
            values = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
        columns.append(pa.array(values, field.type))
    return pa.table(columns, schema=survey.schema)
