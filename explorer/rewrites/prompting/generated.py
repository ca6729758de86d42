"""What became of some documents that were rewritten: to be looked at, saved, and opened as pairs."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from explorer.rewrites.pairs import Pairs, open_pairs
from explorer.rewrites.prompting.written import Rewritten, Settings, id_field, schema, table, write

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus


@dataclass(frozen=True, eq=False)
class Generated:
    """Documents and what became of them.

    Attributes:
        corpus: whose documents they are.
        settings: how they were rewritten.
        documents: one entry each, in the order asked for; those that were not come to have an ``error``.
        reused: documents that had been rewritten before.
        seconds: of the run.
        device: what the model ran on; the address of an endpoint.
        cancelled: whether it was stopped before the end.
        problem: why an endpoint was given up on; empty when it was not.

    """

    corpus: Corpus
    settings: Settings
    documents: tuple[Rewritten, ...]
    reused: int
    seconds: float
    device: str
    cancelled: bool = False
    problem: str = ""

    def __len__(self) -> int:
        return len(self.documents)

    def __str__(self) -> str:
        good = sum(d.rewrite is not None for d in self.documents)
        said = f"{good:,} of {len(self):,} documents rewritten in {self.seconds:.1f} s on {self.device}"
        said += f" ({self.reused:,} had been before)" if self.reused else ""
        said += f", {self.tokens_a_second:,.1f} tokens a second" if self.tokens_a_second else ""
        cut = sum(d.rewrite is not None and d.cut for d in self.documents)
        said += f"; {cut:,} are cut short" if cut else ""
        said += f"; {len(self) - good:,} have no rewrite" if good < len(self) else ""
        return f"{said}; stopped before the end" if self.cancelled else said

    @property
    def tokens_a_second(self) -> float | None:
        """Tokens that were written a second, all together; None where nothing was."""
        new = sum(d.completion_tokens or 0 for d in self.documents) - self._before
        return new / self.seconds if new > 0 and self.seconds > 0 else None

    _before: int = field(default=0, repr=False)  # tokens of the documents that had been rewritten before

    def frame(self) -> pl.DataFrame:
        """One row a document: ``_row``, ``id``, ``original``, ``rewrite``, and what else is known of it."""
        return pl.DataFrame(
            [{"_row": d.row, **{k: v for k, v in asdict(d).items() if k != "row"}} for d in self.documents],
            schema_overrides={"rewrite": pl.String, "answer": pl.String, "error": pl.String, "original": pl.String},
            infer_schema_length=None,
        )

    def save(self, path: str | os.PathLike[str], *, originals: bool = False) -> Path:
        """Write the rewrites as Parquet, all of it or nothing.

        Args:
            path: of the file; `open_pairs(ORIGINALS, path, on=ID)` opens it, ID being the originals' id column.
            originals: put the originals' texts beside the rewrites, so that `open_pairs(path)` does; they are where there are no ids.

        """
        made = self.table(originals=originals)
        write(Path(path), [made], made.schema)
        return Path(path)

    def table(self, *, originals: bool = False) -> pa.Table:
        """What `save` writes."""
        column = id_field(self.corpus)
        into = schema(self.settings, column, originals=originals or column is None)
        return table(self.settings, self.documents, into, column.name if column is not None else None)

    def pairs(self) -> Pairs:
        """The rewrites with their originals, to be scored and looked at; kept in the corpus' workspace."""
        said = "\n".join(f"{d.pair_id} {d.rewrite!r}" for d in self.documents)
        name = hashlib.sha256(f"{self.settings.digest}\n{said}".encode("utf-8", "replace")).hexdigest()[:16]
        path = self.corpus.workspace.folder("rewrites") / f"{name}.parquet"
        if not path.exists():
            self.save(path, originals=True)
        return open_pairs(path, workspace=self.corpus.workspace, original="original", rewrite="rewrite")
