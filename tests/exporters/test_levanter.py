"""Levanter's configuration; numbers of sequences are those that its own MixtureDataset gave."""

import math

import pytest
import yaml

from explorer.errors import ExportError
from explorer.exporters import export
from explorer.exporters.levanter import _check, realised
from explorer.manifest.write import mix


def said(folder) -> dict:
    return yaml.safe_load((folder / "levanter.yaml").read_text())


# weights, block → sequences in a block, counted with marin-levanter 0.2.20 (MixtureDataset.get_batch over one block)
KNOWN = [
    ({"web": 0.7, "code": 0.2, "math": 0.1}, 100, {"web": 70, "code": 20, "math": 10}),
    ({"web": 0.5, "code": 0.3, "math": 0.2}, 2048, {"web": 1025, "code": 614, "math": 409}),
    ({"web": 0.999, "math": 0.001}, 100, {"web": 100, "math": 0}),
    ({"web": 0.6000742321610838, "code": 0.2998588612200446, "math": 0.10006690661887158}, 800, {"web": 481, "code": 239, "math": 80}),
]


@pytest.mark.parametrize(("weights", "block", "counts"), KNOWN)
def test_sequences_of_a_block_are_counted_as_levanter_counts_them(weights, block, counts) -> None:
    assert realised(weights, block) == counts


def test_stages_become_steps_that_begin_with_blocks(corpora, staged, tmp_path) -> None:
    stages = {"stable": {"epochs": {"web": 10, "code": 10}}, "anneal": {"epochs": {"web": 1, "code": 6}}}
    manifest = staged(corpora, stages, sequence_length=11)
    report = export(manifest, to="levanter", out=tmp_path / "e", batch_size=2)
    found = said(tmp_path / "e")
    (zero, first), (start, second) = found["data"]["train_weights"]
    assert zero == 0
    assert start * 2 % found["data"]["mixture_block_size"] == 0
    assert list(first) == ["stable-web", "stable-code"]
    assert first == pytest.approx({"stable-web": 2 / 3, "stable-code": 1 / 3})
    assert second == pytest.approx({"anneal-web": 660 / 2640, "anneal-code": 1980 / 2640})
    assert start == pytest.approx(9900 / 22, rel=0.05)
    assert found["trainer"]["num_train_steps"] == round(9900 / 22) + round(2640 / 22)
    assert found["train_seq_len"] == 11
    files = [url for c in found["data"]["components"].values() for url in c["source"]["train_urls"]]
    assert files == [f"{stage}/{source}-00000.parquet" for stage in stages for source in ("web", "code")]
    assert all((tmp_path / "e" / file).is_file() for file in files)
    assert report.loss.of("weight").how == "exact" or report.loss.of("weight").number < 0.01
    assert f"begin at 0, {start}" in report.loss.of("stages").reason


def test_a_length_that_is_not_the_manifests_is_said(corpora, tmp_path) -> None:
    mix(corpora, sequence_length=11, out=tmp_path / "m")
    for length, how in ((11, "exact"), (8, "dropped")):
        lost = export(tmp_path / "m", to="levanter", out=tmp_path / f"e{length}", batch_size=2, sequence_length=length).loss
        assert lost.of("sequence_length").how == how
    assert lost.of("sequence_length").reason == "8 by the option sequence_length; the manifest asks for 11"


@pytest.mark.parametrize(("lengths", "train", "how"), [((8, 8), 8, "exact"), ((None, 8), 11, "dropped")])
def test_one_length_holds_for_the_whole_run(corpora, tmp_path, lengths, train, how) -> None:
    stages = [{"name": f"s{i}", "epochs": {"web": 1, "code": 1}, "sequence_length": length} for i, length in enumerate(lengths)]
    mix(corpora, stages=stages, sequence_length=11, out=tmp_path / "m")
    lost = export(tmp_path / "m", to="levanter", out=tmp_path / "e", batch_size=2).loss.of("sequence_length")
    assert said(tmp_path / "e")["train_seq_len"] == train
    assert lost.how == how
    assert how == "exact" or lost.reason.endswith("for the whole run: 11; the stages ask for 11, 8")


def test_one_stage_needs_nothing_and_says_what_is_left_open(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    report = export(tmp_path / "m", to="levanter", out=tmp_path / "e")
    found = said(tmp_path / "e")
    assert math.isclose(sum(found["data"]["train_weights"].values()), 1, abs_tol=1e-12)
    assert found["data"]["shuffle"] is False  # levanter's own default shuffles
    assert "tokenizer" not in found["data"]
    assert "gpt2" in (tmp_path / "e" / "README.txt").read_text()
    assert [report.loss.of(field).how for field in ("epochs", "tokenizer", "order")] == ["dropped", "dropped", "exact"]
    assert export(tmp_path / "m", to="levanter", out=tmp_path / "s", shuffle=True).loss.of("order").how == "dropped"


def test_what_levanter_would_drop_without_a_word_is_refused(corpora, staged, tmp_path) -> None:
    mix(corpora, epochs={"web": 10, "code": 0.1}, out=tmp_path / "one")
    with pytest.raises(ExportError, match=r"'code' has the weight 0\.00468 .* in a block of 100: .*block_size=214 or more"):
        export(tmp_path / "one", to="levanter", out=tmp_path / "e", block_size=100)
    export(tmp_path / "one", to="levanter", out=tmp_path / "e", block_size=214)
    manifest = staged(corpora, {"a": {}, "b": {}})
    with pytest.raises(ExportError, match=r"by training step\. Give batch_size=SEQUENCES"):
        export(manifest, to="levanter", out=tmp_path / "e2")
    for options, message in (
        ({"block_size": 5}, "a multiple of 2"),
        ({"block_size": 70000}, "65,535 at most"),
        ({"batch_size": 0}, "whole number"),
    ):
        with pytest.raises(ExportError, match=message):
            export(manifest, to="levanter", out=tmp_path / "e2", **{"batch_size": 2, "sequence_length": 8, **options})


def test_a_larger_block_is_advised_only_where_levanter_takes_it() -> None:
    with pytest.raises(ExportError, match=r"Give block_size=1008 or more"):
        _check("a", {"web": 0.999, "code": 0.001}, 96, 8)
    with pytest.raises(ExportError, match=r"A block has 65,535 at most\. Mix without the source"):
        _check("a", {"web": 1 - 1e-5, "code": 1e-5}, 2048, 1)
