"""``explorer advise``: what runs, laws and published mixtures say about a mixture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from explorer.cli.options import json_option
from explorer.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    import polars as pl

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def advise() -> None:
    """What small runs, scaling laws and published mixtures say about a mixture. Tables are CSV or Parquet files."""


def _joined(paths: tuple[Path, ...], on: str) -> pl.DataFrame:
    from explorer.errors import ColumnNotFoundError
    from explorer.mixture.tables import read_table

    tables = [read_table(path) for path in paths]
    table = tables[0]
    for path, other in zip(paths, tables, strict=True):
        if len(tables) > 1 and on not in other.columns:
            raise ColumnNotFoundError.named(on, str(path), other.columns, "Name the column that says which run a row is of: --on")
    for other in tables[1:]:
        table = table.join(other, on=on, how="inner")
    return table


def _pairs(path: Path, value: str) -> dict[str, float]:
    """A file of two columns, ``domain`` and a number."""
    from explorer.errors import ColumnNotFoundError
    from explorer.mixture.tables import numbers, read_table

    table, step = read_table(path), f"Give a file with the columns domain and {value}."
    amounts = numbers(table, [value], str(path), step)
    if "domain" not in table.columns:
        raise ColumnNotFoundError.named("domain", str(path), table.columns, step)
    return {str(name): amount for name, amount in zip(table["domain"], amounts[value], strict=True) if amount is not None}


def _print(title: str, table: pl.DataFrame, said: str, warnings: tuple[str, ...], as_json: bool, **more: Any) -> None:
    if as_json:
        print_json({**more, "table": table.to_dicts(), "said": said, "warnings": list(warnings)})
        return
    print_table(title, table.columns, table.rows())
    note(said)
    for warning in warnings:
        note(f"warning: {warning}")


def _runs_options(command: Any) -> Any:
    command = click.option("--seed", type=int, default=42, help="Of every draw [default: 42].")(command)
    command = click.option(
        "--method", type=click.Choice(["trees", "linear"]), default="trees", help="Regression: linear for few runs [default: trees]."
    )(command)
    command = click.option("--higher-is-better", is_flag=True, help="The target is an accuracy.")(command)
    command = click.option(
        "--on", default="run", metavar="COLUMN", help="Which run a row is of, where there are several files [default: run]."
    )(command)
    command = click.option("--target", required=True, metavar="COLUMN", help="The loss.")(command)
    return click.argument("files", nargs=-1, required=True, type=FILE, metavar="RUNS...")(command)


@advise.command("runs")
@click.argument("domains", type=FILE, metavar="DOMAINS.csv")
@click.option("--count", type=click.IntRange(1), default=512, help="Runs [default: 512].")
@click.option("--seed", type=int, default=42, help="Of the draws [default: 42].")
@json_option
def runs(domains: Path, count: int, seed: int, as_json: bool) -> None:
    """Which mixtures to train small models on, before `regmix`. DOMAINS has the columns domain and tokens."""
    from explorer.mixture.proxy_runs import propose_runs

    table = propose_runs(_pairs(domains, "tokens"), count, seed=seed)
    _print("Runs", table, f"{table.height:,} mixtures of {table.width - 1} domains.", (), as_json)


@advise.command("regmix")
@_runs_options
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="COLUMN",
    help="A column of weights; repeatable [default: columns of fractions that add up to 1].",
)
@click.option("--tokens", "tokens_file", type=FILE, metavar="FILE", help="Columns domain and tokens: what there is of each.")
@click.option(
    "--prior", "prior_file", type=FILE, metavar="FILE", help="Columns domain and share: where to search [default: the tokens' shares]."
)
@click.option("--budget-tokens", type=float, metavar="N", help="Tokens of the large run, to count epochs.")
@click.option("--max-epochs", type=float, metavar="X", help="Try no mixture that repeats a domain more often.")
@click.option("--samples", type=click.IntRange(1), default=100_000, help="Mixtures to try [default: 100000].")
@click.option("--top", type=click.IntRange(1), default=128, help="How many of the best to average [default: 128].")
@json_option
def regmix(
    files: tuple[Path, ...],
    target: str,
    on: str,
    higher_is_better: bool,
    method: Any,
    seed: int,
    domains: tuple[str, ...],
    tokens_file: Path | None,
    prior_file: Path | None,
    budget_tokens: float | None,
    max_epochs: float | None,
    samples: int,
    top: int,
    as_json: bool,
) -> None:
    """The best mixture by a regression on small runs (RegMix).

    RUNS is a table with a row a run, a weight a domain and losses; or several, joined by --on.

    \b
    explorer advise regmix mixtures.csv losses.csv --on index --target pile_cc_loss --tokens domains.csv --budget-tokens 25e9
    """  # noqa: D301
    from explorer.mixture.proxy_runs import read_runs
    from explorer.mixture.regmix import best_mixture, fit

    table = _joined(files, on)
    table = table.drop(on, strict=False) if len(files) > 1 else table
    found = read_runs(table, target, domains or None, higher_is_better=higher_is_better)
    advice = best_mixture(
        fit(found, method=method, seed=seed),
        prior=_pairs(prior_file, "share") if prior_file else None,
        available_tokens=_pairs(tokens_file, "tokens") if tokens_file else None,
        budget_tokens=budget_tokens,
        max_epochs=max_epochs,
        samples=samples,
        top=top,
        seed=seed,
    )
    _print_advice("Mixture", advice, as_json)


def _print_advice(title: str, advice: Any, as_json: bool) -> None:
    fitted = advice.regression
    more = {"weights": advice.weights, "predicted": advice.predicted, "predicted_prior": advice.predicted_prior}
    more |= {"best_sample": advice.best_sample, "distance": advice.distance, "nearest_run": advice.nearest_run}
    more |= {"runs": len(fitted.runs), "runs_left_out": fitted.runs.left_out, "spearman": fitted.spearman, "rmse": fitted.rmse}
    known = [column for column in advice.table.columns if advice.table[column].null_count() < advice.table.height]
    _print(title, advice.table if as_json else advice.table.select(known), str(advice), advice.warnings, as_json, **more)


@advise.command("meta-rater")
@_runs_options
@click.option(
    "--score",
    "scores",
    multiple=True,
    metavar="COLUMN",
    help="A column of a score's weights, of any sum; repeatable [default: columns of fractions that add up to 1].",
)
@json_option
def meta_rater(
    files: tuple[Path, ...],
    target: str,
    on: str,
    higher_is_better: bool,
    method: Any,
    seed: int,
    scores: tuple[str, ...],
    as_json: bool,
) -> None:
    """Weights of quality scores by a regression on small runs (Meta-rater).

    RUNS has a row a run, a column a score with the weight it had in choosing that run's data, and losses.
    """
    from explorer.mixture.metarater import score_runs, score_weights

    table = _joined(files, on)
    table = table.drop(on, strict=False) if len(files) > 1 else table
    advice = score_weights(score_runs(table, target, scores or None, higher_is_better=higher_is_better), method=method, seed=seed)
    _print_advice("Weights", advice, as_json)


@advise.command("cmr")
@click.argument("file", type=FILE, metavar="LOSSES")
@click.option("--model", metavar="COLUMN", help="Which model a row is of; each has its own ratio.")
@click.option("--ratio", default="ratio", metavar="COLUMN", help="Share of domain data [default: ratio].")
@click.option("--tokens", default="tokens", metavar="COLUMN", help="Tokens trained on since the start [default: tokens].")
@click.option("--general", default="general_loss", metavar="COLUMN", help="Loss on general text [default: general_loss].")
@click.option("--domain", default="domain_loss", metavar="COLUMN", help="Loss on the domain's text [default: domain_loss].")
@click.option("--epsilon", type=float, default=0.05, help="Rise of the general loss that is put up with [default: 0.05].")
@click.option("--at-tokens", type=float, metavar="N", help="After how many tokens [default: the most that all ratios have].")
@json_option
def cmr(file: Path, model: str | None, as_json: bool, **how: Any) -> None:
    """How much domain data continual pretraining bears (critical mixture ratio).

    LOSSES has a row a measurement; each ratio needs one at 0 tokens, the model that it started from.
    """
    from explorer.errors import ColumnNotFoundError
    from explorer.mixture.cmr import critical_ratio
    from explorer.mixture.tables import read_table

    table = read_table(file)
    if model is not None and model not in table.columns:
        raise ColumnNotFoundError.named(model, str(file), table.columns, "Name the column of the models: --model")
    groups = {"": table} if model is None else {str(key[0]): part for key, part in table.group_by(model, maintain_order=True)}
    found = {name: critical_ratio(part, **how) for name, part in groups.items()}
    if as_json:
        print_json(
            [
                {
                    "model": name or None,
                    "ratio": one.ratio,
                    "replay": one.replay,
                    "at_least": one.at_least,
                    "below": one.below,
                    "tokens": one.tokens,
                    "epsilon": one.epsilon,
                    "table": one.table.to_dicts(),
                    "sensitivity": one.sensitivity.to_dicts(),
                    "over_tokens": one.over_tokens.to_dicts(),
                    "warnings": list(one.warnings),
                }
                for name, one in found.items()
            ]
        )
        return
    for name, one in found.items():
        _print(name or "Ratios", one.table, f"{name}: {one}" if name else str(one), one.warnings, False)
        print_table("At other epsilons", one.sensitivity.columns, one.sensitivity.rows())


@advise.command("data-efficiency")
@click.argument("baseline", type=FILE, metavar="BASELINE")
@click.argument("method", type=FILE, metavar="METHOD")
@click.option("--tokens", default="tokens", metavar="COLUMN", help="Number of tokens, in both files [default: tokens].")
@click.option("--loss", default="loss", metavar="COLUMN", help="Loss, in both files [default: loss].")
@click.option("--interval", type=float, default=0.95, help="Share of the bootstrap that the interval holds [default: 0.95].")
@click.option("--seed", type=int, default=0, help="Of the bootstrap [default: 0].")
@json_option
def data_efficiency(baseline: Path, method: Path, as_json: bool, **how: Any) -> None:
    """How many times the data the baseline would need for a method's loss."""
    from explorer.mixture.data_efficiency import data_efficiency as measure
    from explorer.mixture.tables import read_table

    found = measure(read_table(baseline), read_table(method), **how)
    law = {"A": found.law.a, "alpha": -found.law.s, "E": found.law.b, "points": found.law.points, "r2": found.law.r2}
    _print("Data efficiency", found.table, str(found), found.warnings, as_json, law=law, interval=found.interval, resamples=found.resamples)


@advise.command("repeats")
@click.argument("unique_tokens", type=float)
@click.option("--epochs", type=float, multiple=True, help="How often; repeatable [default: 1 to 64].")
@click.option("--parameters", type=float, metavar="N", help="Of the model, for the loss that the law gives it.")
@json_option
def repeats(unique_tokens: float, epochs: tuple[float, ...], parameters: float | None, as_json: bool) -> None:
    """What epochs over UNIQUE_TOKENS are worth, by the published law of repeated data (fitted to C4)."""
    from explorer.mixture.data_constrained import EPOCHS
    from explorer.mixture.data_constrained import repeats as count

    found = count(unique_tokens, epochs=epochs or EPOCHS, parameters=parameters)
    table = found.table if parameters is not None or as_json else found.table.drop("loss", "fresh_loss")
    _print("Repeats", table, str(found), (), as_json, ceiling=found.ceiling)


@advise.command("curriculum")
@click.option("--schedule", type=click.Choice(["constant", "linear", "cosine", "wsd"]), default="wsd", help="Learning rate [default: wsd].")
@click.option("--steps", type=click.IntRange(1), default=10_000, help="Of the run [default: 10000].")
@click.option("--peak", type=float, default=3e-3, help="Highest learning rate [default: 0.003].")
@click.option("--final", type=float, default=1e-5, help="Learning rate at the end [default: 0.00001].")
@click.option("--warmup", type=click.IntRange(0), default=0, help="Steps of warm-up [default: 0].")
@click.option("--decay-start", type=click.IntRange(0), metavar="N", help="Step at which wsd starts to decay [default: after 0.8 of them].")
@click.option("--order", type=click.Choice(["ascending", "descending", "folded", "shuffled"]), default="ascending", help="By quality [default: ascending].")  # fmt: skip
@click.option("--passes", type=click.IntRange(1), default=3, help="Of a folded order [default: 3].")
@click.option("--documents", type=FILE, metavar="FILE", help="Documents in their order instead, with a column quality and perhaps tokens.")
@json_option
def curriculum(
    schedule: Any, steps: int, peak: float, final: float, warmup: int, decay_start: int | None, order: Any, passes: int,
    documents: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """How much of the summed learning rate each tenth of the quality gets."""
    from explorer.mixture.curriculum import learning_rates, quality_over_run, step_mass

    rates = learning_rates(schedule, steps, peak=peak, final=final, warmup=warmup, decay_start=decay_start)
    if documents is None:
        found = step_mass(rates, quality_over_run(order, passes=passes))
    else:
        import numpy as np

        from explorer.mixture.tables import numbers, read_table

        table = read_table(documents)
        columns = ["quality", *({"tokens"} & set(table.columns))]
        known = numbers(table, columns, str(documents), "Give a file with a column quality.").fill_null(np.nan)
        found = step_mass(rates, known["quality"].to_numpy(), known["tokens"].to_numpy() if known.width > 1 else None)
    _print("Quality, from the lowest", found.table, str(found), (), as_json)


@advise.command("trajectories")
@click.argument("file", type=FILE, metavar="STEPS")
@click.option(
    "--domain", "domains", multiple=True, metavar="COLUMN", help="A column of weights; repeatable [default: those that start with w_]."
)
@click.option("--trajectory", default="trajectory_id", metavar="COLUMN", help="Which trajectory a row is of [default: trajectory_id].")
@click.option("--step", default="step", metavar="COLUMN", help="Order of the steps [default: step].")
@click.option("--tokens", metavar="COLUMN", help="Tokens read in each step.")
@click.option("--metric", "metrics", multiple=True, metavar="COLUMN", help="A column of scores; repeatable.")
@click.option("--available", type=FILE, metavar="FILE", help="Columns domain and tokens: what there is of each, for epochs.")
@json_option
def trajectories(file: Path, domains: tuple[str, ...], available: Path | None, as_json: bool, **how: Any) -> None:
    """Check mixtures that change step by step, and sum them up. No agent is trained."""
    from explorer.mixture.tables import read_table
    from explorer.mixture.trajectories import read_trajectories

    there = _pairs(available, "tokens") if available else None
    found = read_trajectories(read_table(file), domains or None, available_tokens=there, **how)
    _print("Trajectories", found.summary, str(found), (), as_json, **({"steps": found.table.to_dicts()} if as_json else {}))


@advise.command("presets")
@click.argument("name", required=False)
@json_option
def presets(name: str | None, as_json: bool) -> None:
    """List published mixtures, or show one: sources, shares and stages."""
    from explorer.mixture.presets import PRESETS, preset

    if name is None:
        rows = [(one.name, len(one.stages), one.amount, one.unit, one.about, one.source) for one in PRESETS.values()]
        columns = ["preset", "stages", "amount", "unit", "about", "source"]
        print_json([dict(zip(columns, row, strict=True)) for row in rows]) if as_json else print_table("Presets", columns, rows)
        return
    found = preset(name)
    _print(found.name, found.table, f"{found}. {found.source} {found.misleads}", (), as_json, source=found.source, unit=found.unit)
