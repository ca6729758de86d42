"""labels, train and scorers as commands."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from explorer import scorers
from explorer.cli import labels as commands
from explorer.corpus.corpus import open_corpus
from explorer.labels import Labels


def run(command, *arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


@pytest.fixture
def ships(tmp_path):
    random = np.random.default_rng(0)
    y = random.random(80) < 0.5
    texts = [" ".join(random.choice(["ship", "sail", "tide"] if v else ["field", "barn", "wheat"], 20)) + f" {i}" for i, v in enumerate(y)]
    path = tmp_path / "ships.parquet"
    pq.write_table(pa.table({"id": [f"d{i}" for i in range(80)], "text": texts, "y": y.astype(int)}), path)
    return path, tmp_path / "ws", y


def test_import_list_export_and_undo(ships, tmp_path):
    path, space, y = ships
    file = tmp_path / "in.csv"
    pl.DataFrame({"id": [f"d{i}" for i in range(40)] + ["nobody"], "label": ["good" if v else "bad" for v in y[:40]] + ["bad"]}).write_csv(
        file
    )
    done = run(commands.labels, "import", file, path, "--workspace", space)
    assert done.exit_code == 0, done.output
    assert "41 labels read, 40 documents changed" in done.output
    assert "nobody" in done.output
    listed = run(commands.labels, "list", path, "--workspace", space, "--json")
    assert len(json.loads(listed.stdout)) == 40
    out = tmp_path / "out.parquet"
    assert run(commands.labels, "export", out, "--workspace", space).exit_code == 0
    assert pl.read_parquet(out).height == 40
    assert "40 documents" in run(commands.labels, "undo", "--workspace", space).output
    assert run(commands.labels, "list", path, "--workspace", space).exit_code == 1
    assert run(commands.labels, "undo", "--workspace", space).exit_code == 1
    assert run(commands.labels, "undo", "--redo", "--workspace", space).exit_code == 0
    assert len(Labels(space).of(open_corpus(path, workspace=space))) == 40


def test_train_apply_list_and_export(ships, tmp_path):
    path, space, _ = ships
    done = run(commands.train, path, "--workspace", space, "--name", "ships", "--column", "y", "--apply", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["metrics"]["auc"] > 0.9
    assert (said["scored"], said["column"]) == (80, "scorer_ships")
    assert np.isfinite(open_corpus(path, workspace=space).columns.numbers("scorer_ships")).all()
    plain = run(commands.train, path, "--workspace", space, "--name", "again", "--column", "y", "--model", "words")
    assert "AUC" in plain.output
    assert "words for" in plain.output
    assert [s["name"] for s in json.loads(run(commands.scorers_, "list", "--workspace", space, "--json").stdout)] == ["again", "ships"]
    assert "80 of 80" in run(commands.scorers_, "apply", "again", path, "--workspace", space).output
    files = run(commands.scorers_, "export", "ships", tmp_path / "s.npz", "--workspace", space).output.split()
    assert files == [str(tmp_path / "s.npz"), str(tmp_path / "s.json")]


@pytest.mark.thorough
def test_training_from_a_labels_file(ships, tmp_path):
    path, space, y = ships
    file = tmp_path / "in.csv"
    pl.DataFrame({"id": [f"d{i}" for i in range(40)], "label": ["fine" if v else "poor" for v in y[:40]]}).write_csv(file)
    done = run(commands.train, path, "--workspace", space, "--name", "mine", "--labels", file, "--positive", "fine")
    assert done.exit_code == 0, done.output
    assert scorers.load("mine", space).classes == {"fine": int(y[:40].sum()), "poor": int((~y[:40]).sum())}
