"""Commands that put corpora together: a mixture, a trainer's files, and the proof that they are still true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from explorer.cli.options import json_option, workspace_option
from explorer.cli.output import No, note, print_json, print_table
from explorer.errors import ExportError


@click.command()
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path), metavar="RECIPE.yaml")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder for the manifest.")
@workspace_option
@json_option
def mix(recipe: Path, out: Path, workspace: str | None, as_json: bool) -> None:
    """Mix sources into a manifest: which documents a model will see, how often and in which order."""
    from explorer.manifest.recipe import mix_recipe

    manifest = mix_recipe(recipe, out, workspace=workspace)
    if as_json:
        print_json(manifest.to_dict())
    else:
        columns = ["stage", "source", "documents", "tokens", "share", "epochs", "effective tokens"]
        rows = []
        for stage in manifest.stages:
            total = sum(c.resolved.tokens for c in stage.components)
            for c in stage.components:
                done = c.resolved
                rows.append(
                    (
                        stage.name,
                        c.source,
                        done.documents,
                        done.tokens,
                        done.tokens / total if total else None,
                        done.epochs,
                        done.effective_tokens,
                    )
                )
        print_table("Mixture", columns, rows)
    for warning in manifest.warnings:
        note(f"warning: {warning}")
    note(f"Wrote {out}. Check it: explorer verify {out}. Export it: explorer export {out} --to TRAINER --out DIR")


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
    from explorer.manifest.verify import verify as check

    report = check(path, root=root, workspace=workspace)
    if as_json:
        print_json(report.to_dict())
    else:
        print_table("Checks", ["status", "check", "finding"], [(c.status, c.name, c.message) for c in report.checks])
    if not report.ok:
        raise No(
            f"{len(report.failures):,} of {len(report.checks):,} checks failed: {'; '.join(f'{c.name}: {c.message}' for c in report.failures)}"
        )
