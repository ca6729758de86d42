"""The sample corpus that travels with the product, and a larger real corpus made of what every machine with Python has.

``write_sample`` copies the committed files, so that everybody has the same bytes, the same fingerprints and the same planted truth;
``sample_data/source/build.py`` is how they are made. ``write_python_corpus`` is for trials at size.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import random
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_A_GROUP = 8_192
BYTES_A_GROUP = 32 << 20
BYTES_A_SHARD = 64 << 20
WORDS_A_REPLACEMENT = 16
MIN_WORDS_TO_VARY = 8
VOCABULARY_WORDS = 50_000

Found = tuple[str, str | None]  # (name within the source, text or None when the file is not UTF-8 text)


def sample_folder() -> Path:
    """The folder of the shipped sample: inside an installed package, or beside the package in a checkout.

    Raises:
        CorpusError: neither place has it.
    """
    package = Path(__file__).resolve().parent
    places = (package / "_app" / "sample_data", package.parent / "sample_data")
    for place in places:
        if (place / "corpus").is_dir():
            return place
    looked = " or ".join(repr(str(place)) for place in places)
    raise CorpusError(f"The sample corpus is not in {looked}. It ships with the package. Install corpus-explorer again.")


def sample_corpus_files() -> list[Path]:
    """Parquet files of the sample corpus, in a fixed order, to be read in place."""
    return sorted((sample_folder() / "corpus").glob("*.parquet"))


def sample_rewrites_file() -> Path:
    """Parquet file of the sample rewrites; its ``id`` joins ``id`` of the sample corpus."""
    return sample_folder() / "rewrites.parquet"


def write_sample(directory: str | os.PathLike[str]) -> list[Path]:
    """Copy the sample corpus, the rewrites and the truth about both into a folder.

    Args:
        directory: made when it does not exist. Files of the same name are replaced, others are left alone.

    Returns:
        The files written, Parquet first: ``corpus/*.parquet``, ``rewrites.parquet``, then the texts that describe them.

    Raises:
        CorpusError: the folder cannot be written.
    """
    shipped, out = sample_folder(), Path(directory)
    files = [*sample_corpus_files(), sample_rewrites_file(), *sorted(p for p in shipped.iterdir() if p.suffix in (".json", ".md", ".txt"))]
    written = []
    for file in files:
        target = out / file.relative_to(shipped)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, file.read_bytes())
        except OSError as error:
            raise CorpusError(
                f"{str(target)!r} cannot be written: {error.strerror}. The sample needs 1 MB. Name another folder."
            ) from error
        written.append(target)
    return written


def write_python_corpus(directory: str | os.PathLike[str], *, max_bytes: int | None = None, copies: int = 1, seed: int = 0) -> list[Path]:
    """Build a real corpus from this machine's Python: sources, docstrings, package descriptions, licences, system documentation.

    The sources take turns, document by document, so that a small ``max_bytes`` still holds all of them. The order depends on names only.
    Of a second and later version of a document, one word in 16 (at least one) is replaced by a word of the same source: near-duplicates
    of a known kind (``variant_of``), never pure copies. Documents of fewer than 8 words have no second version.

    Args:
        directory: gets ``python-00000.parquet`` … (about 64 MB of text each, row groups of at most 8,192 rows or 32 MB of text) and
            ``counts.json``: documents and bytes per source, and what was skipped for which reason.
        max_bytes: stop after the document with which the text reaches this many UTF-8 bytes. None: all there is.
        copies: versions of each document, the original counted.
        seed: of the replaced words.

    Returns:
        The Parquet files written. Columns: ``id``, ``text``, ``source``, ``variant_of`` (id of the original, null for originals).

    Raises:
        CorpusError: ``copies`` or ``max_bytes`` is not positive, the folder holds such a corpus already, or it cannot be written.
    """
    if copies < 1:
        raise CorpusError(f"copies is {copies!r}. It counts the versions of a document, the original included. Give 1 or more.")
    if max_bytes is not None and max_bytes < 1:
        raise CorpusError(f"max_bytes is {max_bytes!r}. It counts bytes of text. Give 1 or more, or leave it out for all there is.")
    out = Path(directory)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if next(out.glob("python-*.parquet"), None):
            raise CorpusError(f"{str(out)!r} holds python-*.parquet already. Old and new shards would mix. Name an empty folder.")
        writer = _Shards(out)
        vocabulary: dict[str, list[str]] = {}
        for version in range(copies):
            for source, (name, text) in _in_turn(_sources()):
                _add(writer, vocabulary, source, name, text, version, seed)
                if max_bytes is not None and writer.text_bytes >= max_bytes:
                    return writer.close()
        return writer.close()
    except OSError as error:
        raise CorpusError(
            f"{str(out)!r} cannot be written: {error.strerror}. Make room or name another folder, then start again."
        ) from error


def _add(writer: _Shards, vocabulary: dict[str, list[str]], source: str, name: str, text: str | None, version: int, seed: int) -> None:
    """Write one version of one document, or count why not."""
    if text is None:
        writer.skip(source, "not UTF-8 text")
    elif not text.strip():
        writer.skip(source, "blank")
    elif version == 0:
        words = vocabulary.setdefault(source, [])
        if len(words) < VOCABULARY_WORDS:
            # Each document starts one word later, or the vocabulary of many short ones would be their first words.
            words.extend(text.split()[len(words) % WORDS_A_REPLACEMENT :: WORDS_A_REPLACEMENT])
        writer.add(f"{source}/{name}", text, source, None)
    else:
        original = f"{source}/{name}"
        varied = vary(text, vocabulary[source], random.Random(f"{seed}:{version}:{original}"))
        if varied is None:
            writer.skip(source, f"fewer than {MIN_WORDS_TO_VARY} words to vary")
        else:
            writer.add(f"{original}#{version}", varied, source, original)


def vary(text: str, vocabulary: list[str], choose: random.Random) -> str | None:
    """Replace one word in 16, at least one, by words of ``vocabulary`` that differ from them; all white space stays as it is.

    Returns:
        The changed text, or None when it has fewer than 8 words or is one word repeated that the vocabulary cannot replace.
    """
    pieces = re.split(r"(\s+)", text)  # words at even places, white space between them; the first and last word may be empty
    words = range(0 if pieces[0] else 2, len(pieces) if pieces[-1] else len(pieces) - 2, 2)
    if len(words) < MIN_WORDS_TO_VARY:
        return None
    changed = False
    for i in choose.sample(words, max(1, len(words) // WORDS_A_REPLACEMENT)):
        new = vocabulary[choose.randrange(len(vocabulary))] if vocabulary else pieces[i]
        if new == pieces[i]:  # a frequent word may meet itself: then the first word that differs, of the document's own at last
            new = next((word for word in chain(vocabulary, (pieces[j] for j in words)) if word != pieces[i]), new)
        changed = changed or new != pieces[i]
        pieces[i] = new
    return "".join(pieces) if changed else None


@dataclass
class _Shards:
    """Writes documents as Parquet shards, one row group in memory at a time; a shard has its name only when it is whole."""

    out: Path
    paths: list[Path] = field(default_factory=list)
    text_bytes: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    _rows: list[tuple[str, str, str, str | None]] = field(default_factory=list)
    _group_bytes: int = 0
    _shard_bytes: int = 0
    _writer: object = None

    def skip(self, source: str, reason: str) -> None:
        self.skipped[source, reason] += 1

    def add(self, id_: str, text: str, source: str, variant_of: str | None) -> None:
        size = len(text.encode())
        if self._rows and (len(self._rows) == ROWS_A_GROUP or self._group_bytes + size > BYTES_A_GROUP):
            self._flush()
        self._rows.append((id_, text, source, variant_of))
        self.documents[source] += 1
        self.bytes[source] += size
        self._group_bytes += size
        self.text_bytes += size

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = _python_schema()
        if self._writer is None:
            part = self.out / f"python-{len(self.paths):05d}.parquet.part"
            self._writer = pq.ParquetWriter(part, schema, compression="zstd", write_page_index=True)
        columns = [pa.array(column, type_) for column, type_ in zip(zip(*self._rows, strict=True), schema.types, strict=True)]
        assert isinstance(self._writer, pq.ParquetWriter)
        self._writer.write_table(pa.table(columns, schema=schema), row_group_size=ROWS_A_GROUP)
        self._shard_bytes += self._group_bytes
        self._rows, self._group_bytes = [], 0
        if self._shard_bytes >= BYTES_A_SHARD:
            self._finish_shard()

    def _finish_shard(self) -> None:
        import pyarrow.parquet as pq

        assert isinstance(self._writer, pq.ParquetWriter)
        self._writer.close()
        path = self.out / f"python-{len(self.paths):05d}.parquet"
        os.replace(f"{path}.part", path)
        self.paths.append(path)
        self._writer, self._shard_bytes = None, 0

    def close(self) -> list[Path]:
        if self._rows:
            self._flush()
        if self._writer is not None:
            self._finish_shard()
        sources = {name: {"documents": self.documents[name], "text_bytes": self.bytes[name]} for name in sorted(self.documents)}
        skipped = [{"source": source, "reason": reason, "documents": n} for (source, reason), n in sorted(self.skipped.items())]
        _replace(self.out / "counts.json", (json.dumps({"sources": sources, "skipped": skipped}, indent=1) + "\n").encode())
        return self.paths


def _python_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema({"id": pa.string(), "text": pa.string(), "source": pa.string(), "variant_of": pa.string()})


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


def _in_turn(sources: dict[str, Iterable[Found]]) -> Iterator[tuple[str, Found]]:
    """One document of each source after the other, until all are used up."""
    open_ = {name: iter(found) for name, found in sources.items()}
    while open_:
        for name in list(open_):
            found = next(open_[name], None)
            if found is None:
                del open_[name]
            else:
                yield name, found


def _sources() -> dict[str, Iterable[Found]]:
    """What this machine has, by source; a part that is missing here (system documentation, say) is simply empty."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = list(dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")))
    return {
        "python_docs": _topics(),
        "stdlib": _files([library], (".py",), leave_out=("site-packages", "dist-packages", "test", "tests", "idle_test")),
        "stdlib_tests": _files([library / "test"], (".py",)),
        "packages": _files(packages, (".py",)),
        "docstrings": _docstrings([library, *packages]),
        "package_descriptions": _descriptions(packages),
        "licences": _files(
            [*packages, Path("/usr/share/common-licenses")], names=("LICENSE", "LICENCE", "COPYING", "NOTICE", "GPL", "MPL")
        ),
        # Without change logs: they are many times larger than all the rest.
        "system_docs": _files([Path("/usr/share/doc")], (".txt", ".md", ".rst"), names=("README", "NEWS", "copyright")),
    }


def _walk(roots: list[Path], leave_out: tuple[str, ...] = ()) -> Iterator[tuple[str, Path]]:
    """(path from its root, file) in the order of names; links are not followed."""
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in leave_out and name != "__pycache__")
            for name in sorted(files):
                path = Path(folder, name)
                if not path.is_symlink():
                    yield path.relative_to(root).as_posix(), path


def _files(
    roots: list[Path], suffixes: tuple[str, ...] = (), names: tuple[str, ...] = (), leave_out: tuple[str, ...] = ()
) -> Iterator[Found]:
    """Files whose name ends or begins as given; Python files are not also licences, though one is called ``license.py``."""
    for name, path in _walk(roots, leave_out):
        if path.suffix in suffixes or (path.name.startswith(names or "\0") and path.suffix not in (".py", ".pyc", ".so", ".html", ".svg")):
            yield name, _read(path)


def _read(path: Path) -> str | None:
    """Text of a file, unpacked when gzip; None when it is not readable UTF-8."""
    try:
        return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode("utf-8")
    except (UnicodeDecodeError, OSError, EOFError):
        return None


def _topics() -> Iterator[Found]:
    """The language reference that ``help()`` prints."""
    from pydoc_data import topics

    yield from sorted(topics.topics.items())


def _docstrings(roots: list[Path]) -> Iterator[Found]:
    """One document a module: its docstring and those of its public classes and functions, each under its name."""
    leave_out = ("test", "tests", "idle_test")
    for i, root in enumerate(roots):
        outside = (*leave_out, "site-packages", "dist-packages") if i == 0 else leave_out
        for name, path in _walk([root], outside):
            text = _read(path) if path.suffix == ".py" else None
            if text is None:
                continue
            # Source of any age: what this Python cannot parse has no docstrings to give, and its warnings are not ours.
            with suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                documents = list(_module_docstrings(ast.parse(text)))
                if documents:
                    yield name, "\n\n".join(documents) + "\n"


def _module_docstrings(tree: ast.Module) -> Iterator[str]:
    if about := ast.get_docstring(tree):
        yield about
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            about = ast.get_docstring(node)
            if about and len(about) > 80:
                yield f"{node.name}\n{about}"


def _descriptions(roots: list[Path]) -> Iterator[Found]:
    """Long descriptions of the installed packages, as their index pages show them."""
    for name, path in _walk(roots):
        if path.name == "METADATA" and path.parent.suffix == ".dist-info":
            text = _read(path)
            yield name, text.partition("\n\n")[2] if text else text
