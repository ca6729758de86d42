"""``explorer search``: by words, expressions or meaning."""

from __future__ import annotations

from typing import Any

import click

from explorer.cli.options import corpus_options, json_option, opened
from explorer.cli.output import No, note, print_json


@click.command()
@click.argument("query")
@corpus_options
@click.option("--mode", type=click.Choice(["contains", "regex", "meaning"]), default="contains", help="[default: contains]")
@click.option("--like", type=click.IntRange(0), metavar="ROW", help="Instead of a query (give it as ''): documents like this one.")
@click.option("-n", "--most", type=click.IntRange(1), default=20, metavar="N", help="Documents shown [default: 20].")
@click.option("--case", is_flag=True, help="Capitals count.")
@click.option(
    "--filters", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Only among documents that pass a filters file."
)
@json_option
def search(
    query: str,
    paths: tuple[str, ...],
    workspace: str | None,
    mode: Any,
    like: int | None,
    most: int,
    case: bool,
    filters: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Find documents by what they say (contains, regex) or by what they mean (meaning; see explorer embed)."""
    from explorer.selection.filters import Filters

    corpus = opened(paths, workspace, options)
    within = corpus.select(Filters.load(filters)) if filters else None
    found = (
        corpus.similar(like, n=most, within=within)
        if like is not None
        else corpus.search(query, mode=mode, n=most, within=within, match_case=case)
    )
    roles = corpus.roles
    lines = [
        {
            "row": record["_row"],
            "score": record["score"],
            "id": record.get(roles.id or ""),
            "source": record.get(roles.source or ""),
            "text": " ".join((record[roles.text] or "")[:400].split())[:200],
        }
        for record in found.iter_rows(named=True)
    ]
    if as_json:
        print_json(lines)
    for line in lines if not as_json else []:
        score = f"{line['score']:.3f}  " if line["score"] is not None else ""
        source = f"  {line['source']}" if line["source"] is not None else ""
        click.echo(f"{score}row {line['row']:,}{source}  {line['text']}")
    if not lines:
        raise No(f"0 of {len(corpus):,} documents match {query!r}. Loosen the search, or try --mode meaning.")
    note(f"{len(lines)} shown")
