"""MosaicML Streaming: shards byte for byte, packed rows in order, stages as a curriculum."""

import hashlib

import numpy as np
import pytest
import yaml

from explorer.errors import ExportError
from explorer.exporters import export, mosaicml
from explorer.exporters.mosaicml import write_mds

# sha256 of what MDSWriter of mosaicml-streaming 0.13.0 writes for rows [0..3], [4..7] … [76..79] of "ndarray:uint16:4".
REFERENCE = {
    1 << 26: {
        "index.json": "12bd7a6099762b50c661bcc298d19d048fbcf1eda1ecd88aa3a033c378580ce6",
        "shard.00000.mds": "798306e1134f37fa3a58c5c83fe124555463d27b4c7f257ee85587b8f3c4d003",
    },
    400: {
        "index.json": "8cc5ae2abd619604d985b0e97dae64555c5257ed21e94b03ec1039ad51d52041",
        "shard.00000.mds": "9c1fba6339c2e23d30998f65688e0696d3c24af3709fd2f1f7a14e9887a8cc56",
        "shard.00001.mds": "a70a36bf360e3326e4fba69735f6fe6da919ed074dd28e517198666d24f81f76",
    },
}


@pytest.mark.parametrize("limit", REFERENCE)
def test_shards_are_byte_for_byte_those_of_the_library(tmp_path, monkeypatch, limit) -> None:
    monkeypatch.setattr(mosaicml, "SHARD_BYTES", limit)
    ids = np.arange(83, dtype=np.uint16)
    pieces = [(ids[a:b], np.array([b - a])) for a, b in ((0, 1), (1, 50), (50, 50), (50, 83))]
    assert write_mds(tmp_path / "x", iter(pieces), 4, "uint16") == (20, 3)
    assert {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / "x").iterdir()} == REFERENCE[limit]


def test_rows_are_packed_in_order_and_stages_follow_as_a_curriculum(mixes, ids_of, tmp_path) -> None:
    report = export(mixes / "two", to="mosaicml", out=tmp_path / "e", at="/data", shuffle=False)
    said = yaml.safe_load((tmp_path / "e" / "train.yaml").read_text())
    callback = said["callbacks"]["curriculum_learning"]
    datasets = {"stable": said["train_loader"]["dataset"], "anneal": callback["schedule"][0]["dataset"]}
    durations = {"stable": callback["duration"], "anneal": callback["schedule"][0]["duration"]}
    left = 0
    for stage, dataset in datasets.items():
        rows = 0
        for source in ("web", "code"):
            ids = [i for d in ids_of(mixes / "two", source, stage) for i in d]
            n, rest = divmod(len(ids), 8)
            assert dataset["streams"][source] == {"local": f"/data/{stage}/{source}", "choose": n}
            data = (tmp_path / "e" / stage / source / "shard.00000.mds").read_bytes()
            assert np.frombuffer(data[-16 * n :], np.uint16).tolist() == ids[: 8 * n]
            rows, left = rows + n, left + rest
        assert durations[stage] == f"{8 * rows}tok"
        assert (dataset["max_seq_len"], dataset["shuffle"], dataset["eos_token_id"]) == (8, False, 1)
    assert said["max_duration"] == f"{sum(int(d[:-3]) for d in durations.values())}tok"
    assert report.loss.of("sequence_length").number == left > 0
    assert report.loss.of("order").how == "exact"
    shuffled = export(mixes / "one", to="mosaicml", out=tmp_path / "s")
    assert shuffled.loss.of("order").how == "dropped"


def test_a_source_without_a_whole_row_is_refused(mixes, tmp_path) -> None:
    with pytest.raises(ExportError, match="'code' has 99 tokens in stage 'all', less than one sequence of 500"):
        export(mixes / "one", to="mosaicml", out=tmp_path / "e", sequence_length=500)
    with pytest.raises(ExportError, match="true or false"):
        export(mixes / "one", to="mosaicml", out=tmp_path / "e", shuffle="yes")
