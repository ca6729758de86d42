"""Commands that rewrite: documents now, by a model here or behind an endpoint, or elsewhere, by files of requests and answers."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from explorer.cli.options import corpus_options, json_option, opened, scope_options
from explorer.cli.output import No, Stopped, note, plain, print_json, print_table
from explorer.cli.scoring import rows_of, stopping

if TYPE_CHECKING:
    from explorer.engine.progress import Progress
    from explorer.jobs import Reporter
    from explorer.rewrites.prompting.answers import Answers
    from explorer.rewrites.prompting.generate import Generated
    from explorer.rewrites.prompting.requests import Requests

SHOWN = 3  # documents printed


@click.command()
@corpus_options
@click.option(
    "--prompt",
    default="wrap-medium",
    metavar="NAME|FILE",
    help="wrap-easy, wrap-medium, wrap-hard, wrap-qa, rewire, repro, or a file with {text} in it [default: wrap-medium].",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Parquet file of rewrites to write or add to.")
@click.option("--model", metavar="ID", help="A causal language model: folder, .gguf file, hub id [default: the small one that is bundled].")
@click.option("--revision", metavar="COMMIT", help="Of a hub id [default: the newest].")
@click.option(
    "--endpoint",
    metavar="URL",
    help="Address of a served model (…/v1) to which the texts are sent, instead of a model here [with --endpoint-model: OPENAI_BASE_URL].",
)
@click.option("--endpoint-model", metavar="NAME", help="Name under which the model is served; of requests, too.")
@click.option(
    "--key-variable",
    default="OPENAI_API_KEY",
    metavar="NAME",
    help="Environment variable that holds the endpoint's key [default: OPENAI_API_KEY].",
)
@click.option(
    "--requests",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write requests into a new folder instead, to be answered elsewhere; with --answers, the folder they are in.",
)
@click.option("--answers", multiple=True, metavar="FILE", help="Read answers to --requests: JSON lines, or a folder of them; repeatable.")
@click.option(
    "--again",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --answers: write the requests that failed or are missing into a file, to be sent once more.",
)
@click.option(
    "--chunk-tokens",
    type=click.IntRange(0),
    metavar="N",
    help="Longest piece that is rewritten at once; 0 for whole documents [default: the prompt's].",
)
@click.option(
    "--tokenizer",
    metavar="ID",
    help="Counts the tokens of pieces [default: the model's own; estimated from words for an endpoint or requests].",
)
@click.option("--temperature", type=float, metavar="X", help="0 takes the most probable token each time [default: the prompt's].")
@click.option("--top-p", type=float, metavar="X", help="Draw from the most probable tokens of together so much [default: the prompt's].")
@click.option("--max-new-tokens", type=click.IntRange(1), metavar="N", help="Most tokens of an answer [default: the prompt's].")
@scope_options
@click.option("--device", default="auto", metavar="DEVICE", help="What the model runs on: auto, cpu, cuda, cuda:1, mps [default: auto].")
@json_option
@click.pass_obj
def rewrite(
    reporter: Reporter | None,
    paths: tuple[str, ...],
    workspace: str | None,
    prompt: str,
    out: Path | None,
    requests: Path | None,
    answers: tuple[str, ...],
    filters: str | None,
    sample: int | None,
    seed: int,
    device: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Rewrite documents with a prompt: a few, to see what it does to them, or many.

    A model on this machine is used unless an endpoint is named. Every document is kept as soon as it is done: the same command carries on
    where one was stopped (Ctrl-C). For more than one waits for, --requests writes files for a batch service, and --answers reads what
    came back. --seed is that of the sample and of the model's draws.

    \b
    explorer rewrite data/ --prompt wrap-medium --sample 5 --out try.parquet
    explorer score try.parquet --originals data/ --on id -s audit
    explorer rewrite data/ --prompt mine.txt --endpoint http://localhost:8000/v1 --endpoint-model qwen --out made.parquet
    explorer rewrite data/ --prompt rewire --requests asked --endpoint-model llama
    explorer rewrite data/ --requests asked --answers answers.jsonl --out made.parquet
    """  # noqa: D301
    if answers:
        if requests is None or out is None:
            raise click.UsageError("Answers are read with the folder of their requests: --requests DIR --answers FILE --out FILE.")
        _print_answers(_read(reporter, requests, answers, out, options["again"]), as_json)
        return
    if (out is None) == (requests is None):
        raise click.UsageError("Name one of --out FILE (rewrite now) and --requests DIR (write requests).")
    from explorer.rewrites.prompting.prompts import AS_PUBLISHED, find

    found = find(prompt)
    corpus = opened(paths, workspace, options)
    rows = rows_of(corpus, filters, sample, seed)
    chunk_tokens = options["chunk_tokens"]
    how: dict[str, Any] = {name: options[name] for name in ("temperature", "top_p", "max_new_tokens")}
    how |= {"seed": seed, "chunk_tokens": AS_PUBLISHED if chunk_tokens is None else chunk_tokens or None}
    if options["tokenizer"]:
        from explorer.rewrites.prompting.chunks import counter

        how["counter"] = counter(options["tokenizer"])
    if requests is not None:
        _print_requests(_ask(reporter, corpus, rows, found, requests, options["endpoint_model"] or "", how), as_json)
        return
    if options["endpoint"] or options["endpoint_model"]:
        from explorer.models.endpoint import connect

        if options["model"]:
            raise click.UsageError("Name one of --model (on this machine) and --endpoint (a served model).")
        address = options["endpoint"] or os.environ.get("OPENAI_BASE_URL", "")
        how["endpoint"] = connect(options["endpoint_model"] or "", address, key_variable=options["key_variable"])
    else:
        how |= {"model": options["model"], "revision": options["revision"]}
    assert out is not None  # one of the two was named
    _print_made(_make(reporter, corpus, rows, found, out, device, how), out, paths, as_json)


def _make(reporter: Reporter | None, corpus: Any, rows: Any, prompt: Any, out: Path, device: str, how: dict[str, Any]) -> Generated:
    from explorer.models.device import using
    from explorer.rewrites.prompting.generate import rewrite as make

    with stopping() as cancel, using(device), _shown("rewriting", reporter) as show:
        made = make(corpus, rows, prompt, out=out, on_progress=show, cancel=cancel, **how)
    if made.cancelled:
        done = sum(d.error is None for d in made.documents)
        raise Stopped(f"Stopped: {done:,} of {len(made):,} documents are rewritten and kept. Run the same command again to carry on.")
    return made


def _ask(reporter: Reporter | None, corpus: Any, rows: Any, prompt: Any, folder: Path, model: str, how: dict[str, Any]) -> Requests:
    from explorer.rewrites.prompting.requests import write_requests

    with stopping() as cancel, _shown("writing requests", reporter) as show:
        made = write_requests(corpus, rows, prompt, folder, model_name=model, on_progress=show, cancel=cancel, **how)
    if made is None:
        raise Stopped("Stopped: no requests were written.")
    return made


def _read(reporter: Reporter | None, folder: Path, answers: tuple[str, ...], out: Path, again: Path | None) -> Answers:
    from explorer.rewrites.prompting.requests import read_answers

    with _shown("reading answers", reporter) as show:
        return read_answers(folder, answers, out, again=again, on_progress=show)


@contextmanager
def _shown(label: str, reporter: Reporter | None) -> Iterator[Callable[[Progress], None]]:
    """A bar, or lines, and a job's record of what is being done."""
    from explorer.engine.bars import progress_bar

    with progress_bar(label) as bar:

        def show(progress: Progress) -> None:
            bar(progress)
            if reporter is not None:
                reporter.show(progress.done_rows, progress.total_rows, progress.rate, progress.remaining, progress.doing, progress.device)

        yield show


def _print_made(made: Generated, out: Path, paths: tuple[str, ...], as_json: bool) -> None:
    from explorer.errors import ModelError

    if made.problem:
        raise ModelError(
            f"{made.problem} {sum(d.error is None for d in made.documents):,} of {len(made):,} documents are rewritten and kept."
        )
    good = [d for d in made.documents if d.rewrite is not None]
    reasons = Counter(d.error for d in made.documents if d.error)
    settings = made.settings
    if as_json:
        print_json(
            {
                "out": str(out),
                "documents": len(made),
                "rewritten": len(good),
                "reused": made.reused,
                "cut": sum(d.cut for d in good),
                "errors": dict(reasons.most_common()),
                "prompt": settings.prompt.id,
                "model": settings.model,
                "revision": settings.revision or None,
                "seed": settings.sampling.seed,
                "parameters": settings.parameters,
                "prompt_tokens": sum(d.prompt_tokens or 0 for d in made.documents),
                "completion_tokens": sum(d.completion_tokens or 0 for d in made.documents),
                "seconds": made.seconds,
                "tokens_a_second": made.tokens_a_second,
                "device": made.device,
            }
        )
    else:
        click.echo(str(made))
        for d in made.documents[:SHOWN]:
            for name, text in (("original", d.original), ("rewrite", d.rewrite), ("answer", None if d.rewrite else d.answer)):
                if text:
                    click.echo(f"  {name} of {plain(d.id if d.id is not None else d.row)}: {plain(_begin(text))}")
    if reasons:
        note("no rewrite: " + "; ".join(f"{n:,} {reason}" for reason, n in reasons.most_common(5)))
    if not good:
        raise No("No document was rewritten.")
    from explorer.rewrites.prompting.written import id_field

    column = id_field(made.corpus)
    originals = "".join(f" --originals {shlex.quote(path)}" for path in paths) + f" --on {made.corpus.roles.id}"
    joined = "" if column is None else originals if column.name == made.corpus.roles.id else f"{originals}={column.name}"
    note(f"Wrote {out}. Audit it: explorer score {shlex.quote(str(out))}{joined} -s audit")


def _begin(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:160]}…"


def _print_requests(made: Requests, as_json: bool) -> None:
    if as_json:
        names = ("documents", "requests", "files", "blank", "tokens", "estimated")
        print_json({"folder": made.folder, **{name: getattr(made, name) for name in names}, "settings": made.settings.to_dict()})
    else:
        click.echo(str(made))
    note(f"Wrote {made.folder}. Keep the folder: answers are read with it.")


def _print_answers(found: Answers, as_json: bool) -> None:
    if as_json:
        print_json({f.name: getattr(found, f.name) for f in fields(found)})
    else:
        click.echo(str(found))
        if found.reasons:
            print_table("Failures", ["requests", "reason"], [(n, reason) for reason, n in list(found.reasons.items())[:10]])
    note(f"Wrote {found.path}: a row for each document, null where there is no rewrite.")
    if not found.rewritten:
        raise No("No document has a rewrite.")
