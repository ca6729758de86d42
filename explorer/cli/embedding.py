"""``explorer embed``: a vector for every document, by a sentence-transformers or model2vec model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from explorer.cli.options import corpus_options, json_option, opened, scope_options
from explorer.cli.output import print_json
from explorer.cli.scoring import as_record, rows_of, watched
from explorer.errors import SelectionError
from explorer.models.hub import MINILM

if TYPE_CHECKING:
    import numpy as np

    from explorer.jobs import Reporter


@click.command()
@corpus_options
@click.option("--model", default=MINILM, metavar="MODEL", help=f"Hub id, folder, bundled name, or static:NAME [default: {MINILM}].")
@click.option("--revision", metavar="COMMIT", help="Of a hub id: commit, branch or tag.")
@click.option("--prefix", metavar="TEXT", help="Put before documents [default: what the model's configuration says].")
@click.option("--query-prefix", metavar="TEXT", help="Put before queries [default: what the model's configuration says].")
@click.option("--pooling", metavar="NAME", help="mean, cls, lasttoken or max instead of the model's own.")
@click.option("--dimension", type=click.IntRange(1), help="Keep only the first so many numbers of a vector (Matryoshka models).")
@click.option("--max-length", type=click.IntRange(1), help="Tokens read of a document [default: what the model's configuration says].")
@click.option("--dtype", metavar="NAME", help="auto, float32, bfloat16 or float16 [default: auto, the device's fast one].")
@click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps [default: auto].")
@click.option("--workers", type=click.IntRange(1), help="Processes [default: one for every GPU there is].")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many documents.")
@click.option("--rows", metavar="N,N-N,…", help="Only documents of these numbers, such as 0-99,250.")
@click.option("--again", is_flag=True, help="Remove this model's vectors of the files first and compute them anew.")
@scope_options
@json_option
@click.pass_obj
def embed(
    reporter: Reporter | None,
    paths: tuple[str, ...],
    workspace: str | None,
    model: str,
    revision: str | None,
    prefix: str | None,
    query_prefix: str | None,
    pooling: str | None,
    dimension: int | None,
    max_length: int | None,
    dtype: str | None,
    device: str,
    workers: int | None,
    limit: int | None,
    rows: str | None,
    again: bool,
    filters: str | None,
    sample: int | None,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Compute a vector for every document that lacks one, or for those of a selection or sample.

    Search by meaning, the map, themes and near-duplicates in meaning read them. It may be stopped at any time (Ctrl-C): the piece in
    flight is finished and kept, and the same command carries on.

    \b
    explorer embed data/
    explorer embed data/ --model static:all-MiniLM-L6-v2
    explorer embed data/ --model BAAI/bge-m3 --sample 5000 --device cuda
    """  # noqa: D301
    from explorer.embeddings.embed import embed as compute
    from explorer.embeddings.store import stored

    corpus = opened(paths, workspace, options)
    if rows is not None and (filters is not None or sample is not None):
        raise SelectionError("Documents were named by --rows and by --filters or --sample. One of them says which. Leave the other out.")
    chosen = rows_of(corpus, filters, sample, seed) if rows is None else numbered(rows)
    how: dict[str, Any] = {
        "prefix": prefix,
        "query_prefix": query_prefix,
        "pooling": pooling,
        "dimension": dimension,
        "max_length": max_length,
        "dtype": dtype,
    }
    how |= {"revision": revision, "rows": chosen, "limit": limit, "again": again, "device": device, "workers": workers}
    report = watched("embedding", reporter, lambda **seen: compute(corpus, model, **how, **seen))
    there = next((s for s in stored(corpus) if s.side.family == report.families[0]), None)
    if as_json:
        shown = {} if there is None else {"model": there.model, "revision": there.revision, "dimension": there.dimension}
        print_json(as_record(report) | shown | {"workspace": str(corpus.workspace.path)})
        return
    click.echo(str(report))
    nulls = report.nulls.get("embedding", 0)
    if nulls:
        click.echo(f"without a vector (null or blank text): {nulls:,}")
    if there is not None:
        click.echo(f"{there.rows:,} of {len(corpus):,} documents are embedded with {there.model} ({there.dimension} dimensions)")


def numbered(rows: str) -> np.ndarray:
    """Document numbers from ``0-99,250``.

    Raises:
        SelectionError: it cannot be read.

    """
    import numpy as np

    found = []
    for part in rows.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
            raise SelectionError(f"Rows {part.strip()!r} cannot be read. They are numbers and ranges, from 0. Example: --rows 0-99,250")
        found.append(np.arange(int(first), int(last or first) + 1))
    return np.unique(np.concatenate(found))
