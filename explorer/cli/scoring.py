"""Commands that measure: the catalogue of signals, and scoring."""

from __future__ import annotations

import signal as signals_of_the_system
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from explorer.cli.options import corpus_options, json_option, opened, scope_options
from explorer.cli.output import Stopped, note, print_json, print_table
from explorer.errors import SignalError

if TYPE_CHECKING:
    from explorer.engine.progress import Progress, ScoreReport
    from explorer.jobs import Reporter
    from explorer.registry import Family


@click.command()
@click.argument("name", required=False)
@json_option
def signals(name: str | None, as_json: bool) -> None:
    """List every signal, or say all about one signal or family."""
    from explorer.registry import families, find

    chosen = [find(name)] if name else list(families().values())
    if as_json:
        print_json([_described(family) for family in chosen])
        return
    if name is None:
        rows = [(s.name, f.name, s.unit, _range(s.range), s.direction, ", ".join(f.reads)) for f in chosen for s in f.signals]
        print_table("Signals", ["signal", "family", "unit", "range", "direction", "reads"], rows)
        note(f"{sum(len(f.signals) for f in chosen)} signals in {len(chosen)} families. All about one: explorer signals NAME")
        return
    family = chosen[0]
    click.echo(f"{family.name} (version {family.version}): {family.about}")
    click.echo(f"reads {', '.join(family.reads)}; source: {family.source}")
    for parameter, value in family.defaults.items():
        click.echo(f"parameter {parameter} = {value!r}   (change it: -p {family.name}.{parameter}=VALUE)")
    for s in family.signals:
        click.echo(f"\n{s.name}  [{s.unit}; {_range(s.range)}; {s.direction}; {s.dtype}]\n  {s.about}")
        if s.misleads:
            click.echo(f"  Misleads: {s.misleads}")


def _range(bounds: tuple[float | None, float | None]) -> str:
    return " to ".join("…" if b is None else f"{b:g}" for b in bounds)


def _described(family: Family) -> dict[str, Any]:
    columns = [
        {
            "name": s.name,
            "unit": s.unit,
            "range": list(s.range),
            "direction": s.direction,
            "dtype": s.dtype,
            "about": s.about,
            "misleads": s.misleads,
            "source": s.source,
        }
        for s in family.signals
    ]
    return {
        "family": family.name,
        "version": family.version,
        "about": family.about,
        "source": family.source,
        "reads": list(family.reads),
        "scope": family.scope,
        "learned": family.learned,
        "parameters": {k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in family.defaults.items()},
        "signals": columns,
    }


@click.command()
@corpus_options
@click.option("-s", "--signals", "names", required=True, multiple=True, metavar="NAME[,NAME…]", help="Families, signals, or: heuristics.")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="FAMILY.KEY=VALUE", help="A family's parameter; repeatable.")
@click.option("--workers", type=click.IntRange(1), help="Threads [default: the machine's processors].")
@click.option("--limit", type=click.IntRange(1), help="Only the row groups of the first so many documents.")
@click.option("--again", is_flag=True, help="Remove these families' scores of the files first and compute them anew.")
@scope_options
@click.option("--device", default="auto", metavar="DEVICE", help="What models run on: auto, cpu, cuda, cuda:1, mps [default: auto].")
@json_option
@click.pass_obj
def score(
    reporter: Reporter | None,
    paths: tuple[str, ...],
    workspace: str | None,
    names: tuple[str, ...],
    parameters: tuple[str, ...],
    workers: int | None,
    limit: int | None,
    again: bool,
    filters: str | None,
    sample: int | None,
    seed: int,
    device: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Compute signals for every document that lacks them, or for those of a selection or sample.

    It may be stopped at any time (Ctrl-C): the row groups or pieces in flight are finished and kept, and the same command carries on.

    \b
    explorer score data/ -s heuristics
    explorer score data/ -s fineweb_edu --sample 2000 --device cuda
    explorer score data/ -s perplexity:small -p perplexity:small.model=PATH
    """  # noqa: D301
    corpus = opened(paths, workspace, options)
    wanted = [name for part in names for name in part.split(",") if name.strip()]
    how: dict[str, Any] = {"workers": workers, "limit": limit, "again": again, "device": device}
    how["rows"] = rows_of(corpus, filters, sample, seed)
    report = compute(corpus, [n.strip() for n in wanted], reporter, parse_parameters(parameters), **how)
    if as_json:
        print_json(as_record(report) | {"workspace": str(corpus.workspace.path)})
        return
    click.echo(str(report))
    never = [name for name, n in report.nulls.items() if n and n == report.computed]
    if never:
        click.echo(f"undefined (null) for every document, see explorer signals NAME: {', '.join(never[:8])}")
    nulls = sorted(((n, name) for name, n in report.nulls.items() if n and name not in never), reverse=True)
    if nulls:
        most = ", ".join(f"{name} {n:,}" for n, name in nulls[:8])
        click.echo(f"undefined (null) for some documents: {most}{f' and {len(nulls) - 8} more signals' if len(nulls) > 8 else ''}")


def compute(
    corpus: Any,
    names: list[str],
    reporter: Reporter | None = None,
    parameters: dict[str, dict[str, Any]] | None = None,
    **how: Any,
) -> ScoreReport:
    """Score with a bar or a job's record, and stop in good order when asked to; ``how`` is passed on.

    Raises:
        Stopped: it was asked to stop before the end.

    """
    from explorer.engine.local import score as compute_signals

    return watched("scoring", reporter, lambda **seen: compute_signals(corpus, names, parameters=parameters, **how, **seen))


def rows_of(corpus: Any, filters: str | None, sample: int | None, seed: int) -> Any:
    """Documents that a command is to run on: those that pass a filters file, or a sample; None for all."""
    if filters is None and sample is None:
        return None
    from explorer.selection.filters import Filters
    from explorer.selection.scope import scope

    return scope(corpus, Filters.load(filters) if filters else None, sample, seed=seed)


def as_record(report: ScoreReport) -> dict[str, Any]:
    """A report for ``--json``."""
    return {
        "families": list(report.families),
        "documents": report.rows,
        "computed": report.computed,
        "reused": report.reused,
        "same_text": report.same,
        "seconds": report.seconds,
        "text_bytes": report.text_bytes,
        "nulls": dict(report.nulls),
        "device": report.device,
    }


def watched(label: str, reporter: Reporter | None, run: Callable[..., ScoreReport]) -> ScoreReport:
    """``run(on_progress=…, cancel=…)`` with a bar or a job's record, stopped in good order when asked to.

    Raises:
        Stopped: it was asked to stop before the end.

    """
    from explorer.engine.bars import progress_bar

    with stopping() as cancel, progress_bar(label) as bar:

        def show(progress: Progress) -> None:
            bar(progress)
            if reporter is not None:
                reporter.show(progress.done_rows, progress.total_rows, progress.rate, progress.remaining, progress.doing, progress.device)

        report = run(on_progress=show, cancel=cancel)
    if report.cancelled:
        done = report.computed + report.reused
        raise Stopped(f"Stopped: {done:,} of {report.rows:,} documents are scored and kept. Run the same command again to carry on.")
    return report


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a polite kill sets; a second Ctrl-C stops at once."""
    cancel = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return

    def stop(number: int, _frame: object) -> None:
        if cancel.is_set() and number == signals_of_the_system.SIGINT:
            raise KeyboardInterrupt
        cancel.set()
        note("Stopping when what is in flight is done; press Ctrl-C again to stop at once.")

    watched = (signals_of_the_system.SIGINT, signals_of_the_system.SIGTERM)
    before: list[Callable[..., Any] | int | None] = [signals_of_the_system.signal(number, stop) for number in watched]
    try:
        yield cancel
    finally:
        for number, handler in zip(watched, before, strict=True):
            signals_of_the_system.signal(number, handler)


def parse_parameters(given: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """``family.key=value`` by family; a value is read as YAML, so numbers, true and null mean what they say.

    Raises:
        SignalError: not of that form, or no such family.

    """
    import yaml

    from explorer.registry import find

    found: dict[str, dict[str, Any]] = {}
    for item in given:
        path, equals, value = item.partition("=")
        family, dot, key = path.strip().partition(".")
        if not (equals and dot and family and key):
            raise SignalError(f"Parameter {item!r} cannot be read. It is FAMILY.KEY=VALUE. Example: -p language.max_chars=2000")
        try:
            found.setdefault(find(family).title, {})[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SignalError(
                f"The value of parameter {item!r} cannot be read. It is a number, true, false, null or a text. Put it in quotes."
            ) from error
    return found
