"""What is wrong with a corpus, as far as footers tell: each with a count, a consequence and a next step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from explorer.corpus.files import Shard, Unreadable
from explorer.corpus.roles import Roles, merged_schema

HUGE_ROW_GROUP = 512 * 1024**2  # uncompressed text bytes; Parquet's own advice is 128 MB to 1 GB for the whole group


@dataclass(frozen=True)
class Problem:
    """One thing to know: what it is, how often, and what to do about it."""

    kind: str
    severity: Literal["error", "warning", "note"]
    count: int
    message: str
    where: tuple[str, ...] = ()


def from_footers(shards: Sequence[Shard], unreadable: Sequence[Unreadable], roles: Roles) -> list[Problem]:
    """Problems that can be seen without reading a single document."""
    found = [
        Problem("unreadable file", "error", 1, f"{u.path!r} was left out: {u.reason}. Restore or remove it.", (u.path,)) for u in unreadable
    ]
    found += _empty_files(shards)
    found += _schema_differences(shards, roles)
    found += _text_nulls(shards, roles)
    found += _row_groups(shards, roles)
    found += _columns(shards)
    if roles.id is None:
        found.append(
            Problem(
                "no id column",
                "note",
                0,
                "No column looks like an id. Documents are then known by a hash of their text; name the column with id=COLUMN if there is one.",
            )
        )
    return found


def left_out(paths: Sequence[str]) -> list[Problem]:
    """Parquet that the product wrote itself and that lay among the files."""
    if not paths:
        return []
    folders = sorted({p.rsplit("/", 1)[0] for p in paths})
    message = f"{len(paths)} Parquet files in the workspace or in folders that a mix or an export wrote were left out ({', '.join(folders[:3])}). Name such a folder itself to open it."
    return [Problem("own files", "note", len(paths), message, tuple(paths[:20]))]


def name_clashes(renamed: Mapping[str, str]) -> list[Problem]:
    """Columns of the files that are called like a computed signal."""
    return [
        Problem(
            "name of a signal",
            "warning",
            1,
            f"Column {name!r} of the files has the name of a computed signal. In filters and SQL that name means the signal; write {other!r} for the files' column.",
        )
        for name, other in renamed.items()
    ]


def _empty_files(shards: Sequence[Shard]) -> list[Problem]:
    empty = [s.path for s in shards if s.rows == 0]
    return [Problem("empty file", "note", len(empty), f"{len(empty)} files hold no rows.", tuple(empty[:20]))] if empty else []


def _schema_differences(shards: Sequence[Shard], roles: Roles) -> list[Problem]:
    merged = merged_schema(shards)
    found = []
    by_case: dict[str, list[str]] = {}
    for name in merged.names:
        by_case.setdefault(name.lower(), []).append(name)
    found += [
        Problem(
            "names differ in capitals",
            "error",
            len(names),
            f"Columns {' and '.join(map(repr, names))} of different files differ in capitals alone: SQL takes them for one column, signals and filters for several. Rename them alike.",
        )
        for names in by_case.values()
        if len(names) > 1
    ]
    for item in merged:
        lacking = [s.path for s in shards if item.name not in s.schema.names]
        if lacking:
            severity: Literal["error", "note"] = "error" if item.name == roles.text else "note"
            found.append(
                Problem(
                    "missing column",
                    severity,
                    len(lacking),
                    f"Column {item.name!r} is not in {len(lacking)} of {len(shards)} files; it is null there.",
                    tuple(lacking[:20]),
                )
            )
        kinds = {str(s.schema.field(item.name).type) for s in shards if item.name in s.schema.names}
        if len(kinds) > 1:
            found.append(
                Problem(
                    "mixed types",
                    "warning",
                    len(kinds),
                    f"Column {item.name!r} has different types in different files: {', '.join(sorted(kinds))}. DuckDB reads it as a common type.",
                )
            )
    return found


def _text_nulls(shards: Sequence[Shard], roles: Roles) -> list[Problem]:
    counts = [group.nulls.get(roles.text) for shard in shards for group in shard.row_groups if roles.text in shard.schema.names]
    nulls = sum(c for c in counts if c)
    if not nulls:
        return []
    return [
        Problem(
            "null text",
            "warning",
            nulls,
            f"{nulls:,} documents have no text (null). Their signals are null, and every threshold drops them.",
        )
    ]


def _row_groups(shards: Sequence[Shard], roles: Roles) -> list[Problem]:
    found = []
    huge = [s.path for s in shards if any(g.sizes.get(roles.text, 0) > HUGE_ROW_GROUP for g in s.row_groups)]
    if huge:
        found.append(
            Problem(
                "huge row groups",
                "warning",
                len(huge),
                f"{len(huge)} files have row groups of more than 512 MB of text: opening one document reads much, and an interrupted job repeats more. Rewrite with about 25,000 rows a group.",
                tuple(huge[:20]),
            )
        )
    blind = [s.path for s in shards if not s.page_index and any(g.sizes.get(roles.text, 0) > 64 * 1024**2 for g in s.row_groups)]
    if blind:
        found.append(
            Problem(
                "no page index",
                "note",
                len(blind),
                f"{len(blind)} files with large row groups have no page index, so readers cannot skip inside a group. Rewrite with write_page_index=True to browse faster.",
                tuple(blind[:20]),
            )
        )
    return found


def _columns(shards: Sequence[Shard]) -> list[Problem]:
    found = []
    schema = merged_schema(shards)
    nested = [f.name for f in schema if pa.types.is_nested(f.type)]
    binary = [f.name for f in schema if pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type)]
    if nested:
        found.append(
            Problem(
                "nested columns",
                "note",
                len(nested),
                f"Nested columns are shown as they are and cannot be thresholded: {', '.join(nested)}. Reach inside them with SQL.",
            )
        )
    if binary:
        found.append(Problem("binary columns", "note", len(binary), f"Binary columns are not shown: {', '.join(binary)}."))
    return found
