"""The command ``explorer``: parse, call the library, print. Exit codes: 0 done, 1 the answer is "no", 2 bad usage or input."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from explorer import __version__
from explorer.cli import advising, app, corpora, embedding, jobs, labels, mixing, pairing, rewriting, scoring, searching, selecting
from explorer.cli.output import No, Stopped
from explorer.errors import ExplorerError, MissingExtraError

if TYPE_CHECKING:
    from explorer.jobs import Reporter

DONE, NO, BAD, STOPPED = 0, 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="explorer")
@click.option("--job", hidden=True, type=click.Path(path_type=Path), help="Folder of the background job this process is.")
def cli(job: Path | None) -> None:
    """See, score, filter and export pretraining corpora: Parquet in place."""


for command in (
    app.app,
    corpora.info,
    corpora.sample,
    corpora.import_,
    scoring.signals,
    scoring.score,
    embedding.embed,
    searching.search,
    labels.labels,
    labels.train,
    labels.scorers_,
    selecting.select,
    selecting.recipes,
    pairing.pairs,
    rewriting.rewrite,
    advising.advise,
    mixing.mix,
    mixing.export,
    mixing.verify,
    jobs.jobs,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; a background job's last word is written here."""
    given = list(arguments)
    reporter = None
    if given[:1] == ["--job"] and len(given) > 1:
        from explorer.jobs import Reporter

        reporter = Reporter(Path(given[1]))
    code, message = _outcome(given, reporter)
    if message:
        print(message, file=sys.stderr, flush=True)
    if reporter is not None:
        with suppress(ExplorerError):  # a full disk: the log has the message
            reporter.end("done" if code == DONE else "cancelled" if code == STOPPED else "failed", message.removeprefix("Error: "))
    return code


def _outcome(arguments: list[str], reporter: Reporter | None) -> tuple[int, str]:
    try:
        returned = cli.main(args=arguments, prog_name="explorer", standalone_mode=False, obj=reporter)
        sys.stdout.flush()
    except No as answer:
        return NO, answer.message
    except Stopped as stopped:
        return STOPPED, stopped.message
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return BAD, ""
    except click.UsageError as error:
        hint = f" See: {error.ctx.command_path} --help" if error.ctx else ""
        return BAD, f"Error: {error.format_message()}{hint}"
    except click.ClickException as error:
        return BAD, f"Error: {error.format_message()}"
    except (click.Abort, KeyboardInterrupt):
        return STOPPED, "Stopped."
    except (ExplorerError, MissingExtraError) as error:
        return BAD, f"Error: {error}"
    except SystemExit as ended:  # click ends so when the reader (head, less) has gone, and after completing a word for a shell
        return int(ended.code or 0) if "_EXPLORER_COMPLETE" in os.environ else DONE, ""
    except BrokenPipeError:  # the same, at our own flush: what is still in the buffer must not be flushed again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE, ""
    except Exception as error:
        if reporter is not None:
            with suppress(ExplorerError):
                reporter.end("failed", f"{type(error).__name__}: {error}. This is a fault of the program; the log has the details.")
        raise
    return returned if isinstance(returned, int) else DONE, ""
