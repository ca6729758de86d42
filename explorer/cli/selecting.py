"""Commands that choose: recipes, and counts of a selection."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from explorer.cli.options import corpus_options, json_option, opened, place
from explorer.cli.output import No, note, print_json, print_table
from explorer.errors import SelectionError

if TYPE_CHECKING:
    from explorer.jobs import Reporter
    from explorer.selection.filters import Filters


@click.command()
@click.argument("name", required=False)
@json_option
def recipes(name: str | None, as_json: bool) -> None:
    """List published filters that ship, or print one as a filters file."""
    from explorer.selection.recipes import recipes as known

    if name is not None:
        found = known[name]
        print_json(found.to_dict()) if as_json else click.echo(found.to_yaml(), nl=False)
        return
    if as_json:
        print_json({key: found.to_dict() for key, found in known.items()})
        return
    rows = [(key, len(found.filters), found.about, found.source) for key, found in known.items()]
    print_table("Recipes", ["recipe", "thresholds", "about", "source"], rows)


@click.command()
@corpus_options
@click.option(
    "--filters", "files", multiple=True, metavar="FILE.yaml|recipe:NAME", help="Filters file or recipe; later ones add to earlier ones."
)
@click.option("--where", metavar="SQL", help="Predicate over columns and signals that must also hold.")
@click.option("--score", "compute_missing", is_flag=True, help="Compute the signals that the filters need first.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the selection as a manifest; its filters are in manifest.json.",
)
@json_option
@click.pass_obj
def select(
    reporter: Reporter | None,
    paths: tuple[str, ...],
    workspace: str | None,
    files: tuple[str, ...],
    where: str | None,
    compute_missing: bool,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Count what filters keep, by source and by reason. Exit code 1 when nothing matches."""
    from explorer.selection.filters import Filters
    from explorer.selection.needs import needs

    filters = Filters()
    for file in files:
        filters = filters | load_filters(file) if filters else load_filters(file)
    if where:
        filters = filters | Filters(where=where)
    if not filters:
        raise click.UsageError(
            "No filter was given. Give --filters FILE.yaml, --filters recipe:NAME or --where SQL.", click.get_current_context()
        )
    corpus = opened(paths, workspace, options)
    lacking = list(needs(corpus, filters).families)
    if lacking and compute_missing:
        from explorer.cli.scoring import compute

        compute(corpus, lacking, reporter)
    elif lacking:
        raise SelectionError(
            f"The filters need {', '.join(lacking)}, which {'has' if len(lacking) == 1 else 'have'} not been computed. Compute them: "
            f"explorer score {place(paths, workspace, options).command()} -s {','.join(lacking)}   (or add --score to this command)"
        )
    kept = corpus.select(filters)
    summary = kept.summary()
    if as_json:
        print_json(
            {
                "filters": filters.to_dict(),
                "documents": summary.documents,
                "kept_documents": summary.kept_documents,
                "tokens": summary.tokens,
                "kept_tokens": summary.kept_tokens,
                "tokens_label": summary.tokens_label,
                "tokens_estimated": summary.estimated,
                "sources": summary.sources.to_dicts(),
                "reasons": summary.reasons.to_dicts(),
                "warnings": list(summary.warnings),
                "sql": kept.sql(),
            }
        )
    else:
        click.echo(str(summary))
        print_table("By source", summary.sources.columns, summary.sources.rows())
        shown = [
            "reason",
            "rule",
            "alone_documents",
            "only_this_documents",
            "first_documents",
            "first_tokens",
            "null_documents",
            "unscored_documents",
        ]
        print_table("By reason", shown, summary.reasons.select(shown).rows())
    for warning in summary.warnings:
        note(f"warning: {warning}")
    if not summary.kept_documents:
        raise No("Nothing matched.")
    if out is not None:
        from explorer.manifest.write import mix

        mix({"selection": kept}, name="selection", out=out)
        note(f"Wrote {out}. Check it: explorer verify {shlex.quote(str(out))}")


def load_filters(name: str) -> Filters:
    """A filters file, ``recipe:NAME``, or a recipe's bare name where no file is called so."""
    from explorer.selection.filters import Filters
    from explorer.selection.recipes import recipes as known

    if name.startswith("recipe:") or (name in known and not Path(name).exists()):
        return known[name.removeprefix("recipe:")]
    return Filters.load(name)
