"""Write the pages that the code itself tells: ``signals.md``, ``checks.md``, ``commands.md``, ``manifest.schema.json`` and the executed tour.

    python docs/generate.py             # everything but the tour
    python docs/generate.py --notebook  # docs/tour.ipynb from docs/tour.py as well, executed (half a minute)

Tests compare the pages with what would be written now.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from explorer.cli import cli
from explorer.manifest.schema import json_schema
from explorer.registry import Family, Signal, families

if TYPE_CHECKING:
    from nbformat import NotebookNode

DOCS = Path(__file__).parent
WRITTEN = "<!-- Written by docs/generate.py; do not edit. -->"
SECTION = re.compile(r"^(Args|Returns|Raises|Source|Example|Examples|Note):\s*$")
DIRECTIONS = {
    "higher_is_better": "higher is better",
    "lower_is_better": "lower is better",
    "two_sided": "cut on both sides",
    "descriptive": "descriptive",
}


def signals_page() -> str:
    """Every family of documents and its signals as the registry describes them."""
    known = {name: f for name, f in families().items() if not f.of_pairs}
    total = sum(len(f.signals) for f in known.values())
    lines = [
        "# Signals",
        "",
        WRITTEN,
        "",
        f"{total} signals in {len(known)} families. A family is computed together and scored by its name or by the name of any of its signals:",
        "`explorer score PATH -s gopher_quality`, `-s rep_dup_line_frac`, or `-s heuristics` for every family that needs neither a model nor a",
        "tokenizer. The same text on the command line: `explorer signals NAME`.",
        "",
        "Undefined is null, never 0; a null text has null signals. An open end of a range is written …. The version changes with a definition,",
        "and scores of another version are not used. How close the Gopher and FineWeb families come to datatrove is in [agreement.md](agreement.md).",
        "",
    ]
    return _page(lines, known)


def checks_page() -> str:
    """Every check of rewrites and its signals as the registry describes them."""
    known = {name: f for name, f in families().items() if f.of_pairs}
    total = sum(len(f.signals) for f in known.values())
    lines = [
        "# Checks of rewrites",
        "",
        WRITTEN,
        "",
        f"{total} signals in {len(known)} families that compare a rewrite with its original ([rewrites.md](rewrites.md)). They are scored, filtered",
        "and exported like any signal: `explorer score REWRITES --originals ORIGINALS -s audit` computes those marked *audit*.",
        "",
        "Undefined is null, never 0; a pair that lacks one of its texts has null signals.",
        "",
    ]
    return _page(lines, known)


def _page(lines: list[str], known: Mapping[str, Family]) -> str:
    lines += ["| family | signals | reads | measures |", "|---|---:|---|---|"]
    for f in known.values():
        reads = ("original, rewrite, audit" if f.audit else "original, rewrite") if f.of_pairs else ", ".join(f.reads)
        lines.append(f"| [`{f.name}`](#{f.name}) | {len(f.signals)} | {reads} | {cell(f.about)} |")
    lines.append("")
    for family in known.values():
        lines += _family(family)
    return "\n".join(lines).rstrip("\n") + "\n"


def _family(family: Family) -> Iterator[str]:
    sections = _sections(inspect.getdoc(family.compute) or "")
    yield f"## {family.name}"
    yield ""
    yield from (markdown(line) for line in sections[""])
    yield ""
    yield f"Version {family.version}. Source: {markdown(family.source)}."
    yield ""
    if family.defaults:
        about = _arguments(sections.get("Args", []))
        yield "| parameter | default | |"
        yield "|---|---|---|"
        for name, default in family.defaults.items():
            yield f"| `{name}` | `{default!r}` | {cell(about.get(name, ''))} |"
        yield ""
        yield f"On the command line: `-p {family.name}.{next(iter(family.defaults))}=VALUE`; in Python: `parameters={{{family.name!r}: {{…}}}}`."
        yield ""
    for signal in family.signals:
        yield from _signal(signal, family)


def _signal(signal: Signal, family: Family) -> Iterator[str]:
    yield f"### `{signal.name}`"
    yield ""
    parts = [signal.unit, *([bounds(signal.range)] if signal.dtype != "string" else []), DIRECTIONS[signal.direction], signal.dtype]
    yield f"*{' · '.join(markdown(p) for p in parts)}*"
    yield ""
    yield markdown(signal.about)
    if signal.misleads:
        yield ""
        yield f"Misleads: {markdown(signal.misleads)}"
    if signal.source != family.source:
        yield ""
        yield f"Source: {markdown(signal.source)}."
    yield ""


def bounds(span: tuple[float | None, float | None]) -> str:
    """``0 to 1``; an open end is ``…``."""
    return " to ".join("…" if b is None else f"{b:g}" for b in span)


def _sections(doc: str) -> dict[str, list[str]]:
    """A Google-style docstring by section; the prose before the first one is ""."""
    found: dict[str, list[str]] = {"": []}
    here = ""
    for line in doc.splitlines():
        match = SECTION.match(line)
        if match:
            here = match[1]
            found[here] = []
        else:
            found[here].append(line)
    prose = "\n".join(found[""]).strip()
    return found | {"": prose.splitlines()}


def _arguments(lines: list[str]) -> dict[str, str]:
    """``name: about`` of an Args section, continuation lines joined."""
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        match = re.match(r"^ {4}(\w+): (.*)$", line)
        if match:
            name, found[match[1]] = match[1], match[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def markdown(text: str) -> str:
    """Plain text as Markdown: code spans stay, what Markdown would read as marks is escaped."""
    pieces = re.split(r"(``.+?``|`[^`]+`)", text)
    return "".join(f"`{p.strip('`')}`" if p.startswith("`") and len(p) > 2 else re.sub(r"([\\*_<\[\]#])", r"\\\1", p) for p in pieces)


def cell(text: str) -> str:
    """Plain text as a Markdown table's cell."""
    return " ".join(markdown(text).split()).replace("|", r"\|")


def commands_page() -> str:
    """Every command with its arguments and options, as click knows them."""
    lines = [
        "# Commands",
        "",
        WRITTEN,
        "",
        "Exit codes: 0 done; 1 the answer is no (nothing matched, verification failed); 2 bad usage or input, with one line on stderr;",
        "130 stopped. `--json` prints machine-readable output on stdout; everything else goes to stderr. `python -m explorer` does the same.",
        "",
    ]
    for name, command in _commands(cli, "explorer"):
        lines += _command(name, command)
    return "\n".join(lines).rstrip("\n") + "\n"


def _commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix} {name}")


def _command(name: str, command: click.Command) -> Iterator[str]:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    words = [_word(argument) for argument in arguments]
    usage = [name, *(["COMMAND"] if isinstance(command, click.Group) else []), *words, *(["[OPTIONS]"] if options else [])]
    yield f"## {name}"
    yield ""
    yield "```"
    yield " ".join(usage)
    yield "```"
    yield ""
    yield from (markdown(line) for line in inspect.cleandoc(command.help or "").splitlines())
    yield ""
    if options:
        yield "| option | |"
        yield "|---|---|"
        yield from (_option(o) for o in options)
        yield ""


def _word(argument: click.Argument) -> str:
    word = argument.metavar or (argument.name or "").upper()
    return word if argument.required or word.startswith("[") else f"[{word}]"


def _option(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.type.name.split(' ')[0].upper()}"
    about = cell(option.help or "")
    if option.show_default and not option.is_flag and option.default is not None:
        about += f" Default: {option.default}."
    if option.required:
        about += " Required."
    return f"| `{', '.join(option.opts)}{value}` | {about} |".replace("VALUE|", r"VALUE\|")


def schema_page() -> str:
    """JSON Schema of ``manifest.json``."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


PAGES = {"signals.md": signals_page, "checks.md": checks_page, "commands.md": commands_page, "manifest.schema.json": schema_page}


def notebook(source: Path = DOCS / "tour.py") -> NotebookNode:
    """The tour as an unexecuted notebook: cells begin with ``# %%``, those of text with ``# %% [markdown]``."""
    import nbformat

    made = nbformat.v4.new_notebook()
    made.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    parts = re.split(r"^# %%( \[markdown\])?\n", source.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for number, (kind, text) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
        if kind:
            made.cells.append(nbformat.v4.new_markdown_cell(re.sub(r"^# ?", "", text.strip(), flags=re.MULTILINE)))
        else:
            made.cells.append(nbformat.v4.new_code_cell(text.strip()))
        made.cells[-1].id = f"cell-{number:02d}"
    return made


def execute(made: NotebookNode, folder: Path) -> NotebookNode:
    """Run a notebook in ``folder`` and drop what differs from run to run: times and the Python version."""
    from nbclient import NotebookClient

    client = NotebookClient(made, timeout=300, kernel_name="python3", record_timing=False, coalesce_streams=True)
    client.resources = {"metadata": {"path": str(folder)}}
    client.execute()
    made.metadata.pop("language_info", None)
    for one in made.cells:
        one.metadata.pop("execution", None)
    return made


def main(arguments: list[str]) -> None:
    """Write the pages, and the tour when asked to."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
    if "--notebook" in arguments:
        import nbformat

        nbformat.write(execute(notebook(), DOCS), DOCS / "tour.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
