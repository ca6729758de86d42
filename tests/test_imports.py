"""The library is free of Streamlit, imports point one way, and the command answers ``--help`` without the heavy packages."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import explorer

PACKAGE = Path(explorer.__file__).parent
HEAVY = {
    "torch",
    "streamlit",
    "numba",
    "duckdb",
    "polars",
    "pyarrow",
    "numpy",
    "pandas",
    "sentence_transformers",
    "transformers",
    "plotly",
    "fsspec",
}

# Lower never imports higher; what stands in one set may import each other.
ORDER = [
    {"errors", "__init__"},
    {"registry", "primitives"},
    {"models"},
    {"corpus"},
    {"engine"},
    {"embeddings", "duplicates", "labels", "scorers"},
    {"signals", "sample"},
    {"rewrites"},
    {"selection"},
    {"mixture"},
    {"manifest"},
    {"exporters"},
    {"jobs"},
    {"cli", "ui", "__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def loaded_by(statement: str) -> set[str]:
    script = f"{statement}\nimport sys, json\nprint('\\n' + json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "statement",
    [
        "import explorer",
        "import explorer.jobs",
        "import explorer.cli",
        "from explorer.cli import run; run(['--help'])",
        "from explorer.cli import run; run(['score', '--help'])",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(statement: str) -> None:
    assert not HEAVY & loaded_by(statement)


def test_the_library_never_loads_streamlit() -> None:
    work = "import explorer as ex, explorer.engine.local; [getattr(ex, n) for n in ex.__all__]; ex.score_texts(['x'], ['pii'])"
    assert not {"streamlit", "torch"} & loaded_by(work)


def part(module: str) -> str:
    """The part of the package a module belongs to: explorer.corpus.files is of corpus."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, module) of every import that runs when the module is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found += [(node.lineno, f"{node.module}.{alias.name}" if node.module == "explorer" else node.module) for alias in node.names]
        pending += ast.iter_child_nodes(node)
    return found


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if "_app" not in p.parts)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way_and_only_the_ui_knows_streamlit(path: Path) -> None:
    inner = path.relative_to(PACKAGE)
    own = inner.parts[0].removesuffix(".py")
    assert own in RANK, f"say in ORDER where explorer.{own} stands"
    for line, module in imports(path):
        if module.split(".")[0] == "streamlit":
            assert own == "ui", f"{inner}:{line} imports Streamlit"
        if module.split(".")[0] == "explorer":
            other = part(module)
            if other in RANK:  # else a name of the package itself, such as __version__
                assert RANK[other] <= RANK[own], f"{inner}:{line} imports {module}, which stands above it"
