"""Training from labels and columns, on real texts with real models; what a scorer says of itself is checked on the rest."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from explorer import scorers
from explorer.corpus.corpus import open_corpus
from explorer.errors import ColumnNotFoundError, EmbeddingError, ModelError, SignalError
from explorer.labels import Labels
from explorer.primitives.batch import Batch
from explorer.registry import find

SAMPLE = Path(__file__).parents[2] / "sample_data" / "corpus"
MINILM = "all-MiniLM-L6-v2"
SEA, LAND = ["ship", "sail", "harbour", "anchor", "tide"], ["field", "plough", "barn", "wheat", "cart"]


@pytest.fixture
def sample(tmp_path):
    return open_corpus(SAMPLE, workspace=tmp_path / "ws")


@pytest.fixture
def prose(sample):
    """The sample, its truth (is it a book?), and 40 documents of it with labels."""
    truth = sample.documents(range(len(sample)), ["source"])["source"].to_numpy() == "books"
    random = np.random.default_rng(3)
    rows = np.concatenate([random.choice(np.flatnonzero(truth), 18, False), random.choice(np.flatnonzero(~truth), 22, False)])
    return truth, pl.DataFrame({"row": rows, "label": ["good" if truth[r] else "bad" for r in rows]})


def on_the_rest(corpus, scorer, truth, labels):
    """AUC on every document that is not labelled, whose text is not either."""
    texts = corpus.documents(range(len(corpus)))["text"].to_list()
    known = {texts[r] for r in labels["row"]}
    rest = [i for i in range(len(corpus)) if texts[i] and texts[i].strip() and texts[i] not in known]
    scores = scorer.predict([texts[i] for i in rest])
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    return roc_auc_score(truth[rest], scores)


def test_forty_labels_on_words_rank_the_rest_as_promised(sample, prose):
    truth, labels = prose
    made = scorers.train(sample, "books", labels=labels)
    assert (made.kind, made.features, made.positive) == ("logistic", "words", "good")
    assert any("no document is embedded" in note for note in made.notes)
    area = on_the_rest(sample, made, truth, labels)
    assert area > 0.85
    assert made.metrics["auc_low"] <= area <= made.metrics["auc_high"]
    assert made.metrics["n"] == made.n <= 40
    assert f"AUC {made.metrics['auc']:.3f}" in str(made)
    assert made.telling["for"]
    assert made.telling["against"]
    assert all(m["row"] in labels["row"].to_list() for m in made.mistakes)
    errors = [abs(m["score"] - m["target"]) for m in made.mistakes]
    assert errors == sorted(errors, reverse=True)
    again = scorers.train(sample, "again", labels=labels)
    texts = sample.documents(range(50))["text"].to_list()
    assert np.array_equal(made.predict(texts), again.predict(texts), equal_nan=True), "the same labels give the same scorer"


@pytest.mark.thorough
def test_fasttext_learns_real_texts_and_its_file_is_fasttexts_own(sample, prose, tmp_path):
    import fasttext

    truth, labels = prose
    made = scorers.train(sample, "quick", kind="fasttext", labels=labels)
    area = on_the_rest(sample, made, truth, labels)
    assert area >= made.metrics["auc_low"], "judged on models of four fifths of the labels, fastText may do better than it says"
    assert area > 0.8
    binary, guide = scorers.export(made, tmp_path / "quick.bin")
    model = fasttext.load_model(str(binary))
    assert set(model.get_labels()) == {"__label__good", "__label__bad"}
    text = next(t for t in sample.documents(range(len(sample)))["text"] if t and "\n" in t)
    found = {name: p for p, name in model.f.predict(text.replace("\n", " ") + "\n", -1, 0.0, "strict")}
    slope, offset = made.platt
    p = min(max(found["__label__good"], 1e-6), 1 - 1e-6)
    assert made.predict([text])[0] == pytest.approx(1 / (1 + np.exp(-(slope * np.log(p / (1 - p)) + offset))), abs=1e-5)
    said = guide.read_text()
    assert "newline_replacement=' '" in said
    assert "__label__good" in said


@pytest.mark.thorough
def test_a_head_on_embeddings_encodes_only_what_is_labelled_then_uses_what_is_stored(sample, prose, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    truth, labels = prose
    made = scorers.train(sample, "meaning", labels=labels, model=MINILM)
    assert made.features == "embeddings"
    assert made.encoder["model"] == MINILM
    with pytest.raises(EmbeddingError, match="are embedded"):
        scorers.apply(sample, "meaning")
    some = np.arange(0, len(sample), 9)
    sample.embed(MINILM, rows=some)
    done = scorers.apply(sample, "meaning")
    assert done.documents == len(sample)
    assert done.without_vector >= len(sample) - len(some)
    assert "are not embedded" in str(done)
    column = sample.columns.numbers("scorer_meaning")
    there = np.flatnonzero(np.isfinite(column))
    assert set(there) <= set(some)
    assert len(there) == done.scored > 60
    texts = sample.documents(there[:20])["text"].to_list()
    assert column[there[:20]] == pytest.approx(made.predict(texts), abs=0.01), "stored vectors are of half precision"
    unseen = np.setdiff1d(there, labels["row"])
    assert roc_auc_score(truth[unseen], column[unseen]) > 0.85
    stored = scorers.train(sample, "stored", labels=labels)
    assert stored.features == "embeddings", "embeddings are taken where there are some"


@pytest.mark.thorough
def test_a_number_is_learned_in_spreads_and_judged_by_rank(sample):
    sample.score("length")
    made = scorers.train(sample, "size", column="n_bytes")
    assert (made.kind, made.positive) == ("ridge", "")
    values = sample.columns.numbers("n_bytes")
    assert made.centre == pytest.approx(np.nanmean(values), rel=0.5)
    assert made.metrics["spearman_low"] < made.metrics["spearman"] < made.metrics["spearman_high"]
    texts = sample.documents(range(100))["text"].to_list()
    scores = made.predict(texts)
    assert np.isnan(scores[[i for i, t in enumerate(texts) if not (t and t.strip())]]).all()


@pytest.fixture
def noted(tmp_path):
    """200 short documents; y says whether they are about ships, z how much, with nulls, blanks and copies."""
    random = np.random.default_rng(0)
    texts, y, z = [], [], []
    for i in range(200):
        share = random.random()
        words = [random.choice(SEA if random.random() < share else LAND) for _ in range(30)]
        texts.append(" ".join(words) + f" {i}")
        y.append(int(share > 0.5))
        z.append(3 * share + 10)
    texts[10], texts[11], z[12], texts[21] = None, "  ", None, texts[20]
    y[21] = 1 - y[20]
    path = tmp_path / "noted.parquet"
    pq.write_table(
        pa.table({"text": texts, "y": y, "z": z, "verdict": ["yes" if v else "no" for v in y], "none": [None] * 200, "one": [1.5] * 200}),
        path,
    )
    return open_corpus(path, workspace=tmp_path / "ws")


@pytest.mark.thorough
def test_a_column_of_zero_and_one_trains_a_classifier(noted):
    made = scorers.train(noted, "ships", column="y")
    assert made.positive == "1"
    assert made.metrics["auc_low"] > 0.8
    assert any("2 without text" in n for n in made.notes)
    assert any("carry both labels" in n for n in made.notes), "two copies that contradict each other"
    assert made.n == 196
    pro, con = ({word for word, _ in made.telling[side] if " " not in word} for side in ("for", "against"))
    assert pro & set(SEA)
    assert con & set(LAND)
    assert not pro & set(LAND)
    assert not con & set(SEA)
    assert made.platt is not None
    assert made.metrics["brier"] < made.metrics["brier_base"]
    fast = scorers.train(noted, "fast", column="verdict", positive="yes", kind="fasttext")
    assert fast.parameters["label"] == "yes"
    assert fast.metrics["auc_low"] > 0.7


def test_a_loss_is_learned_as_a_number(noted):
    made = scorers.train(noted, "loss", column="z")
    z = noted.columns.numbers("z").astype(float)
    used = np.isfinite(z)
    used[[10, 11]] = False
    assert made.metrics["spearman_low"] > 0.7
    assert made.spread == pytest.approx(np.std(z[used]), rel=0.05)
    scores = made.predict(noted.documents(range(200))["text"].to_list())
    assert np.corrcoef(scores[used], z[used])[0, 1] > 0.9
    assert np.abs(scores[used] * made.spread + made.centre - z[used]).mean() < 0.4


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({}, ModelError, "No document of this corpus is labelled"),
        ({"labels": pl.DataFrame({"row": range(20), "label": ["good"] * 20})}, ModelError, "only one class"),
        ({"labels": pl.DataFrame({"row": range(20), "label": ["good"] * 16 + ["bad"] * 4})}, ModelError, "too few: 16 are good, 4 are not"),
        ({"labels": pl.DataFrame({"row": range(20), "label": ["fine", "poor"] * 10})}, ModelError, "Which of the labels counts as 1"),
        ({"labels": pl.DataFrame({"row": range(20), "label": ["good", "bad"] * 10}), "kind": "ridge"}, ModelError, "ridge learns numbers"),
        ({"column": "z", "kind": "logistic"}, ModelError, "different values"),
        ({"column": "one", "kind": "ridge"}, ModelError, "the one value 1.5"),
        ({"column": "nothing"}, ColumnNotFoundError, "'nothing' is not in the corpus"),
        ({"column": "y", "kind": "svm"}, ModelError, "no kind of scorer"),
        ({"column": "y", "labels": pl.DataFrame({"row": [1], "label": ["good"]})}, ModelError, "both given"),
        ({"column": "y", "holdout": 0.9}, ModelError, "holdout is 0.9"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_words(noted, asked, error, said):
    with pytest.raises(error, match=said):
        scorers.train(noted, "never", **asked)
    assert scorers.names(noted.workspace) == []


@pytest.mark.thorough
def test_labels_of_the_workspace_are_used_unsure_ones_and_edited_texts_are_not(noted):
    labels = Labels(noted.workspace)
    y = noted.columns.numbers("y")
    labels.set(noted, np.flatnonzero(y[:60] == 1), "good")
    labels.set(noted, np.flatnonzero(y[:60] == 0), "bad")
    labels.set(noted, [1, 2], "unsure")
    made = scorers.train(noted, "mine")
    assert made.source == "labels"
    assert "2 unsure left out" in made.notes
    assert made.classes["unsure"] == 2
    frame = labels.of(noted).with_columns(text_hash=pl.when(pl.col("row") == 5).then(pl.lit("00" * 16)).otherwise("text_hash"))
    told = scorers.train(noted, "told", labels=frame)
    assert any("another than was labelled" in n for n in told.notes)
    assert told.n == made.n - 1


def test_ratings_as_labels_are_numbers(noted):
    z = noted.columns.numbers("z")
    rows = [r for r in range(60) if np.isfinite(z[r])]
    labels = pl.DataFrame({"row": rows, "label": [str(round(float(z[r]))) for r in rows]})
    made = scorers.train(noted, "stars", labels=labels, kind="ridge")
    assert made.metrics["spearman"] > 0.5


# --- keeping, applying, taking away ----------------------------------------------------------------------------------------


def test_the_family_scores_what_the_scorer_says_and_null_texts_are_null(noted):
    made = scorers.train(noted, "ships", column="y")
    done = scorers.apply(noted, "ships")
    assert (done.documents, done.scored) == (200, 198)
    column = noted.columns.numbers("scorer_ships")
    assert np.isnan(column[[10, 11]]).all()
    assert np.array_equal(column, made.predict(noted.documents(range(200))["text"].to_list()), equal_nan=True)
    few = scorers.apply(noted, "ships", rows=[1, 2, 3])
    assert (few.documents, few.scored) == (3, 3)
    direct = find("scorer").compute(Batch.of(["a ship", None, " "]), model=str(made.folder))["scorer"]
    assert np.isfinite(direct[0])
    assert np.isnan(direct[1:]).all()
    with pytest.raises((ModelError, SignalError), match="No scorer is named"):
        find("scorer").compute(Batch.of(["x"]), model="")
    stopped = threading.Event()
    stopped.set()
    scorers.train(noted, "late", column="y")
    assert scorers.apply(noted, "late", cancel=stopped).cancelled


def test_a_scorer_is_kept_whole_and_read_back(noted, tmp_path):
    made = scorers.train(noted, "ships", column="y")
    back = scorers.load("ships", noted.workspace)
    assert back == made
    assert scorers.load(made.folder) == made
    assert sorted(p.name for p in made.folder.iterdir()) == ["head.npz", "scorer.json"]
    assert not [p for p in made.folder.parent.iterdir() if p.name.endswith((".tmp", ".old"))]
    with np.load(made.folder / "head.npz", allow_pickle=False) as held:
        assert {"coefficients", "intercept", "inverse"} <= set(held.files)
    record = json.loads((made.folder / "scorer.json").read_text())
    assert "NaN" not in json.dumps(record)
    scorers.train(noted, "ships", column="z")
    assert scorers.load("ships", noted.workspace).kind == "ridge", "training again takes its place"
    assert scorers.names(noted.workspace) == ["ships"]
    scorers.delete(noted.workspace, "ships")
    with pytest.raises(ModelError, match="There is no scorer"):
        scorers.load("ships", noted.workspace)
    for name in ("../evil", "UPPER", "", "a b", "1st"):
        with pytest.raises(ModelError, match="cannot name a scorer"):
            scorers.folder(noted.workspace, name)


def test_the_exported_formula_gives_the_same_scores(noted, tmp_path):
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.preprocessing import normalize

    from explorer.scorers.words import CHARACTERS, FEATURES, TOKEN

    made = scorers.train(noted, "ships", column="y")
    arrays, described = scorers.export(made, tmp_path / "out" / "ships")
    said = json.loads(described.read_text())
    assert "1 / (1 + exp(-(" in said["formula"]
    text = noted.documents([3])["text"][0]
    counts = HashingVectorizer(n_features=FEATURES, ngram_range=(1, 2), token_pattern=TOKEN, alternate_sign=False, norm=None).transform(
        [text[:CHARACTERS]]
    )
    counts.data = 1 + np.log(counts.data)
    with np.load(arrays) as held:
        x = normalize(counts.multiply(held["inverse"]).tocsr())
        value = (x @ held["coefficients"])[0] + held["intercept"]
    slope, offset = made.platt
    assert made.predict([text])[0] == pytest.approx(1 / (1 + np.exp(-(slope * value + offset))), abs=1e-5)


def test_predict_refuses_what_it_cannot_read(noted):
    made = scorers.train(noted, "ships", column="y")
    with pytest.raises(ModelError, match="from texts or from vectors"):
        made.predict()
    with pytest.raises(ModelError, match="not embeddings"):
        made.predict(vectors=np.zeros((2, 3)))
    assert made.predict([]).shape == (0,)
