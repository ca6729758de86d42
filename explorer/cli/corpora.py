"""Commands about corpora themselves: what is in one, the sample, and conversion of JSON Lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from explorer.cli.options import corpus_options, json_option, place
from explorer.cli.output import No, note, plain, print_json, print_table

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

MOST_SOURCES = 1000


@click.command()
@corpus_options
@json_option
def info(paths: tuple[str, ...], workspace: str | None, as_json: bool, **options: Any) -> None:
    """Say what is in a corpus: roles, documents, bytes, sources, schema, problems, what is computed."""
    corpus = place(paths, workspace, options).open()
    said = describe(corpus)
    if as_json:
        print_json(said)
        return
    click.echo(
        f"{len(corpus):,} documents in {len(corpus.shards):,} files, {corpus.size / 1e6:,.1f} MB ({corpus.text_size / 1e6:,.1f} MB of text)"
    )
    click.echo(f"workspace {plain(corpus.workspace.path)}")
    print_table("Roles", ["role", "column"], said["roles"].items())
    print_table("Sources", ["source", "documents"], [(s["source"], s["documents"]) for s in said["sources"]])
    print_table("Columns", ["column", "type"], [(c["column"], c["type"]) for c in said["schema"]])
    if said["problems"]:
        print_table("Problems", ["severity", "what", "message"], [(p["severity"], p["kind"], p["message"]) for p in said["problems"]])
    rows = [(c["family"], c["version"], c["documents"], c["share"], ", ".join(c["signals"])) for c in said["computed"]]
    print_table("Computed", ["family", "version", "documents", "share", "signals"], rows)


def describe(corpus: Corpus) -> dict[str, Any]:
    """What ``explorer info --json`` prints."""
    coverage = corpus.coverage()
    computed = []
    for side in coverage.sidecars:
        documents = sum(side.scored_rows(s) for s in corpus.shards)
        share = documents / len(corpus) if len(corpus) else None
        about = {"family": side.family, "version": side.version, "parameters": dict(side.parameters), "signals": list(side.columns)}
        computed.append({**about, "documents": documents, "share": share})
    return {
        "paths": list(corpus.paths),
        "workspace": str(corpus.workspace.path),
        "fingerprint": corpus.fingerprint,
        "documents": len(corpus),
        "files": len(corpus.shards),
        "bytes": corpus.size,
        "text_bytes": corpus.text_size,
        "roles": corpus.roles.assigned(),
        "sources": sources(corpus),
        "schema": [{"column": f.name, "type": str(f.type)} for f in corpus.schema],
        "problems": [
            {"kind": p.kind, "severity": p.severity, "count": p.count, "message": p.message, "where": list(p.where)}
            for p in corpus.problems
        ],
        "computed": computed,
    }


def sources(corpus: Corpus) -> list[dict[str, Any]]:
    """Documents a source, largest first; without a source column, a folder or file is a source."""
    import duckdb
    import numpy as np

    from explorer.corpus.database import quote

    column = corpus.roles.source
    if column:
        sql = f"SELECT CAST({quote(column)} AS VARCHAR) AS source, count(*) AS documents FROM {corpus.database.source()} GROUP BY 1 ORDER BY 2 DESC, 1"
        try:
            found = corpus.database.frame(sql).to_dicts()
        except duckdb.Error as error:
            note(f"warning: the sources could not be counted: {str(error).splitlines()[0]}")
            return []
        if len(found) > MOST_SOURCES:
            note(
                f"{len(found):,} different values in {column!r}; the {MOST_SOURCES:,} largest are shown. If that is no source, name another: --source COLUMN"
            )
        return found[:MOST_SOURCES]
    groups = corpus.columns.groups("source")
    counts = np.bincount(groups.codes, minlength=len(groups.labels))
    return [{"source": label, "documents": int(n)} for label, n in zip(groups.labels, counts, strict=True)]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--from-python", is_flag=True, help="Instead a larger real corpus from what Python and this machine bring: source, docs, licences."
)
@click.option(
    "--copies",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="With --from-python: variants of each document, 1 word in 16 replaced.",
)
@click.option("--max-bytes", type=click.IntRange(1), help="With --from-python: stop at about so many bytes of text.")
def sample(folder: Path, from_python: bool, copies: int, max_bytes: int | None) -> None:
    """Write the sample corpora into DIR: small, with known defects; or a larger one to try speed on."""
    import json

    from explorer.sample import write_python_corpus, write_sample

    if not from_python:
        write_sample(folder)
        note(f"The sample is in {folder}. Look at it: explorer app {folder / 'corpus'}")
        return
    write_python_corpus(folder, copies=copies, max_bytes=max_bytes)
    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    print_table(
        "Documents by source",
        ["source", "documents", "bytes"],
        [(s, c["documents"], c["text_bytes"]) for s, c in counts["sources"].items()],
    )
    note(f"The corpus is in {folder}. Look at it: explorer app {folder}")


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder for the Parquet files.")
@click.option("--rows-per-group", default=25_000, show_default=True, type=click.IntRange(1), help="Documents a row group.")
@click.option("--overwrite", is_flag=True, help="Replace Parquet files of the same names.")
@json_option
def import_(paths: tuple[str, ...], out: Path, rows_per_group: int, overwrite: bool, as_json: bool) -> None:
    """Convert JSON Lines (.jsonl, .json, .ndjson; plain, .gz or .zst) to Parquet, once.

    Lines that are no JSON object are left out, named, and kept beside the result in NAME.rejected.txt.
    """
    from explorer.corpus.convert import import_jsonl

    done = import_jsonl(paths, out, rows_per_group=rows_per_group, overwrite=overwrite)
    for line in done.rejected[:20]:
        note(f"left out: {line}")
    if len(done.rejected) > 20:
        note(f"… and {len(done.rejected) - 20:,} more lines; all are in the .rejected.txt files in {out}")
    if as_json:
        said = {
            "rows": done.rows,
            "files": [str(f) for f in done.files],
            "rejected": [str(r) for r in done.rejected],
            "notes": list(done.notes),
        }
        print_json(said)
    else:
        for text in done.notes:
            note(text)
        print_table("Written", ["file"], [(str(f),) for f in done.files])
        note(f"{done.rows:,} documents in {len(done.files):,} files; {len(done.rejected):,} lines left out")
    if not done.rows:
        raise No("No document was found in these files.")
