"""Stages: documents continue from one to the next, shares and ramps come out as asked, and what is previewed is what is written."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import ManifestError
from explorer.manifest.model import FILE, digest, read_manifest
from explorer.manifest.verify import verify
from explorer.manifest.write import mix, write_mixture
from explorer.mixture.amounts import Given, Taken, Target
from explorer.mixture.counted import count_sources
from explorer.mixture.draw import Draw
from explorer.mixture.model import Mixture, SourcePlan, StagePlan
from explorer.mixture.preview import preview
from explorer.mixture.stages import asks

STAGES = [
    {"name": "stable", "share": 0.8},
    {"name": "anneal", "share": 0.2, "weights": {"web": 0.4, "code": 0.6}, "order": "ascending q", "sequence_length": 128},
]


def counts(folder, stage, source) -> pl.DataFrame:
    return pl.read_parquet(folder / f"selection-{stage}-{source}.parquet")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=15).filter(lambda sizes: sum(sizes) > 0),
    st.lists(st.one_of(st.floats(0.001, 3), st.integers(1, 40)), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_a_document_comes_again_only_when_all_have_come_as_often(sizes, stages, random) -> None:
    """Floats are stages in epochs of tokens, whole numbers in documents; both may follow each other."""
    tokens, order = np.array(sizes, float), list(range(len(sizes)))
    random.shuffle(order)
    draw = Draw(tokens, lambda: np.array(order))
    place, taken, copies = 0, Taken(), np.zeros(len(sizes), int)
    for amount in stages:
        whole = isinstance(amount, int)
        target = Target(Given(), 0.0, amount) if whole else Target(Given(), amount * draw.total)
        end, taken = draw.advance(place, taken, target)
        took = draw.copies(end) - draw.copies(place)
        assert took.min() >= 0
        assert took.sum() == end - place
        assert np.count_nonzero(took) == min(len(sizes), end - place)
        if whole:
            assert end - place in (amount, amount - 1, amount + 1) if taken.documents != int(taken.documents) else end - place == amount
        else:  # what all stages so far hold is within half a document of what was asked
            assert abs(draw.tokens_at(end) - taken.tokens) <= tokens.max() / 2 + 1e-6
        copies, place = copies + took, end
        assert copies.max() - copies.min() <= 1
        assert (tokens * copies).sum() == pytest.approx(draw.tokens_at(place))


def test_shares_and_weights_come_out_within_a_document_and_documents_continue(corpora, tmp_path) -> None:
    manifest = mix(corpora, weights={"web": 0.7, "code": 0.3}, budget_tokens=900, stages=STAGES, seed=3, out=tmp_path / "m")
    assert [(s.name, s.share, s.budget_tokens, s.sequence_length) for s in manifest.stages] == [
        ("stable", 0.8, 720.0, None),
        ("anneal", 0.2, 180.0, 128),
    ]
    asked = {"stable": {"web": 504.0, "code": 216.0}, "anneal": {"web": 72.0, "code": 108.0}}
    for stage in manifest.stages:
        for part in stage.components:
            assert part.resolved.tokens == pytest.approx(asked[stage.name][part.source], abs=12)
            assert part.selection.path == f"selection-{stage.name}-{part.source}.parquet"
    assert sum(s.tokens for s in manifest.stages) == pytest.approx(900, abs=12)
    for source in ("web", "code"):
        first, second = counts(tmp_path / "m", "stable", source), counts(tmp_path / "m", "anneal", source)
        assert not set(first["id"]) & set(second["id"])
        assert set(first["repeat"]) | set(second["repeat"]) == {1}
    assert counts(tmp_path / "m", "stable", "web")["row"].is_sorted() is False  # two files, natural order in each
    numbers = [int(i.removeprefix("code-")) for i in counts(tmp_path / "m", "anneal", "code")["id"]]
    assert numbers == sorted(numbers)
    assert manifest.totals.unique_documents == manifest.totals.documents
    assert manifest.totals.effective_tokens == manifest.totals.tokens
    assert [c.order for c in manifest.stages[1].components] == ["ascending q"] * 2


def test_the_second_pass_begins_when_the_first_is_over(corpora, tmp_path) -> None:
    stages = [{"name": f"s{i}", "epochs": {"web": e}} for i, e in enumerate((0.6, 0.6, 1.1))]
    manifest = mix({"web": corpora["web"]}, stages=stages, out=tmp_path / "m")
    tables = [counts(tmp_path / "m", f"s{i}", "web") for i in range(3)]
    assert [t["repeat"].sum() for t in tables] == [36, 36, 66]
    together = pl.concat(tables[:2]).group_by("id").agg(pl.col("repeat").sum())["repeat"]
    assert sorted(together.value_counts()["count"].to_list()) == [12, 48]
    whole = pl.concat(tables).group_by("id").agg(pl.col("repeat").sum())["repeat"]
    assert (len(whole), whole.min(), whole.max()) == (60, 2, 3)
    assert tables[2]["repeat"].max() == 2
    assert [s.share for s in manifest.stages] == pytest.approx([0.6 / 2.3, 0.6 / 2.3, 1.1 / 2.3])
    assert manifest.totals.unique_documents == 60
    assert manifest.totals.unique_tokens == 660.0
    assert sum(c.resolved.effective_tokens for s in manifest.stages for c in s.components) == manifest.totals.effective_tokens


def test_nothing_given_is_every_document_once_over_all_stages(corpora, tmp_path) -> None:
    manifest = mix(corpora, stages=[{"name": "a", "share": 0.3}, {"name": "b", "share": 0.7}], out=tmp_path / "m")
    assert [s.documents for s in manifest.stages] == [27, 63]
    assert manifest.totals.documents == manifest.totals.unique_documents == 90


def test_without_a_budget_stages_are_as_large_as_max_epochs_allows(corpora, tmp_path) -> None:
    stages = [{"name": "a", "share": 0.5, "weights": {"web": 1}}, {"name": "b", "share": 0.5, "weights": {"web": 1, "code": 1}}]
    manifest = mix(corpora, stages=stages, max_epochs={"code": 2}, out=tmp_path / "m")
    assert [round(s.budget_tokens) for s in manifest.stages] == [440, 440]
    assert any("the stages come to 880 tokens" in w for w in manifest.warnings)


def test_max_epochs_is_of_the_whole_run(corpora, tmp_path) -> None:
    stages = [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}]
    manifest = mix(corpora, weights={"web": 1, "code": 1}, budget_tokens=1800, max_epochs={"code": 2}, stages=stages, out=tmp_path / "m")
    code = [c.resolved for s in manifest.stages for c in s.components if c.source == "code"]
    assert [c.tokens for c in code] == pytest.approx([450, 210], abs=12)
    assert sum(c.tokens for c in code) == 660.0
    assert any(w.startswith("Stage b: code was asked for 450 tokens") and "max_epochs 2 leaves 210" in w for w in manifest.warnings)
    with pytest.raises(ManifestError, match=r"1\.2 epochs with the stages before"):
        mix(corpora, max_epochs=1, stages=[{"name": n, "epochs": {"web": 0.6, "code": 0.1}} for n in "ab"], out=tmp_path / "n")


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [("linear", [0.9, 0.7, 0.5, 0.3, 0.1]), ("cosine", [0.9, 0.782843, 0.5, 0.217157, 0.1])],
)
def test_a_ramp_is_equal_constant_stages(corpora, tmp_path, schedule, shares) -> None:
    ramp = {"name": "ramp", "share": 1, "weights": {"web": 9, "code": 1}, "to_weights": {"web": 1, "code": 9}}
    manifest = mix(corpora, budget_tokens=900, stages=[{**ramp, "schedule": schedule, "steps": 5}], out=tmp_path / "m")
    assert [s.name for s in manifest.stages] == [f"ramp-{i}" for i in range(1, 6)]
    assert [s.share for s in manifest.stages] == pytest.approx([0.2] * 5)
    assert [s.components[0].given.weight for s in manifest.stages] == pytest.approx(shares, abs=1e-6)
    web = np.cumsum([s.components[0].resolved.tokens for s in manifest.stages])
    assert web == pytest.approx(np.cumsum(np.array(shares) * 180), abs=6)


def test_a_source_that_a_ramp_leaves_is_not_in_its_last_step(corpora, tmp_path) -> None:
    ramp = {"name": "r", "share": 1, "weights": {"web": 1}, "to_weights": {"code": 1}, "schedule": "linear", "steps": 3}
    manifest = mix(corpora, budget_tokens=300, stages=[ramp], out=tmp_path / "m")
    assert [[c.source for c in s.components] for s in manifest.stages] == [["web"], ["web", "code"], ["code"]]


def test_the_same_stages_and_seed_give_the_same_bytes(corpora, tmp_path) -> None:
    for folder in "ab":
        mix(corpora, weights={"web": 0.7, "code": 0.3}, budget_tokens=2500, stages=STAGES, order="shuffled", seed=9, out=tmp_path / folder)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == [FILE, *(f"selection-{s}-{n}.parquet" for s in ("anneal", "stable") for n in ("code", "web"))]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_is_previewed_is_what_is_written(corpora, tmp_path) -> None:
    counted = count_sources(corpora)
    sources = (
        SourcePlan("web", given=Given(weight=0.6), max_epochs=3),
        SourcePlan("code", given=Given(weight=0.4), order="folded q 3"),
    )
    stages = (StagePlan("a", 0.7), StagePlan("b", 0.3, schedule="cosine", to_weights={"code": 1}, steps=3, order="shuffled"))
    for budget in (900.5, 4000, None):
        mixture = Mixture("m", sources, stages, seed=4, budget_tokens=budget)
        shown, written = preview(mixture, counted), write_mixture(mixture, counted, tmp_path / "m")
        for stage, there in zip(shown.stages, written.stages, strict=True):
            assert (stage.name, stage.documents, stage.share) == (there.name, there.documents, there.share)
            for part, component in zip(stage.parts, there.components, strict=True):
                done = component.resolved
                assert (part.documents, part.different) == (done.documents, component.selection.documents)
                assert (part.tokens, part.weight, part.epochs) == pytest.approx((done.tokens, done.weight, done.epochs), rel=1e-12)
                assert part.effective_tokens == pytest.approx(done.effective_tokens, rel=1e-9)
        totals = written.totals
        assert (shown.documents, shown.unique_documents) == (totals.documents, totals.unique_documents)
        assert (shown.tokens, shown.unique_tokens, shown.effective_tokens) == pytest.approx(
            (totals.tokens, totals.unique_tokens, totals.effective_tokens)
        )
        assert set(shown.warnings) <= set(written.warnings)
        assert shown.table().height == sum(len(s.components) for s in written.stages)
    assert {s.verdict for s in preview(Mixture("m", sources, seed=4, budget_tokens=9000), counted).sources} == {"fine", "worn"}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"name": "a", "share": 0.5}, {"name": "b", "share": 0.4}], r"shares add up to 0\.9"),
        ([{"name": "a", "share": 0.5}, {"name": "A", "share": 0.5}], "called 'a', or differ only by capitals"),
        ([{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5, "weights": {"wbe": 1}}], "source 'wbe'. Sources: web, code"),
        ([{"name": "a", "share": 1, "budget_tokens": 5}], "a share and budget_tokens"),
        ([{"name": "a"}, {"name": "b", "share": 1}], "Stage 'a' has no size"),
        ([{"name": "a", "share": 1, "weights": {"web": 1}}], "'code' is in no stage"),
        ([{"name": "a", "share": 1, "schedule": "step"}], "Schedules: constant, linear, cosine"),
        ([{"name": "a", "share": 1, "steps": 3}], "constant schedule"),
        ([{"name": "a", "share": 1, "schedule": "linear", "steps": 1}], "2 to 1000 steps"),
        ([{"name": "a", "share": 1, "schedule": "linear", "steps": 2, "weights": {"web": 1}}], "needs weights and to_weights"),
        ([{"name": "../a", "share": 1}], "Names hold letters"),
        ([{"name": "a", "share": 1, "sequence_length": 1.5}], "whole number"),
        ([{"name": "a", "tokens": 1e9}], "A stage's own tokens are budget_tokens"),
        ([{"name": "a", "budget_tokens": 2000}, {"name": "b", "share": 1}], "Nothing is left of the budget"),
        ([{"name": "a", "share": 1, "order": "folded q"}], "Orders: natural"),
        ([{"name": "a", "share": 1, "transform": {"web": "rot13"}}], "Transforms: none, fim"),
        (
            [{"name": "a", "share": 1, "weights": {"web": 1}, "order": {"code": "shuffled"}}],
            "an order for 'code', which it does not read. It reads web",
        ),
        ([{"name": "a", "share": 1, "weights": {"web": 1}, "transform": {"code": "fim"}}], "a transform for 'code', which"),
    ],
)
def test_stages_that_cannot_be_met_are_refused(corpora, tmp_path, stages, message) -> None:
    with pytest.raises(ManifestError, match=message):
        mix(corpora, weights={"web": 1, "code": 1}, budget_tokens=1000, stages=stages, out=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_amounts_of_the_whole_run_and_stages_are_not_mixed_up(corpora, tmp_path) -> None:
    with pytest.raises(ManifestError, match="'web' has epochs of its own and there are 2 stages"):
        mix(corpora, epochs=2, stages=[{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}], out=tmp_path / "m")


def test_two_selection_files_of_one_name_are_refused(corpora, tmp_path) -> None:
    sources = {"c": corpora["web"], "b-c": corpora["code"]}
    stages = [{"name": "a-b", "epochs": {"c": 1}}, {"name": "a", "epochs": {"b-c": 1}}]
    with pytest.raises(ManifestError, match=r"would both write selection-a-b-c\.parquet"):
        mix(sources, stages=stages, out=tmp_path / "m")


@pytest.fixture
def staged(corpora, tmp_path):
    mix(corpora, weights={"web": 0.7, "code": 0.3}, budget_tokens=1500, stages=STAGES, seed=3, out=tmp_path / "m")
    return tmp_path / "m"


def test_verification_proves_every_stage_and_the_choice(staged, tmp_path) -> None:
    report = verify(staged, workspace=tmp_path / "ws")
    assert {c.status for c in report.checks} == {"ok"}, str(report)
    assert {"stable/web: counts", "anneal/code: ids", "totals", "choice"} <= {c.name for c in report.checks}


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        (lambda said: said["stages"][1]["components"][0]["resolved"].update(effective_tokens=1.0), "anneal/web: counts"),
        (lambda said: said["totals"].update(unique_documents=3), "totals"),
        (lambda said: said["stages"][0].update(budget_tokens=1000.0), "choice"),
        (lambda said: said["stages"].reverse(), "anneal/web: counts"),
    ],
)
def test_verification_finds_a_stage_that_was_edited(staged, tmp_path, edit, check) -> None:
    said = json.loads((staged / FILE).read_text())
    edit(said)
    said["hash"] = digest(said)
    (staged / FILE).write_text(json.dumps(said))
    assert check in [c.name for c in verify(staged, workspace=tmp_path / "ws").failures]


def test_stages_that_differ_by_capitals_alone_are_refused(staged) -> None:
    said = json.loads((staged / FILE).read_text())
    said["stages"][0]["name"] = "ANNEAL"
    (staged / FILE).write_text(json.dumps(said | {"hash": digest(said)}))
    with pytest.raises(ManifestError, match="two stages of one name"):
        read_manifest(staged)


def test_verification_names_a_source_file_that_changed(staged, tmp_path) -> None:
    path = tmp_path / "data" / "code" / "part-1.parquet"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    assert "../data/code/part-1.parquet changed" in str(verify(staged, workspace=tmp_path / "ws"))


def test_manifests_of_the_first_schema_are_read(corpora, tmp_path) -> None:
    mix(corpora, weights={"web": 1, "code": 1}, budget_tokens=700, out=tmp_path / "m")
    said = json.loads((tmp_path / "m" / FILE).read_text())
    said["schema"] = "corpus-explorer/manifest/1"
    for stage in said["stages"]:
        del stage["budget_tokens"], stage["sequence_length"]
    said["hash"] = digest(said)
    (tmp_path / "m" / FILE).write_text(json.dumps(said))
    manifest = read_manifest(tmp_path / "m")
    assert (manifest.stages[0].budget_tokens, manifest.hash) == (700.0, said["hash"])
    assert verify(tmp_path / "m", workspace=tmp_path / "ws").ok


def test_a_preview_of_other_amounts_reads_nothing_again(corpora, monkeypatch) -> None:
    counted = count_sources(corpora)
    mixture = Mixture("m", (SourcePlan("web", given=Given(weight=1)), SourcePlan("code", given=Given(weight=1))), budget_tokens=500)
    preview(mixture, counted)
    monkeypatch.setattr("explorer.mixture.counted.seeded_order", None)
    monkeypatch.setattr("explorer.mixture.counted.count", None)
    assert preview(replace(mixture, budget_tokens=900), counted).tokens == pytest.approx(900, abs=12)


def test_steps_of_a_ramp_add_up_to_its_share() -> None:
    ramp = StagePlan("r", 0.3, schedule="linear", given={"a": Given(weight=1)}, to_weights={"b": 1}, steps=7)
    plans, _ = asks(Mixture("m", (SourcePlan("a"), SourcePlan("b")), (StagePlan("s", 0.7), ramp), budget_tokens=1000))
    assert sum(p.budget_tokens or 0 for p in plans[1:]) == pytest.approx(300)
