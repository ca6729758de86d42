"""``explorer advise``: tables in, tables or JSON out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from explorer.cli import run


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(["advise", *arguments]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


def csv(path: Path, **columns: object) -> str:
    pl.DataFrame(columns).write_csv(path)
    return str(path)


def test_from_proposed_runs_to_a_mixture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    domains = csv(tmp_path / "domains.csv", domain=["web", "code", "math"], tokens=[8e9, 3e9, 1e9])
    runs = tmp_path / "runs.csv"
    runs.write_text(said(capsys, "runs", domains, "--count", "30").replace("\t", ","))
    table = pl.read_csv(runs)
    losses = csv(tmp_path / "losses.csv", run=table["run"], loss=3 - table["code"] + table["math"])
    found = json.loads(
        said(
            capsys, "regmix", str(runs), losses, "--target", "loss", "--method", "linear", "--tokens", domains, "--budget-tokens", "1e10",
            "--max-epochs", "2", "--samples", "3000", "--top", "20", "--json",
        )
    )  # fmt: skip
    assert found["runs"] == 30
    assert found["spearman"] == pytest.approx(1)
    assert 0.5 < found["weights"]["code"] <= 0.6  # 2 epochs of 3e9 tokens
    assert found["table"][1]["epochs"] <= 2
    shown = said(capsys, "regmix", str(runs), losses, "--target", "loss", "--method", "linear", "--samples", "500", "--top", "10")
    assert shown.splitlines()[0].split("\t")[:3] == ["domain", "prior", "weight"]
    assert "epochs" not in shown
    scores = json.loads(said(capsys, "meta-rater", str(runs), losses, "--target", "loss", "--method", "linear", "--json"))
    assert scores["weights"]["code"] > 0.8
    assert "'run' is not in" in said(capsys, "regmix", str(runs), domains, "--target", "loss", code=2)
    assert "30 runs are too few for trees" in said(capsys, "regmix", str(runs), losses, "--target", "loss", code=2)


def test_the_other_laws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ratios = np.repeat([0.125, 0.25, 1 / 3, 0.5], 2)
    change = np.array([0, 0.01, 0, 0.03, 0, 0.06, 0, 0.12])
    grid = csv(
        tmp_path / "grid.csv", model=["460M"] * 8, ratio=ratios, tokens=[0.0, 2e10] * 4, general_loss=2 + change, domain_loss=3 - change
    )
    found = json.loads(said(capsys, "cmr", grid, "--model", "model", "--json"))
    assert found[0]["ratio"] == pytest.approx(0.3055556)
    assert "feasible" in said(capsys, "cmr", grid)
    sizes = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
    base = csv(tmp_path / "base.csv", tokens=sizes, loss=2 * sizes**-0.3 + 3)
    method = csv(tmp_path / "method.csv", tokens=[0.2], loss=[5.991313193385524])
    found = json.loads(said(capsys, "data-efficiency", base, method, "--json"))
    assert found["table"][0]["efficiency"] == pytest.approx(1.30676, abs=1e-4)
    found = json.loads(said(capsys, "repeats", "1e9", "--epochs", "4", "--json"))
    assert found["table"][0]["efficiency"] == pytest.approx(0.931418, abs=1e-6)
    assert "10.0%" in said(capsys, "curriculum", "--order", "folded")
    order = csv(tmp_path / "order.csv", quality=[1.0, 2.0, None], tokens=[5, 5, 10])
    found = json.loads(said(capsys, "curriculum", "--schedule", "constant", "--documents", order, "--json"))
    assert [row["part"] for row in found["table"]] == [3, 8, None]
    steps = csv(tmp_path / "steps.csv", step=[1, 2], w_web=[1.0, 0.5], w_math=[0.0, 0.5])
    assert said(capsys, "trajectories", steps).splitlines()[1].split("\t")[4] == "0.5"


def test_presets_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "dolmino-50b" in said(capsys, "presets")
    assert "47.2%" in said(capsys, "presets", "dolmino-50b")
    assert json.loads(said(capsys, "presets", "crystal", "--json"))["table"][1]["stage"] == "2"
    assert "No preset is called" in said(capsys, "presets", "olmo", code=2)


def test_files_that_are_no_tables_of_numbers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = csv(tmp_path / "words.csv", tokens=["many", "few"], loss=[1.0, 2.0], quality=["good", "bad"])
    assert "'tokens' of the table of the baseline holds String" in said(capsys, "data-efficiency", words, words, code=2)
    assert "'quality' of" in said(capsys, "curriculum", "--documents", words, code=2)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no")
    message = said(capsys, "cmr", str(broken), code=2)
    assert "cannot be read as a table" in message
    assert message.count("\n") == 1
