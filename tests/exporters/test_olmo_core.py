"""OLMo-core: raw ids without a header, ratios that add up to 1, and what a run may request."""

import math

import numpy as np
import pytest
import yaml

from explorer.errors import ExportError
from explorer.exporters import export


def test_a_stage_has_a_mixture_raw_files_and_the_numbers_of_its_run(mixes, ids_of, tmp_path) -> None:
    export(mixes / "two", to="olmo-core", out=tmp_path / "e", at="/data", global_batch_size=16)
    for stage in ("stable", "anneal"):
        place = tmp_path / "e" / stage
        said = yaml.safe_load((place / "mix.yaml").read_text())["sources"]
        tokens = {s: sum(map(len, ids_of(mixes / "two", s, stage))) for s in ("web", "code")}
        assert [s["source_name"] for s in said] == ["web", "code"]
        assert [s["paths"] for s in said] == [[f"/data/{stage}/{s}.npy"] for s in ("web", "code")]
        assert math.fsum(s["target_ratio"] for s in said) == 1
        assert said[0]["target_ratio"] == pytest.approx(tokens["web"] / sum(tokens.values()), rel=1e-12)
        assert {k for s in said for k in s} == {"source_name", "target_ratio", "paths", "max_repetition_ratio", "max_source_fraction"}
        run = yaml.safe_load((place / "run.yaml").read_text())
        whole = sum(n // 8 for n in tokens.values()) * 8
        assert run["requested_tokens"] == whole // 16 * 16
        assert (run["sequence_length"], run["global_batch_size"], run["dtype"], run["eos_token_id"]) == (8, 16, "uint16", 1)
        for source in ("web", "code"):  # every source can give its share of what is requested
            ratio = next(s["target_ratio"] for s in said if s["source_name"] == source)
            assert int(run["requested_tokens"] * ratio) <= (place / f"{source}.npy").stat().st_size // 2
            assert np.fromfile(place / f"{source}.npy", np.uint16).tolist() == [i for d in ids_of(mixes / "two", source, stage) for i in d]


def test_batches_that_do_not_fit_are_refused(mixes, tmp_path) -> None:
    for size, message in ((12, "no multiple of the sequence_length 8"), (8_000, "less than one batch of 8,000")):
        with pytest.raises(ExportError, match=message):
            export(mixes / "one", to="olmo-core", out=tmp_path / "e", global_batch_size=size)
