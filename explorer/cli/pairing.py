"""The command that audits rewrites against their originals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from explorer.cli.options import json_option, role_options, scope_options, workspace_option
from explorer.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    import numpy as np

    from explorer.jobs import Reporter
    from explorer.rewrites.pairs import Pairs

NAME = "faithfulness"
MANY = 5_000  # pairs: a CPU reads a few a second for faithfulness


@click.command()
@click.argument("originals", metavar="ORIGINALS")
@click.argument("rewrites", nargs=-1, metavar="[REWRITES...]")
@click.option("--on", metavar="COLUMN", help="Column that says which original a rewrite is of; ORIGINALS=REWRITES where its names differ [default: the originals' id].")  # fmt: skip
@workspace_option
@role_options
@click.option("-s", "--checks", "names", multiple=True, default=("audit", NAME), metavar="NAME[,NAME…]", help="Checks and signals; none: '' [default: audit,faithfulness].")  # fmt: skip
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="FAMILY.KEY=VALUE", help="A check's parameter; repeatable.")
@click.option("--by", metavar="GROUP", help="Group by method, style, 'original source', 'original language', length or a column [default: the first of them that is there].")  # fmt: skip
@click.option("--worst", type=click.IntRange(0), default=10, metavar="N", help="Show so many of the worst pairs, with what the checks say [default: 10].")  # fmt: skip
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write a row for each pair, its columns but the texts, and all that was computed, as Parquet.",
)
@scope_options
@click.option("--device", default="auto", metavar="DEVICE", help="What models run on: auto, cpu, cuda, cuda:1, mps [default: auto].")
@json_option
@click.pass_obj
def pairs(
    reporter: Reporter | None,
    originals: str,
    rewrites: tuple[str, ...],
    on: str | None,
    workspace: str | None,
    names: tuple[str, ...],
    parameters: tuple[str, ...],
    by: str | None,
    worst: int,
    out: str | None,
    filters: str | None,
    sample: int | None,
    seed: int,
    device: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Audit rewrites against their originals: what was lost, invented, turned round; by method, the worst first.

    One file whose rows hold both texts is ORIGINALS alone. What was computed before is not computed again.

    \b
    explorer pairs originals.parquet rewrites.parquet --on doc_id
    explorer pairs both.parquet --original text --text rewrite --sample 2000 --out checks.parquet
    """  # noqa: D301
    import numpy as np

    from explorer.cli.options import opened
    from explorer.cli.scoring import compute, parse_parameters, rows_of
    from explorer.errors import CorpusError
    from explorer.rewrites.figures import breakdown, possible
    from explorer.rewrites.pairs import Pairs
    from explorer.rewrites.place import Place

    if rewrites:
        found = opened(rewrites, workspace, {**options, "originals": (originals,), "on": on})
    else:
        if on:
            raise CorpusError(
                "--on joins two sets of files, and only one was named. Name the rewrites after the originals, or leave --on out."
            )
        found = opened((originals,), workspace, options)
    if not isinstance(found, Pairs):
        raise CorpusError(
            f"{originals!r} holds no pairs. Name files of originals and of rewrites, or the columns of both texts in a row: --original COLUMN --text COLUMN"
        )
    wanted = [n.strip() for part in names for n in part.split(",") if n.strip()]
    rows = rows_of(found, filters, sample, seed)
    if rows is None and wanted and len(found) > MANY:
        note(f"Auditing all {len(found):,} pairs; it may be stopped and carries on. For a first look: --sample 2000")
    report = compute(found, wanted, reporter, parse_parameters(parameters), rows=rows, device=device) if wanted else None
    choices = possible(found)
    by = by or (choices[0] if choices else "original source")
    among = np.zeros(len(found), bool) if rows is not None else np.ones(len(found), bool)
    among[rows if rows is not None else slice(0, 0)] = True
    table = breakdown(found, by, among=among)
    listed = _worst(found, worst, among)
    if out:
        found.write_checks(out)
    if as_json:
        said = {"groups": table.to_dicts(), "by": by, "worst": listed, "match": found.match.report.said()}
        print_json({**said, "workspace": str(found.workspace.path), "out": out})
        return
    if report is not None:
        note(str(report))
    counts = [c for c in table.columns if c not in ("group", "pairs", "scored", "mean", "p25", "median", "p75", "below", "histogram")]
    most = [c for c in counts if (table[c].drop_nulls() > 0).any()]
    heads = ["group", "pairs", *(c for c in ("scored", "mean", "p25", "median", "p75") if c in table.columns)]
    heads_shown = [*heads, *(["below 0.8 share"] if "below" in table.columns else [])]
    print_table(f"{NAME} by {by}", heads_shown, table.select(*heads, *(["below"] if "below" in table.columns else [])).rows())
    shares = [(c, *(table[c].to_list())) for c in most]
    print_table("Pairs in which it was found", ["check", *(f"{g} share" for g in table["group"].to_list())], shares)
    if listed:
        print_table("The worst", ["row", "id", NAME, "what the checks say"], [(p["row"], p["id"], p[NAME], "; ".join(p["reasons"]) or "nothing found") for p in listed])  # fmt: skip
    if out:
        note(f"Wrote {out}.")
    place = Place.of(found)
    note(f"Read them beside their originals: explorer app {place.command()}")


def _worst(found: Pairs, n: int, among: np.ndarray) -> list[dict[str, Any]]:
    """The pairs of ``among`` (bool) lowest in faithfulness, with what the checks say of each; empty where it is not computed."""
    import numpy as np

    from explorer.rewrites.reasons import reasons

    if not n or found.coverage().of(NAME) is None:
        return []
    values = np.where(among, found.columns.numbers(NAME).astype(np.float64), np.nan)
    order = np.lexsort((found.columns.numbers("meaning_kept"), values))[: min(n, int(np.isfinite(values).sum()))]  # NaN is last
    ids = found.documents(order, [found.roles.id])[found.roles.id].to_list() if found.roles.id else [None] * len(order)
    texts = found.texts(order)
    return [
        {"row": int(row), "id": name, NAME: float(values[row]), "reasons": reasons(original, rewrite)}
        for row, name, (original, rewrite) in zip(order.tolist(), ids, texts, strict=True)
    ]
