"""Commands that teach: labels of documents, scorers trained from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from explorer.cli.options import corpus_options, json_option, opened, workspace_option
from explorer.cli.output import No, Stopped, note, print_json, print_table

if TYPE_CHECKING:
    from explorer.jobs import Reporter
    from explorer.scorers import Scorer


@click.group()
def labels() -> None:
    """List, import and export labels; find those given to another copy of the corpus."""


@labels.command("list")
@corpus_options
@json_option
def list_(paths: tuple[str, ...], workspace: str | None, as_json: bool, **options: Any) -> None:
    """List the labelled documents of a corpus. Exit code 1 when there are none."""
    from explorer.labels import Labels

    corpus = opened(paths, workspace, options)
    known = Labels(corpus.workspace)
    frame = known.of(corpus)
    if as_json:
        print_json([record | {"created": record["created"].isoformat()} for record in frame.iter_rows(named=True)])
    else:
        print_table(
            "Labels",
            ["row", "id", "label", "note", "annotator", "created"],
            frame.select("row", "id", "label", "note", "annotator", "created").rows(),
        )
    note(str(known.found(corpus)))
    if not frame.height:
        raise No("No document of this corpus is labelled.")


@labels.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@corpus_options
@click.option("--annotator", default="", metavar="NAME", help="Whose labels they are.")
def import_(file: str, paths: tuple[str, ...], workspace: str | None, annotator: str, **options: Any) -> None:
    """Read labels from .csv or .parquet: a column label, and id, row or text_hash; one step of undo."""
    from explorer.labels import Labels

    corpus = opened(paths, workspace, options)
    known = Labels(corpus.workspace, annotator)
    step, unknown = known.load(file, corpus)
    click.echo(f"{step.documents:,} labels read, {step.changed:,} documents changed.")
    if step.without_text:
        note(f"{step.without_text:,} documents have no text and were not labelled.")
    if unknown:
        note(f"{len(unknown):,} documents are not in this corpus, such as: {', '.join(unknown[:5])}")
    known.of(corpus)
    note(str(known.found(corpus)))


@labels.command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@workspace_option
@click.option("--text", "role_text", metavar="COLUMN", help="Column that holds the text instead of the one detected.")
@click.option("--id", "role_id", metavar="COLUMN", help="Column that holds the id instead of the one detected.")
def export(file: str, paths: tuple[str, ...], workspace: str | None, **options: Any) -> None:
    """Write labels as .csv or .parquet: those of a corpus with their rows, or without a PATH all of the workspace."""
    from explorer.corpus.workspace import Workspace
    from explorer.labels import Labels

    corpus = opened(paths, workspace, options) if paths else None
    n = Labels(corpus.workspace if corpus is not None else Workspace(workspace)).export(file, corpus)
    click.echo(f"{n:,} labels written to {file}")


@labels.command()
@corpus_options
def find(paths: tuple[str, ...], workspace: str | None, **options: Any) -> None:
    """Look by text for labels that were given to other files: every text is read once."""
    from explorer.cli.scoring import stopping
    from explorer.labels import Labels

    corpus = opened(paths, workspace, options)
    with stopping() as cancel:
        found = Labels(corpus.workspace).find(corpus, cancel=cancel)
    if cancel.is_set():
        raise Stopped("Stopped: nothing was remembered. Run the same command again.")
    click.echo(str(found))


@labels.command()
@workspace_option
@click.option("--annotator", default="", metavar="NAME", help="Whose last step.")
@click.option("--redo", "again", is_flag=True, help="Do again what was taken back last.")
def undo(workspace: str | None, annotator: str, again: bool) -> None:
    """Take back the last step of labelling. Exit code 1 when there is none."""
    from explorer.corpus.workspace import Workspace
    from explorer.labels import Labels

    known = Labels(Workspace(workspace), annotator)
    step = known.redo() if again else known.undo()
    if step is None:
        raise No("There is nothing to take back." if not again else "There is nothing to do again.")
    left = f"; {step.left:,} were changed since and stay" if step.left else ""
    click.echo(f"{'Done again' if again else 'Taken back'}: {step.what} ({step.changed:,} documents{left})")


@click.command()
@corpus_options
@click.option("--name", required=True, metavar="NAME", help="Of the scorer; its column will be scorer_NAME.")
@click.option("--kind", type=click.Choice(["logistic", "ridge", "fasttext"]), help="[default: what fits: classes logistic, numbers ridge]")
@click.option(
    "--labels",
    "file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Labels file, imported first [default: the workspace's labels].",
)
@click.option("--column", metavar="COLUMN", help="Learn from a column or signal instead of labels.")
@click.option("--positive", metavar="LABEL", help="The label that counts as 1 [default: good, 1 or true].")
@click.option(
    "--model", metavar="MODEL", help="Encoder whose embeddings are read, or: words [default: the corpus' embeddings, else words]."
)
@click.option(
    "--holdout",
    type=click.FloatRange(0.05, 0.5),
    default=0.25,
    help="Share held out where there are 2,000 examples or more [default: 0.25].",
)
@click.option("--seed", type=int, default=0, help="Of every random choice [default: 0].")
@click.option("--apply", "apply_it", is_flag=True, help="Then score the corpus with it.")
@json_option
@click.pass_obj
def train(
    reporter: Reporter | None,
    paths: tuple[str, ...],
    workspace: str | None,
    name: str,
    kind: str | None,
    file: str | None,
    column: str | None,
    positive: str | None,
    model: str | None,
    holdout: float,
    seed: int,
    apply_it: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a scorer from labels or a column, and say how good it is on documents it was not trained on.

    \b
    explorer train data/ --name mine
    explorer train data/ --name influence --column reference_loss
    explorer train data/ --name fast --kind fasttext --column chosen --positive 1
    """  # noqa: D301
    from explorer import scorers
    from explorer.labels import Labels

    corpus = opened(paths, workspace, options)
    if file is not None and column is None:
        step, unknown = Labels(corpus.workspace).load(file, corpus)
        note(f"{step.documents:,} labels read from {file}, {len(unknown):,} of them for documents that are not here")

    def show(done: int, total: int, doing: str) -> None:
        if reporter is not None:
            reporter.show(done, total, None, None, doing)

    made = scorers.train(
        corpus, name, kind=kind, column=column, positive=positive, model=model, holdout=holdout, seed=seed, on_progress=show
    )
    applied = _apply(corpus, name, reporter) if apply_it else None
    if as_json:
        print_json(described(made) | ({"scored": applied.scored, "documents": applied.documents} if applied else {}))
        return
    click.echo(str(made))
    for heading, key in (("for", "for"), ("against", "against")):
        found = [word for word, _ in made.telling.get(key, ())][:12]
        click.echo(
            f"words {heading}: {', '.join(found) or 'none'}   ({made.telling.get('how', '')})"
            if heading == "for"
            else f"words {heading}: {', '.join(found) or 'none'}"
        )
    if applied is not None:
        click.echo(str(applied))
    else:
        note(f"Score the corpus with it: explorer scorers apply {name} PATH")


@click.group("scorers")
def scorers_() -> None:
    """List trained scorers, score a corpus with one, write one for a pipeline."""


@scorers_.command("list")
@workspace_option
@json_option
def list_scorers(workspace: str | None, as_json: bool) -> None:
    """List the scorers of a workspace."""
    from explorer import scorers
    from explorer.corpus.workspace import Workspace

    space = Workspace(workspace)
    known = [scorers.load(name, space) for name in scorers.names(space)]
    if as_json:
        print_json([described(s) for s in known])
        return
    rows = [(s.name, s.kind, s.reads, s.n, s.source, *_figure(s), s.made) for s in known]
    print_table("Scorers", ["scorer", "kind", "reads", "documents", "learned from", "figure", "value", "low", "high", "made"], rows)


@scorers_.command()
@click.argument("name")
@corpus_options
@json_option
@click.pass_obj
def apply(reporter: Reporter | None, name: str, paths: tuple[str, ...], workspace: str | None, as_json: bool, **options: Any) -> None:
    """Score a corpus: fill the column scorer_NAME, from stored embeddings where the scorer reads them."""
    corpus = opened(paths, workspace, options)
    done = _apply(corpus, name, reporter)
    if as_json:
        print_json({"column": done.column, "documents": done.documents, "scored": done.scored, "without_vector": done.without_vector})
        return
    click.echo(str(done))


@scorers_.command("export")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False))
@workspace_option
def export_scorer(name: str, file: str, workspace: str | None) -> None:
    """Write a scorer for pipelines: fastText .bin, or .npz with its formula in .json."""
    from explorer import scorers
    from explorer.corpus.workspace import Workspace

    for path in scorers.export(scorers.load(name, Workspace(workspace)), Path(file)):
        click.echo(str(path))


def _apply(corpus: Any, name: str, reporter: Reporter | None) -> Any:
    from explorer import scorers
    from explorer.cli.scoring import stopping

    def show(progress: Any) -> None:
        if reporter is not None:
            reporter.show(progress.done_rows, progress.total_rows, progress.rate, progress.remaining, progress.doing)

    with stopping() as cancel:
        done = scorers.apply(corpus, name, on_progress=show, cancel=cancel)
    if done.cancelled:
        raise Stopped(str(done))
    return done


def described(scorer: Scorer) -> dict[str, Any]:
    """A scorer for ``--json``."""
    from dataclasses import asdict

    return asdict(scorer) | {"folder": str(scorer.folder), "column": scorer.column}


def _figure(scorer: Scorer) -> tuple[str, float, float, float]:
    key = "auc" if scorer.positive else "spearman"
    m = scorer.metrics
    return key, m[key], m[f"{key}_low"], m[f"{key}_high"]
