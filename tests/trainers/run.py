"""Load exports with each trainer's own code and compare what comes out with the manifests: ``make test-trainers``.

Without MANIFEST three sources, web, code and math, whose documents differ in length, are mixed twice: in one stage and in two. A manifest of
yours is taken instead where it names its tokenizer and sequence length. Every exporter writes its files; the trainer's check script
(``check_X.py EXPORT``) reads them in an environment of its own, which is made first under ``.trainers/``. Shares must be the manifest's to
0.005, or, counted in sequences, to what the exporter's own loss report admits where that is more; documents, their texts and their order are
compared where the trainer tells documents apart. Prints a Markdown table. Exit code 1 when anything is off, or an environment cannot be made.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from expected import expected

import explorer as ex
from explorer.errors import ExplorerError
from explorer.exporters.base import LossReport, exporters
from explorer.manifest.model import Stage

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".trainers"
TORCH = os.environ.get("TORCH", "torch==2.13.0")
TOLERANCE = 0.005
LONGEST = 900  # seconds a check may take
LENGTH, BATCH = 64, 8

# Documents of each source, and words of the shortest and longest of them.
SOURCES = {"web": (600, 20, 100), "code": (300, 40, 200), "math": (100, 60, 300)}
END = "<|endoftext|>"
FIRST, SECOND = {"web": 0.5, "code": 0.3, "math": 0.2}, {"web": 0.2, "code": 0.3, "math": 0.5}
MIXES: dict[str, list[dict[str, Any]]] = {
    "one": [{"name": "stable", "budget_tokens": 98_304, "weights": FIRST}],
    "two": [
        {"name": "stable", "budget_tokens": 131_072, "weights": FIRST},
        {"name": "anneal", "budget_tokens": 65_536, "weights": SECOND},
    ],
}


@dataclass(frozen=True)
class Trainer:
    """What a trainer's check needs.

    Attributes:
        packages: installed with what they ask for.
        alone: installed without what they ask for, which is a GPU.
        options: of the exporter.
        checkout: environment variable that names a checkout of the trainer, where it is no package.
        prerelease: whether packages ask for versions before their release.

    """

    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    checkout: str = ""
    prerelease: bool = False


TRAINERS = {
    "parquet": Trainer(("datasets==5.2.0",), options={"columns": "text"}),
    "megatron": Trainer((TORCH, "megatron-core==0.16.1")),
    "olmo-core": Trainer((TORCH, "ai2-olmo-core==3.0.0")),
    "mosaicml": Trainer((TORCH, "mosaicml-streaming==0.13.0")),
    "nanotron": Trainer(
        (TORCH, "datatrove==0.10.1", "dacite==1.9.2", "transformers==5.24.0", "datasets==5.2.0", "pybind11==3.1.0"),
        options={"batch_size": BATCH},
        checkout="NANOTRON",
    ),
    "levanter": Trainer(("marin-levanter==0.2.20.dev202606180959", "gitpython==3.2.1"), options={"batch_size": BATCH}, prerelease=True),
    "llamafactory": Trainer((TORCH, "llamafactory==0.9.5")),
    "dolma": Trainer(("dolma==1.2.1", "numpy==1.26.4")),
    "torchtitan": Trainer((TORCH, "torchtitan==0.3.0")),
    "litdata": Trainer((TORCH, "litdata==0.2.76", "pyarrow==26.0.1", "polars==2.1.0")),
    "maxtext": Trainer(("grain==0.2.18", "pyarrow==26.0.1", "pyyaml==6.0.4"), checkout="MAXTEXT"),
    "axolotl": Trainer(
        (
            TORCH,
            *("datasets==5.2.0", "transformers==5.24.0", "trl==1.16.0", "peft==0.21.2", "accelerate", "pillow", "numba", "scipy"),
            *("addict==2.4.0", "fire==0.7.1", "posthog", "python-dotenv", "gcsfs"),
        ),
        alone=("axolotl==0.19.0",),
    ),
    "open-lm": Trainer(
        (TORCH, "webdataset==0.2.86", "numpy==1.26.4", "pandas<3", "pyyaml==6.0.4"),
        options={"sequence_length": LENGTH, "sequences_per_shard": 256},
        checkout="OPEN_LM",
    ),
}


class NotRun(Exception):
    """Why a trainer was not run."""


def main() -> int:
    """Run the trainers that are asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("manifest", nargs="?", metavar="MANIFEST", help="a manifest of yours, or its folder")
    arguments.add_argument("--only", default="", help="names of exporters, with commas between them")
    arguments.add_argument("--environments", type=Path, help="folder of environments that exist: NAME/bin/python; none is made")
    given = arguments.parse_args()
    names = [name for name in given.only.split(",") if name] or list(TRAINERS)
    unknown = [name for name in names if name not in TRAINERS] or sorted(set(exporters()) - set(TRAINERS))
    if unknown:
        arguments.error(f"there is no check of {unknown[0]!r}. Trainers: {', '.join(TRAINERS)}. Name some of them, or add one here.")
    failed, skipped = [], []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        manifests = mixes(place) if given.manifest is None else yours(given.manifest)
        emitted = {name: expected(manifest) for name, manifest in manifests.items()}
        promised = {name: texts.stages() for name, texts in emitted.items()}
        os.environ["TEXT_TOKENS"] = str(place / "tokens.json")
        sizes = {text: size for texts in emitted.values() for text, size in texts.tokens.items()}
        (place / "tokens.json").write_text(json.dumps(sizes), encoding="utf-8")
        print_head(manifests)
        for name in names:
            try:
                python = environment(name, given.environments)
                problems = check(name, python, manifests, promised, place)
            except NotRun as why:
                skipped.append(f"{name}: {why}")
                continue
            except (ExplorerError, subprocess.SubprocessError, OSError, ValueError) as error:
                problems = [f"{type(error).__name__}: {error}"]
            failed += [f"{name}: {problem}" for problem in problems]
    for what, lines in (("not run", skipped), ("WRONG", failed)):
        for line in lines:
            print(f"{what}: {line}", file=sys.stderr)
    return int(bool(failed) or len(skipped) == len(names))


def mixes(place: Path) -> dict[str, ex.Manifest]:
    """Both manifests, over the same three corpora."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [f"{name}{i}" for name in SOURCES for i in range(500)]
    vocabulary = {word: i for i, word in enumerate(["[UNK]", END, *SOURCES, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    named = place / "tokenizer"
    named.mkdir()
    tokenizer.save(str(named / "tokenizer.json"))
    configuration = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "unk_token": "[UNK]"}
    (named / "tokenizer_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    random, corpora = np.random.default_rng(0), {}
    for name, (documents, shortest, longest) in SOURCES.items():
        sizes = random.integers(shortest, longest, documents, endpoint=True)
        texts = [" ".join([name, *(f"{name}{i}" for i in random.integers(0, 500, size - 1))]) for size in sizes]
        table = pa.table({"id": [f"{name}-{i}" for i in range(documents)], "text": texts})
        pq.write_table(table, place / f"{name}.parquet", row_group_size=64)
        corpora[name] = ex.open_corpus(place / f"{name}.parquet", workspace=place / "workspace")
    common: dict[str, Any] = {"order": "shuffled", "seed": 1, "sequence_length": LENGTH, "tokenizer": str(named)}
    return {name: ex.mix(corpora, stages=stages, name=name, out=place / f"mix-{name}", **common) for name, stages in MIXES.items()}


def yours(path: str) -> dict[str, ex.Manifest]:
    """A manifest that was made elsewhere, by its name.

    Raises:
        SystemExit: it cannot be read, or trainers cannot be compared on it.

    """
    try:
        manifest = ex.read_manifest(path)
    except ExplorerError as error:
        sys.exit(str(error))
    if manifest.tokenizer.model is None or manifest.sequence_length is None:
        sys.exit(f"{path} names no tokenizer or no sequence length. Trainers need both. Set them and mix again.")
    return {manifest.name: manifest}


def environment(name: str, existing: Path | None) -> Path:
    """The Python of a trainer's environment, which is made where it is missing or of other packages.

    Raises:
        NotRun: a checkout or an environment that was to exist is missing.
        CalledProcessError: a package cannot be installed.

    """
    trainer = TRAINERS[name]
    if trainer.checkout and not Path(os.environ.get(trainer.checkout) or "?").is_dir():
        raise NotRun(f"it is no package. Name a checkout of it: {trainer.checkout}=FOLDER")
    folder = (existing or ENVIRONMENTS) / name
    python = folder / "bin" / "python"
    if existing is not None:
        if not python.exists():
            raise NotRun(f"there is no environment {name}")
        return python
    made = folder / "packages.txt"
    wanted = "\n".join([*trainer.packages, *trainer.alone]) + "\n"
    if made.exists() and made.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making the environment of {name}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    make = [uv, "venv", "--quiet", "--python", sys.executable, str(folder)] if uv else [sys.executable, "-m", "venv", str(folder)]
    install = [uv, "pip", "install", "--quiet", "--python", str(python)] if uv else [str(python), "-m", "pip", "install", "--quiet"]
    early = [] if not trainer.prerelease else ["--prerelease=allow"] if uv else ["--pre"]
    subprocess.run(make, check=True)
    subprocess.run([*install, *early, *trainer.packages], check=True)
    if trainer.alone:
        subprocess.run([*install, "--no-deps", *trainer.alone], check=True)
    made.write_text(wanted, encoding="utf-8")
    return python


def check(name: str, python: Path, manifests: Mapping[str, ex.Manifest], promised: Mapping[str, Any], place: Path) -> list[str]:
    """Export the mixes, let the trainer read them, print its row; what is wrong."""
    problems: list[str] = []
    cells: list[str] = []
    compared: set[str] = set()
    allowed = furthest = from_asked = 0.0
    options = dict(TRAINERS[name].options)
    if name == "open-lm":
        if "one" not in manifests:
            raise NotRun("its check knows the sources of the small mixes by their words")
        options["tokenizer"] = manifests["one"].tokenizer.name
    for mix, manifest in manifests.items():
        out = place / f"{name}-{mix}"
        loss = ex.export(manifest, to=name, out=out, **options).loss
        found = read(name, python, out, manifest.sequence_length or LENGTH)
        admitted = loss.of("weight").number or 0.0
        # of texts the loss report says by how much the manifest itself is off
        tolerance = max(TOLERANCE, admitted) if found["unit"] == "sequences" else TOLERANCE
        problems += [f"{mix}: {wrong}" for wrong in found["wrong"]]
        if len(found["stages"]) != len(manifest.stages):
            problems.append(f"{mix}: {len(found['stages'])} stages were read, not {len(manifest.stages)}")
            continue
        for stage, sources in zip(manifest.stages, found["stages"].values(), strict=True):
            of = f"{mix}, {stage.name}"
            asked = {c.source: c.resolved.weight or 0.0 for c in stage.components}
            if sources.keys() != asked.keys():
                problems.append(f"{of}: sources {sorted(sources)} were read, not {sorted(asked)}")
                continue
            off = {
                (source, key): abs(value - asked[source])
                for source, said in sources.items()
                for key, value in said.items()
                if key.startswith("share")
            }
            problems += [
                f"{of}: {key} of {s} is off by {by:.4f}, more than {tolerance:.4f}" for (s, key), by in off.items() if by > tolerance
            ]
            furthest, allowed = max(furthest, *off.values()), max(allowed, tolerance)
            from_asked = max(from_asked, *(abs(sources[source]["share"] - share) for source, share in asked_shares(stage).items()))
            cells.append(" / ".join(f"{sources[source]['share']:.4f}" for source in asked))
            more, kinds = documents(sources, promised[mix][stage.name], loss)
            problems += [f"{of}: {problem}" for problem in more]
            compared |= kinds
    versions = ", ".join(f"{package} {version}" for package, version in found["versions"].items())
    checked = ", ".join(key for key in ("documents", "texts", "order") if key in compared) or "–"
    numbers = [f"{number:.4f}" for number in (furthest, allowed, from_asked)]
    print("|", " | ".join([f"`{name}`", versions, *cells, found["unit"], *numbers, checked]), "|", flush=True)
    return problems


def read(name: str, python: Path, export: Path, length: int) -> dict[str, Any]:
    """What a check script printed of an export; ``length`` is for those whose files do not say it.

    Raises:
        ValueError: it failed without saying what it read.

    """
    script = HERE / f"check_{name.replace('-', '_')}.py"
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    line = [str(python), str(script), str(export), str(length)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=LONGEST, env=variables)
    try:
        found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{\n") :])
    except ValueError as error:
        raise ValueError(f"{script.name} ended with {done.returncode}:\n{done.stderr[-3000:]}") from error
    return found


def documents(sources: Mapping[str, Any], promised: Mapping[str, Any], loss: LossReport) -> tuple[list[str], set[str]]:
    """Problems with documents, their texts and their order, and which of these could be compared."""
    problems, compared = [], set()
    for key, fields in (("documents", ["repeat"]), ("texts", ["selection", "repeat"]), ("order", ["selection", "order"])):
        if any(loss.of(of).how != "exact" for of in fields):
            continue
        for source, said in sources.items():
            if key in said:
                compared.add(key)
                if said[key] != promised[source][key]:
                    problems.append(f"{key} of {source}: {said[key]} was read, the manifest says {promised[source][key]}")
    return problems, compared


def asked_shares(stage: Stage) -> dict[str, float]:
    """Share of a stage's tokens that each source was to have: by weights where all have one, else by the tokens that amounts come to."""
    weights = {c.source: c.given.weight for c in stage.components}
    sizes = {c.source: c.resolved.target_tokens or c.resolved.tokens for c in stage.components}
    said = {source: weight or 0.0 for source, weight in weights.items()} if None not in weights.values() else sizes
    return {source: size / sum(said.values()) for source, size in said.items()}


def print_head(manifests: Mapping[str, ex.Manifest]) -> None:
    """The table's first rows: what was asked for, and what the manifests hold, whose documents are whole."""
    stages = [(mix, stage) for mix, manifest in manifests.items() for stage in manifest.stages]
    asked = [" / ".join(f"{share:.4f}" for share in asked_shares(stage).values()) for _, stage in stages]
    held = [" / ".join(f"{c.resolved.weight or 0.0:.4f}" for c in stage.components) for _, stage in stages]
    print(
        "| exporter | read with |",
        " | ".join(f"{mix}: {stage.name}" for mix, stage in stages),
        "| counted in | furthest | allowed | from asked | equal |",
    )
    print("|---" * (7 + len(stages)), "|", sep="")
    print("| *asked* | |", " | ".join(asked), "| | | | | |")
    print("| *manifest* | |", " | ".join(held), "| tokens | | | | |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
