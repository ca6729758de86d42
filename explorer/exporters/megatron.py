"""Megatron-Core (also NeMo): indexed datasets ``.bin`` and ``.idx``, and the blend in the three forms that its launcher takes.

A document that is repeated is stored once; the index names it as often as it is emitted. With ``tokens`` even that is not written: an
index over a ``.bin`` that is there already selects its documents.

Source: ``megatron/core/datasets/indexed_dataset.py`` and ``utils.py`` (``get_blend_from_list``) of Megatron-Core 0.16.1.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from explorer.errors import ExportError
from explorer.exporters.base import Counted, Loss, exporter, inside
from explorer.exporters.blend import (
    Encoded,
    Part,
    by_stage,
    components,
    encoded,
    folder_prefix,
    prefix,
    read_record,
    shares,
    token_losses,
    write_record,
)
from explorer.exporters.documents import selection_path
from explorer.exporters.start import write_start
from explorer.exporters.tokenised import emitted, first_rows
from explorer.manifest.model import Component, Manifest, Source

MAGIC = b"MMIDIDX\x00\x00"
HEADER = 34  # magic 9, version u64, dtype u8, sequences u64, documents + 1 u64
CODES = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}
CODE_OF = {"uint16": 8, "uint32": 4}  # there is no uint32; ids are far below 2**31
END = "_text_document"
SLICE = 1 << 20

Chunk = tuple[np.ndarray, np.ndarray, np.ndarray]  # of documents: lengths of their sequences, byte pointers, sequences a document


@dataclass(frozen=True)
class Index:
    """An ``.idx`` that was opened: its ``path``, dtype ``code``, ``lengths`` int32 [s], byte ``pointers`` int64 [s], ``documents`` int64 [d + 1]."""

    path: Path
    code: int
    lengths: np.ndarray
    pointers: np.ndarray
    documents: np.ndarray

    @property
    def width(self) -> int:
        """Bytes of an id."""
        return np.dtype(CODES[self.code]).itemsize

    def one_each(self) -> bool:
        """Whether every document is one sequence; looked at piece by piece, not mapped into memory."""
        n = len(self.lengths)
        if len(self.documents) != n + 1:
            return False
        for a in range(0, n + 1, SLICE):
            some = np.fromfile(self.path, "<i8", min(SLICE, n + 1 - a), offset=HEADER + 12 * n + 8 * a)
            if not np.array_equal(some, np.arange(a, a + len(some))):
                return False
        return True


def read_index(path: Path) -> Index:
    """Open an ``.idx``; its arrays stay on disk.

    Raises:
        ExportError: it is missing or no index of an indexed dataset.

    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER)
        size = path.stat().st_size
    except OSError as error:
        raise ExportError(
            f"{str(path)!r} cannot be read: {error.strerror}. tokens names prefixes of a .bin and an .idx. Correct it."
        ) from error
    code = head[17] if len(head) == HEADER else 0
    n, d = (int(i) for i in np.frombuffer(head[18:HEADER], "<u8")) if len(head) == HEADER else (0, 0)
    if head[:9] != MAGIC or code not in CODES or d < 1 or size != HEADER + 12 * n + 8 * d:
        raise ExportError(f"{str(path)!r} is no index of a Megatron indexed dataset, or is cut off. Make it again with preprocess_data.py.")

    def array(dtype: str, offset: int, count: int) -> np.ndarray:
        return np.memmap(path, dtype, "r", offset, (count,)) if count else np.zeros(0, dtype)

    return Index(path, code, array("<i4", HEADER, n), array("<i8", HEADER + 4 * n, n), array("<i8", HEADER + 12 * n, d))


def write_index(path: Path, code: int, chunks: Iterable[Chunk]) -> tuple[int, int]:
    """Write an ``.idx`` from documents in order, in little memory; (documents, ids) it holds."""
    sequences = documents = ids = 0
    late = [path.with_name(f".{path.name}.{what}") for what in ("pointers", "documents")]
    with path.open("wb") as file, late[0].open("w+b") as pointers, late[1].open("w+b") as ends:
        file.write(bytes(HEADER))
        ends.write(np.zeros(1, "<i8").tobytes())
        for lengths, where, per_document in chunks:
            lengths.astype("<i4").tofile(file)
            where.astype("<i8").tofile(pointers)
            (sequences + np.cumsum(per_document)).astype("<i8").tofile(ends)
            sequences, documents, ids = sequences + len(lengths), documents + len(per_document), ids + int(lengths.sum(dtype=np.int64))
        for part in (pointers, ends):
            part.seek(0)
            shutil.copyfileobj(part, file, 1 << 22)
        file.seek(0)
        file.write(MAGIC + np.uint64(1).tobytes() + np.uint8(code).tobytes() + np.array([sequences, documents + 1], "<u8").tobytes())
    for file_ in late:
        file_.unlink()
    return documents, ids


@exporter(
    "megatron",
    about="Megatron-Core and NeMo: .bin and .idx of the chosen documents, or an .idx over tokens you have, and the blend of each stage",
    recount=lambda folder: _recount(folder),
    links=True,
)
def megatron(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    tokenizer: str | None = None,
    eos: str | int | None = "auto",
    tokens: Mapping[str, str] | None = None,
    at: str = "",
    cache: str | None = None,
) -> Iterable[Loss]:
    """Write ``<source>_text_document.bin`` and ``.idx``, ``blend.txt``, ``per_split.json`` and ``data_path.txt``; stages in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        tokenizer: whose ids are written; None: the manifest's; where it has none either, only the blend is written.
        eos: id or text of the token that ends a document; ``auto`` finds it, ``none`` appends nothing.
        tokens: prefix of a ``.bin`` and ``.idx`` by source, whose documents are those of the source in its order; nothing is encoded then.
        at: folder that the trainer finds the files in; '' for paths relative to it.
        cache: folder in which encoded parts are kept, so that a run that was stopped goes on.

    """
    have = _prefixes(manifest, tokens)
    if any(c.isspace() for c in at):
        raise ExportError(f"at is {at!r}. Megatron splits its lists of paths at white space. Use a folder without it.")
    only = [s.name for s in manifest.sources if s.name not in have]
    with encoded(manifest, folder, root=root, tokenizer=tokenizer, eos=eos, cache=cache, only=only) as made:
        if have and only and made.encoder is None:
            raise ExportError(
                f"tokens names no prefix for {only[0]!r}, and there is no tokenizer to encode it. Name one for every source, or the tokenizer: -o tokenizer=NAME"
            )
        parts, checked = [], True
        for stage, component, stem in components(manifest):
            stem += END
            inside(folder, stem).parent.mkdir(exist_ok=True)
            source = manifest.source(component.source)
            documents, ids = component.resolved.documents, component.resolved.tokens
            if source.name in have:
                chunks, code = _selected(made, source, component, have[source.name])
                documents, ids = write_index(folder / f"{stem}.idx", code, chunks)
                inside(folder, f"{stem}.bin").symlink_to(have[source.name].with_name(have[source.name].name + ".bin"))
                checked = checked and manifest.tokenizer.model is not None
            elif made.encoder is not None:
                documents, ids = write_index(folder / f"{stem}.idx", CODE_OF[made.encoder.dtype.name], _stored(made, component))
                _place(made.tokens[source.name].path, folder / f"{stem}.bin")
            parts.append(Part(stage.name, source.name, stem, ids, documents))
        _write_blends(manifest, folder, parts, at)
        write_record(folder, made, parts, **({"selected_from": sorted(have), "recipe_only": False} if have else {}))
        return _losses(made, parts, have, checked=checked)


def _prefixes(manifest: Manifest, tokens: Mapping[str, str] | None) -> dict[str, Path]:
    if tokens is None:
        return {}
    if not isinstance(tokens, Mapping) or not all(isinstance(v, str) for v in tokens.values()):
        raise ExportError(f"tokens is {tokens!r}. It gives a prefix for each source. Example: -o 'tokens={{web: /data/web_text_document}}'")
    for name in tokens:
        manifest.source(name)
    found = {name: Path(os.path.realpath(Path(p.removesuffix(".bin").removesuffix(".idx")).expanduser())) for name, p in tokens.items()}
    for path in found.values():
        if not path.with_name(path.name + ".bin").is_file():
            raise ExportError(f"{str(path) + '.bin'!r} does not exist. tokens names prefixes of a .bin and an .idx. Correct it.")
    return found


def _stored(made: Encoded, component: Component) -> Iterator[Chunk]:
    """Documents of a component in the ids that were encoded."""
    held = made.tokens[component.source]
    for numbers in emitted(made.sources.manifest, component, made.sources.shards[component.source]):
        yield held.lengths(numbers), held.starts[held.places(numbers)] * held.dtype.itemsize, np.ones(len(numbers), np.int64)


def _selected(made: Encoded, source: Source, component: Component, prefix_: Path) -> tuple[Iterator[Chunk], int]:
    """Documents of a component in an indexed dataset that is there already."""
    index = read_index(prefix_.with_name(prefix_.name + ".idx"))
    if len(index.documents) - 1 != source.documents:
        raise ExportError(
            f"{str(prefix_)!r} holds {len(index.documents) - 1:,} documents, the source {source.name!r} {source.documents:,}. They must be the same, in the same order; preprocessing leaves out empty texts. Encode the source anew: leave it out of tokens."
        )
    plain = index.one_each()
    if made.sources.manifest.tokenizer.model is not None:
        _compare(made, source, component, index, prefix_, plain=plain)

    def chunks() -> Iterator[Chunk]:
        for numbers in emitted(made.sources.manifest, component, made.sources.shards[source.name]):
            which, count = numbers, np.ones(len(numbers), np.int64)
            if not plain:
                first = index.documents[numbers]
                count = index.documents[numbers + 1] - first
                which = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
            yield index.lengths[which], index.pointers[which], count

    return chunks(), index.code


def _compare(made: Encoded, source: Source, component: Component, index: Index, prefix_: Path, *, plain: bool) -> None:
    """Refuse tokens that are not the source's documents in its order: each must have as many as the manifest counts, or one end more."""
    first, more = first_rows(made.sources.shards[source.name]), set()
    begins = None if plain else np.concatenate([[0], np.cumsum(index.lengths, dtype=np.int64)])
    with pq.ParquetFile(selection_path(made.sources.manifest, component)) as opened:
        for batch in opened.iter_batches(1 << 17, columns=["file", "row", "tokens"]):
            file, row, counted = (batch.column(i).to_numpy() for i in range(3))
            number = first[file] + row
            if begins is None:
                there = index.lengths[number]
            else:
                there = begins[index.documents[number + 1]] - begins[index.documents[number]]
            more |= set(np.unique(there - counted).tolist()[:3])
            if not more <= {0.0, 1.0} or len(more) > 1:
                wrong = int(number[np.argmax((there - counted) != min(more, key=abs))])
                raise ExportError(
                    f"Document {wrong:,} of {source.name!r} has another number of tokens in {str(prefix_)!r} than the manifest counts with {made.sources.manifest.tokenizer.model!r}. Either the documents stand in another order there, or another tokenizer made them. Encode the source anew: leave it out of tokens."
                )


def _place(path: Path, target: Path) -> None:
    """The ids under the name of a stage: one file on disk, whatever the number of stages, where links can be made."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _write_blends(manifest: Manifest, folder: Path, parts: list[Part], at: str) -> None:
    """The blend of each stage in the three forms; lists are always of even length, weight before path."""
    before = folder_prefix(at)
    commands = []
    for stage in manifest.stages:
        found = by_stage(parts).get(stage.name)
        if not found:
            continue
        stems = {p.source: f"{before}{p.stem}" for p in found}
        pairs = [(repr(share), stems[name]) for name, share in shares(found).items()]
        words = [word for pair in pairs for word in pair]
        where = folder / prefix(manifest, stage)
        where.mkdir(exist_ok=True)
        (where / "blend.txt").write_text("".join(f"{weight} {path}\n" for weight, path in pairs), encoding="utf-8")
        (where / "data_path.txt").write_text(f"--data-path {' '.join(words)} --split 100,0,0\n", encoding="utf-8")
        splits = {"train": words, "valid": None, "test": None}
        (where / "per_split.json").write_text(json.dumps(splits, indent=1) + "\n", encoding="utf-8")
        total, length = int(sum(p.tokens for p in found)), stage.sequence_length or manifest.sequence_length
        size = f"{total} tokens" + (f", {total // length} sequences of {length}" if length else "")
        commands.append(f"--data-args-path {before}{prefix(manifest, stage)}blend.txt --split 100,0,0   # {stage.name}: {size}")
    write_start(
        folder,
        "megatron",
        commands,
        "The same blend stands in data_path.txt (words for the command line) and per_split.json (--per-split-data-args-path).",
        "Each stage is a run of its own that loads the checkpoint of the one before." if len(commands) > 1 else "",
        "Megatron shuffles documents and samples; it repeats a source that is asked for more samples than it has, without a word.",
        at=at,
    )


def _losses(made: Encoded, parts: list[Part], have: Mapping[str, Path], *, checked: bool) -> Iterable[Loss]:
    found = token_losses(made, parts, recipe=made.encoder is None and not have)
    found["order"] = Loss("order", "dropped", "the index holds it, but Megatron shuffles documents and samples; only stages keep an order")
    found["stages"] = Loss(
        "stages", "exact", "one stage" if len(made.sources.manifest.stages) == 1 else "one blend a stage; each is a run of its own"
    )
    if have:
        names = ", ".join(sorted(have))
        trust = "" if checked else "; that they stand in the order of the source was taken on trust, only their number was compared"
        found["selection"] = Loss("selection", "exact", f"an index selects the chosen documents of {names} in the tokens given{trust}")
        found["repeat"] = Loss("repeat", "exact", "repeated documents are named as often in the index")
        found["epochs"] = Loss("epochs", "exact", "whole and partial passes are in the index")
    return found.values()


def _recount(folder: Path) -> Iterator[Counted]:
    for part in read_record(folder)[1]:
        index = read_index(folder / f"{part.stem}.idx")
        last = ids = 0
        for a in range(0, len(index.lengths), SLICE):
            lengths = index.lengths[a : a + SLICE].astype(np.int64)
            last = max(last, int((index.pointers[a : a + SLICE] + lengths * index.width).max()))
            ids += int(lengths.sum())
        if last > (folder / f"{part.stem}.bin").stat().st_size:
            raise ValueError(f"{part.stem}.idx points behind the end of its .bin")
        yield Counted(part.stage, part.source, len(index.documents) - 1, ids)
