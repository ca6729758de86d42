"""Commands that put corpora together: a mixture, a trainer's files, and the proof that they are still true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from explorer.cli.options import json_option, workspace_option
from explorer.cli.output import No, note, print_json, print_table
from explorer.errors import ExportError

COLUMNS = ["stage", "source", "documents", "tokens", "share", "epochs", "effective tokens"]


@click.command()
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path), metavar="RECIPE.yaml")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder for the manifest.")
@click.option("--preview", is_flag=True, help="Say what it comes to, and write nothing.")
@workspace_option
@json_option
def mix(recipe: Path, out: Path | None, preview: bool, workspace: str | None, as_json: bool) -> None:
    """Mix sources into a manifest: which documents a model will see in which stage, how often and in which order."""
    if (out is None) != preview:
        raise click.UsageError("Give either --out DIR, to write the manifest there, or --preview, to write nothing.")
    if out is None:
        _preview(recipe, workspace, as_json)
        return
    from explorer.manifest.recipe import mix_recipe

    manifest = mix_recipe(recipe, out, workspace=workspace)
    if as_json:
        print_json(manifest.to_dict())
    else:
        _stages([(s.name, s.share, s.documents, s.tokens, s.sequence_length or manifest.sequence_length) for s in manifest.stages])
        print_table(
            "Mixture",
            COLUMNS,
            [
                (s.name, c.source, r.documents, r.tokens, r.weight, r.epochs, r.effective_tokens)
                for s in manifest.stages
                for c in s.components
                for r in [c.resolved]
            ],
        )
    for warning in manifest.warnings:
        note(f"warning: {warning}")
    note(f"Wrote {out}. Check it: explorer verify {out}. Export it: explorer export {out} --to TRAINER --out DIR")


def _preview(recipe: Path, workspace: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from explorer.mixture.model import load_mixture
    from explorer.mixture.preview import count_mixture, preview

    mixture = load_mixture(recipe)
    shown = preview(mixture, count_mixture(mixture, workspace=workspace))
    if as_json:
        print_json(asdict(shown))
    else:
        _stages([(s.name, s.share, s.documents, s.tokens, s.sequence_length or mixture.sequence_length) for s in shown.stages])
        parts = [(s.name, p.source, p.documents, p.tokens, p.weight, p.epochs, p.effective_tokens) for s in shown.stages for p in s.parts]
        print_table("Mixture", COLUMNS, parts)
        print_table(
            "Sources",
            ["source", "epochs", "different documents", "verdict"],
            [(s.name, s.epochs, s.different, s.verdict) for s in shown.sources],
        )
    for warning in shown.warnings:
        note(f"warning: {warning}")
    note("Nothing was written.")


def _stages(stages: list[tuple[str, float, int, float, int | None]]) -> None:
    if len(stages) > 1:
        print_table("Stages", ["stage", "share", "documents", "tokens", "sequence length"], stages)


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), metavar="MANIFEST")
@click.option("--to", required=True, metavar="TRAINER", help="Whose files to write; a wrong name lists them.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder for the trainer's files."
)
@click.option("--root", type=click.Path(file_okay=False), metavar="DIR", help="Where the source files are now, if they were moved.")
@click.option("-o", "--option", "given", multiple=True, metavar="KEY=VALUE", help="An exporter's option; repeatable.")
@json_option
def export(manifest: Path, to: str, out: Path, root: str | None, given: tuple[str, ...], as_json: bool) -> None:
    """Write a manifest as a trainer's own files, and say what they cannot express."""
    from explorer.exporters import export as write

    report = write(manifest, to=to, out=out, root=root, **_options(given))
    if as_json:
        lost = [dict(item.__dict__) for item in report.loss.items]
        print_json({"exporter": report.exporter, "folder": report.folder, "files": [str(f) for f in report.files], "loss": lost})
    else:
        print_table(
            "What the files keep of the manifest", ["field", "how", "reason"], [(i.field, i.how, i.reason) for i in report.loss.items]
        )
    note(f"Wrote {len(report.files):,} files to {report.folder}. Check them: explorer verify {report.folder}")


def _options(given: tuple[str, ...]) -> dict[str, Any]:
    import yaml

    found = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise ExportError(f"Option {item!r} cannot be read. It is KEY=VALUE. Example: -o columns=text")
        found[key.strip()] = yaml.safe_load(value)
    return found


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="MANIFEST_OR_DIR")
@click.option("--root", type=click.Path(file_okay=False), metavar="DIR", help="Where the source files are now, if they were moved.")
@workspace_option
@json_option
def verify(path: Path, root: str | None, workspace: str | None, as_json: bool) -> None:
    """Hash and count again what a manifest or an export names; exit code 1 when something changed."""
    from explorer.exporters import is_export, recounted
    from explorer.manifest.verify import verify as check

    report = check(path, root=root, workspace=workspace)
    if is_export(path):
        report = replace(report, checks=(*report.checks, *recounted(path)))
    if as_json:
        print_json(report.to_dict())
    else:
        print_table("Checks", ["status", "check", "finding"], [(c.status, c.name, c.message) for c in report.checks])
    if not report.ok:
        raise No(
            f"{len(report.failures):,} of {len(report.checks):,} checks failed: {'; '.join(f'{c.name}: {c.message}' for c in report.failures)}"
        )
