"""``explorer jobs``: background work of a workspace."""

from __future__ import annotations

import time
from typing import Any

import click

from explorer.cli.options import json_option, workspace_option
from explorer.cli.output import No, note, plain, print_json, print_table


@click.group(invoke_without_command=True)
@workspace_option
@json_option
@click.pass_context
def jobs(context: click.Context, workspace: str | None, as_json: bool) -> None:
    """List background jobs, or cancel one."""
    context.obj = workspace
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)


@jobs.command("list")
@workspace_option
@json_option
@click.pass_obj
def list_(outer: str | None, workspace: str | None = None, as_json: bool = False) -> None:
    """List the jobs of a workspace, newest first."""
    from explorer.corpus.workspace import Workspace
    from explorer.jobs import jobs as known

    found = known(Workspace(workspace or outer))
    if as_json:
        print_json([_described(job) for job in found])
        return
    rows = []
    for job in found:
        progress = job.progress
        share = progress.done / progress.total if progress.total else None
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
        rows.append((job.id, job.state, progress.done, progress.total, share, started, job.label, job.error))
    print_table("Jobs", ["id", "state", "done", "total", "share", "started", "what", "error"], rows)


def _described(job: Any) -> dict[str, Any]:
    progress = job.progress
    return {
        "id": job.id,
        "label": job.label,
        "state": job.state,
        "command": list(job.command),
        "directory": job.directory,
        "started": job.started,
        "done": progress.done,
        "total": progress.total,
        "rate": progress.rate,
        "remaining": progress.remaining,
        "error": job.error,
    }


@jobs.command()
@click.argument("job_id", metavar="ID")
@workspace_option
@click.pass_obj
def cancel(outer: str | None, job_id: str, workspace: str | None) -> None:
    """Stop a job; the row groups in flight are finished and kept."""
    from explorer.corpus.workspace import Workspace
    from explorer.jobs import ENDED, GRACE, find

    job = find(Workspace(workspace or outer), job_id)
    if job.state in ENDED:
        raise No(f"Job {job.id} is not running: it is {job.state}.")
    job.cancel()
    state = job.wait(GRACE + 5)
    note(f"Job {job.id} is {state}: {plain(job.progress.done)} of {plain(job.progress.total)} documents are kept.")
