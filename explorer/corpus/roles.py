"""Which column is the text, the id, the source …: detected by name and type, shown, and overridable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import pyarrow as pa

from explorer.corpus.files import Shard
from explorer.errors import ColumnNotFoundError, CorpusError

# Names seen in public corpora (FineWeb, Dolma, RedPajama, C4, The Pile, CulturaX, peS2o, StarCoder, …), most telling first.
NAMES = {
    "text": (
        "text",
        "content",
        "raw_content",
        "raw_text",
        "document",
        "body",
        "markdown",
        "article",
        "passage",
        "code",
        "story",
        "abstract",
    ),
    "id": ("pair_id", "id", "doc_id", "document_id", "docid", "uid", "uuid", "_id", "warc_record_id", "record_id", "hexsha", "key"),
    "source": (
        "source",
        "subset",
        "dataset",
        "dataset_name",
        "corpus",
        "collection",
        "origin",
        "domain",
        "pile_set_name",
        "dump",
        "repo_name",
    ),
    "date": ("date", "timestamp", "created", "added", "published", "publish_date", "crawl_date", "year"),
    "url": ("url", "uri", "link", "source_url"),
    "language": ("language", "lang", "lang_code", "language_code"),
    "tokens": ("tokens", "n_tokens", "num_tokens", "token_count", "token_counts"),
}
# Files of rewrites: what was rewritten, what became of it, by which method and in which style.
REWRITE = ("rewrite", "rewritten", "rewritten_text", "rewrite_text", "rephrased", "rephrased_text", "rephrase", "paraphrase",
           "refined_text", "synthetic_text", "generated_text", "generation", "response", "output")  # fmt: skip
ORIGINAL = ("original", "original_text", "raw_text", "raw", "source_text", "original_document", "input_text", "input", "prompt_text")
METHOD = ("method", "recipe", "pipeline", "generator_model", "generator", "model")
STYLE = ("style", "prompt_style", "rephrase_style", "prompt_id", "prompt_name")


@dataclass(frozen=True)
class Roles:
    """The column that plays each role; None where the corpus has none."""

    text: str
    id: str | None = None
    source: str | None = None
    date: str | None = None
    url: str | None = None
    language: str | None = None
    tokens: str | None = None
    original: str | None = None
    method: str | None = None
    style: str | None = None

    def assigned(self) -> dict[str, str]:
        """Roles that a column plays, in a fixed order."""
        return {role: column for role, column in asdict(self).items() if column}


def merged_schema(shards: Sequence[Shard]) -> pa.Schema:
    """Every column of any shard, with the type it has first."""
    known: dict[str, pa.Field] = {}
    for schema in {id(s.schema): s.schema for s in shards}.values():
        for item in schema:
            known.setdefault(item.name, item)
    return pa.schema(list(known.values()))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can be the text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type can be thresholded as it is."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)


def detect(shards: Sequence[Shard], overrides: Mapping[str, str | None] | None = None) -> Roles:
    """Roles from names and types; the text is else the string column that takes most bytes in the footers.

    Raises:
        ColumnNotFoundError: an override names a column that is not there, or no column can be the text.
        CorpusError: an override names a role that does not exist, or a text column that is not text.

    """
    schema = merged_schema(shards)
    overrides = dict(overrides or {})
    roles = [f.name for f in fields(Roles)]
    for role, column in overrides.items():
        if role not in roles:
            raise CorpusError(f"{role!r} is no role. Roles: {', '.join(roles)}. Give one of them the column's name.")
        if column is not None and column not in schema.names:
            raise ColumnNotFoundError.named(column, "the corpus", schema.names, f"Give the role {role!r} one of them.")
    found: dict[str, str | None] = {role: by_name(NAMES[role], role, schema) for role in roles if role in NAMES}
    if found["text"] is None and not overrides.get("text"):
        found["text"] = _largest_text(shards, schema)
    found.update({role: column or None for role, column in overrides.items()})
    text = found["text"]
    if text is None:
        columns = ", ".join(f"{f.name!r} ({f.type})" for f in schema) or "none"
        raise ColumnNotFoundError(
            f"No column holds text. Columns: {columns}. Open a corpus with a string column, or name it: text=COLUMN (command: --text COLUMN)."
        )
    if not is_text(schema.field(text).type):
        raise CorpusError(
            f"Column {text!r} cannot be the text: its type is {schema.field(text).type}. Text must be a string column; decode it first, or name another with --text."
        )
    found.pop("text")
    return Roles(text, **found)


def by_name(names: Sequence[str], role: str, schema: pa.Schema) -> str | None:
    """The first column that has one of these names, capitals or not, and a type that fits the role."""
    lower = {name.lower(): name for name in reversed(schema.names)}
    for candidate in names:
        column = lower.get(candidate)
        if column is not None and _fits(role, schema.field(column).type):
            return column
    return None


def _fits(role: str, kind: pa.DataType) -> bool:
    if role in ("text", "original"):
        return is_text(kind)
    if role == "tokens":
        return pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if role == "date":
        return is_text(kind) or pa.types.is_temporal(kind) or pa.types.is_integer(kind)
    return is_text(kind) or pa.types.is_integer(kind)


def _largest_text(shards: Sequence[Shard], schema: pa.Schema) -> str | None:
    sizes = {f.name: 0 for f in schema if is_text(f.type)}
    for shard in shards:
        for group in shard.row_groups:
            for name in sizes:
                sizes[name] += group.sizes.get(name, 0)
    return max(sizes, key=lambda name: sizes[name]) if sizes else None
