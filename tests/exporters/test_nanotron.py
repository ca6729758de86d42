"""nanotron: stages that start at their step, and folders of ids as datatrove writes them."""

import math

import numpy as np
import pytest
import yaml

from explorer.errors import ExportError
from explorer.exporters import export


def test_stages_start_at_their_step_and_folders_hold_their_ids(mixes, tokenizer, ids_of, tmp_path) -> None:
    report = export(mixes / "two", to="nanotron", out=tmp_path / "e", batch_size=3, at="/data")
    said = yaml.safe_load((tmp_path / "e" / "data_stages.yaml").read_text())["data_stages"]
    assert [s["name"] for s in said] == ["stable", "anneal"]
    start, left = 1, 0
    for stage in said:
        assert stage["start_training_step"] == start
        sequences = {}
        for source in ("web", "code"):
            place = tmp_path / "e" / stage["name"] / source / f"000_{source}.ds"
            documents = ids_of(mixes / "two", source, stage["name"])
            assert np.fromfile(place, np.uint16).tolist() == [i for d in documents for i in d]
            assert np.fromfile(f"{place}.index", np.uint64).tolist() == np.cumsum([len(d) for d in documents]).tolist()
            total = sum(map(len, documents))
            assert place.with_name(f"{place.name}.metadata").read_text().splitlines()[:2] == [f"{tokenizer}|2", str(total)]
            sequences[source] = total // 9
            left += total
        steps = sum(sequences.values()) // 3
        start, left = start + steps, left - steps * 27
        data = stage["data"]["dataset"]
        assert data["dataset_folder"] == [f"/data/{stage['name']}/{s}" for s in ("web", "code")]
        assert math.fsum(data["dataset_weights"]) == 1
        # no folder is asked for a sequence more than it has: it would begin again
        for source, weight in zip(sequences, data["dataset_weights"], strict=True):
            assert math.ceil(steps * 3 * weight - 1e-9) <= sequences[source]
        assert (data["tokenizer_name"], data["token_size_in_bytes"], data["shuffle_files"]) == (tokenizer, 2, False)
    assert f"train_steps to {start - 1} " in (tmp_path / "e" / "README.txt").read_text()
    assert report.loss.of("sequence_length").number == left > 0
    assert report.loss.of("stages").how == "exact"


def test_steps_that_cannot_be_are_refused(mixes, tmp_path) -> None:
    for options, message in (
        ({}, "batch_size is None.*Set it: -o batch_size=NUMBER"),
        ({"batch_size": 10_000}, "less than one step"),
    ):
        with pytest.raises(ExportError, match=message):
            export(mixes / "one", to="nanotron", out=tmp_path / "e", **options)
