"""What has been rewritten before: in the file of rewrites, and in a journal beside it while it is being made.

The journal gets a line for each document as soon as it is done, so that a run that was stopped or killed loses what was in hand alone.
The file appears when all is done, whole, and the journal goes.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.corpus.workspace import unwritable
from explorer.errors import CorpusError
from explorer.rewrites.prompting.written import Document, Rewritten, Settings, settings_of, write

FIELDS = ("rewrite", "answer", "finish", "chunks", "prompt_tokens", "completion_tokens", "seconds")


class Kept:
    """Rewrites in a file that is to be made, or added to, with these settings.

    Raises:
        CorpusError: the file holds something else.

    """

    def __init__(self, out: Path, settings: Settings) -> None:
        self._out = out
        self._journal = out.with_name(f".{out.name}.{settings.digest}.partial.jsonl")
        self._before: pa.Table | None = None
        self._known: dict[str, dict[str, Any]] = {}
        self._begun = False
        if out.exists():
            self._before = _table(out, settings)
            good = self._before.filter(pc.is_valid(self._before["rewrite"]))
            for row in good.select(["pair_id", *FIELDS]).to_pylist():
                self._known[_key(row.pop("pair_id"))] = row
        for line in self._lines():
            with suppress(ValueError, TypeError, KeyError):  # the line that a killed process was writing
                said = json.loads(line)
                self._known[said["key"]] = {name: said[name] for name in FIELDS}

    def take(self, key: str, document: Document) -> Rewritten | None:
        """The rewrite with this key, if there is one."""
        said = self._known.get(key)
        return None if said is None else Rewritten(document.row, document.id, key, document.text, error=None, **said)

    def add(self, made: Rewritten) -> None:
        """Keep a rewrite."""
        line = json.dumps({"key": made.key, **{name: getattr(made, name) for name in FIELDS}})
        try:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            with open(self._journal, "a+", encoding="ascii") as file:
                if not self._begun and file.tell():
                    file.write("\n")  # whatever stands there, this is a line of its own
                self._begun = True
                file.write(f"{line}\n")
        except OSError as error:
            raise unwritable(self._journal, error) from error

    def finish(self, made: pa.Table) -> None:
        """Write the file: these rewrites, and those before that are of other documents."""
        parts = [made]
        if self._before is not None:
            if not self._before.schema.equals(made.schema):
                raise CorpusError(
                    f"{str(self._out)!r} has other columns than these rewrites, so that it is of another corpus. Name another file. "
                    "What was rewritten is kept and is not asked for again."
                )
            new = {_key(p) for p in made["pair_id"].to_pylist()}
            rest = [_key(p) not in new for p in self._before["pair_id"].to_pylist()]
            parts = [self._before.filter(pa.array(rest, pa.bool_())), made]
        write(self._out, parts, made.schema)
        with suppress(OSError):
            self._journal.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return self._journal.read_text(encoding="ascii", errors="replace").split("\n")
        except OSError:
            return []


def _key(pair_id: str) -> str:
    return pair_id.rpartition("-")[0]


def _table(out: Path, settings: Settings) -> pa.Table:
    theirs = settings_of(out)
    if theirs is None:
        raise CorpusError(f"{str(out)!r} exists and holds no rewrites that were made here. Name a file that does not exist.")
    if theirs.digest != settings.digest:
        raise CorpusError(
            f"{str(out)!r} holds rewrites that were made otherwise ({theirs.said()}) than is asked for ({settings.said()}). Name another file."
        )
    try:
        return pq.read_table(out, partitioning=None).replace_schema_metadata(pq.read_schema(out).metadata)
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{str(out)!r} cannot be read ({error}). Move it away, and what it holds is made anew.") from error
