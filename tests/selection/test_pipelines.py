"""Configurations of other pipelines: what is written is read back equal, what cannot be said is said to be lost.

The last part loads each file with the pipeline's own package where that is installed (``pytest -m trainer``).
"""

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.engine.local import score_texts
from explorer.errors import SelectionError
from explorer.registry import families
from explorer.selection.filters import Filters
from explorer.selection.pipelines import PIPELINES, from_pipeline, read_pipeline, to_pipeline
from explorer.selection.pipelines import datatrove as datatrove_pipeline
from explorer.selection.pipelines.config import KEEP
from explorer.selection.recipes import recipes
from explorer.selection.samplers import Sample
from explorer.selection.threshold import Threshold

SIGNALS = [*sorted(s.name for f in families().values() for s in f.signals if s.dtype != "string"), "edu_score", "my column"]
bound = st.one_of(st.integers(-10, 100_000), st.floats(-5, 5).map(lambda x: round(x, 4)), st.sampled_from([0, 0.1, 0.8, 1, 2.5, 0.018112]))


@st.composite
def thresholds(draw: st.DrawFn) -> Threshold:
    low, high = draw(st.one_of(st.none(), bound)), draw(st.one_of(st.none(), bound))
    if low is None and high is None:
        low = draw(bound)
    if low is not None and high is not None:
        low, high = sorted((low, high))
    exclusive = draw(st.booleans()) and low != high
    return Threshold(draw(st.sampled_from(SIGNALS)), low, high, exclusive, draw(st.sampled_from(["drop", "keep"])))


filters = st.builds(
    lambda rules, where: Filters(tuple({t.signal: t for t in rules}.values()), where),
    st.lists(thresholds(), max_size=12),
    st.sampled_from(["", "lang = 'en'", "lang IN ('en', 'fr')", "\"my column\" = 'it''s'"]),
)


def rules(filters: Filters) -> set[Threshold]:
    """What counts: bounds; reasons and sources are for people."""
    return {replace(t, reason="", source="") for t in filters.filters}


def approximate(lines: Sequence[str]) -> set[str]:
    """Rules that became something else than what they are, by their words in ``lost``."""
    return {line.split(" became ")[0] for line in lines if " became " in line}


@pytest.mark.parametrize("pipeline", PIPELINES)
@given(wanted=filters)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(pipeline: str, wanted: Filters) -> None:
    config = to_pipeline(wanted, pipeline)
    found = read_pipeline(config.text, pipeline)
    assert found.unread == ()
    changed = approximate(config.lost)
    nulls = {line.split(", undefined")[0] for line in config.lost if "undefined values kept" in line}
    expected = {replace(t, nulls="drop") if str(t) in nulls else t for t in rules(wanted) if str(t) not in changed}
    got = {t for t in rules(found.filters)}
    assert expected <= got
    assert len(got) <= len(rules(wanted))
    if pipeline == "dolma" and wanted.where:
        assert any(line.startswith(f"where {wanted.where}") for line in config.lost)
    else:
        assert found.filters.where == wanted.where


@pytest.mark.parametrize("pipeline", ["datatrove", "dolma"])
@pytest.mark.parametrize("name", list(recipes))
def test_recipes_survive_whole(pipeline: str, name: str) -> None:
    config = to_pipeline(recipes[name], pipeline)
    assert rules(from_pipeline(config.text, pipeline)) == rules(recipes[name])
    assert not approximate(config.lost)


def test_fineweb_as_datatrove_is_the_published_pipeline() -> None:
    config = to_pipeline(recipes["fineweb"], "datatrove")
    compact = re.sub(r"\s+", " ", config.text)
    steps = ["LanguageFilter(", "GopherRepetitionFilter(", "GopherQualityFilter(", "C4QualityFilter(", "FineWebQualityFilter("]
    places = [compact.index(s) for s in steps]
    assert places == sorted(places)
    assert "LanguageFilter(languages=['en'], language_threshold=0.65)" in compact
    assert "C4QualityFilter(filter_no_terminal_punct=False)" in compact
    assert "min_doc_words=50, max_doc_words=100000, min_avg_word_length=3, max_avg_word_length=10, max_symbol_word_ratio=0.1" in compact
    assert "top_n_grams=((2, 0.2), (3, 0.18), (4, 0.16),)" in compact
    assert "Lambda" not in compact
    assert config.needs == ()
    assert len(config.lost) == 1
    assert "rewrites each page" in config.lost[0]


def test_datatroves_published_example_is_the_recipe() -> None:
    script = """
from datatrove.executor.local import LocalPipelineExecutor
main_processing_executor = LocalPipelineExecutor(
    job_name=f"cc_{DUMP}",
    pipeline=[
        WarcReader(f"s3://commoncrawl/{DUMP}/segments/", glob_pattern="*/warc/*", default_metadata={"dump": DUMP}),
        URLFilter(exclusion_writer=JsonlWriter(f"{OUT}/removed/1_url/{DUMP}")),
        Trafilatura(favour_precision=True),
        LanguageFilter(languages=["en"], exclusion_writer=JsonlWriter(f"{OUT}/2_non_english/")),
        GopherRepetitionFilter(exclusion_writer=JsonlWriter(f"{OUT}/removed/3_gopher_rep/{DUMP}")),
        GopherQualityFilter(exclusion_writer=JsonlWriter(f"{OUT}/removed/4_gopher_qual/{DUMP}")),
        C4QualityFilter(filter_no_terminal_punct=False, exclusion_writer=JsonlWriter(f"{OUT}/removed/5_c4/{DUMP}")),
        FineWebQualityFilter(exclusion_writer=JsonlWriter(f"{OUT}/removed/6_fineweb_qual/{DUMP}")),
        JsonlWriter(f"{OUT}/output/{DUMP}"),
    ],
    tasks=8000,
)
"""
    found = read_pipeline(script, "datatrove")
    assert rules(found.filters) == rules(recipes["fineweb"])
    assert found.filters.where == recipes["fineweb"].where
    assert [u.split("(")[0] for u in found.unread] == ["WarcReader", "URLFilter", "Trafilatura", "JsonlWriter"]
    about = from_pipeline(script, "datatrove").about
    assert "Not read: WarcReader" in about


def test_options_that_change_a_datatrove_signal_are_reported() -> None:
    script = """
steps = [
    GopherQualityFilter(20, max_doc_words=None, stop_words=["der", "die"], language="deu", min_avg_word_length=LIMIT, max_bullet_lines_ratio=0),
    GopherRepetitionFilter(dup_n_grams=((5, 0.2), (12, 0.1)), top_n_grams=()),
    FineWebQualityFilter(short_line_length=40, char_duplicates_ratio=0.1),
    C4QualityFilter(min_num_sentences=3),
    LanguageFilter(language_threshold=0.8, backend="glotlid"),
]
"""
    found = read_pipeline(script, "datatrove")
    by = {t.signal: t for t in found.filters.filters}
    assert by["gopher_n_words"] == Threshold("gopher_n_words", minimum=20)
    assert "gopher_bullet_line_frac" not in by
    assert "gopher_mean_word_len" not in by
    assert by["rep_dup5_char_frac"].maximum == 0.2
    assert not any(name.startswith("rep_top") for name in by)
    assert by["fw_char_dup_ratio"].maximum == 0.1
    assert by["lang_score"] == Threshold("lang_score", minimum=0.8, exclusive=True)
    text = "\n".join(found.unread)
    for part in (
        "stop_words=['der', 'die']",
        "language='deu'",
        "LIMIT",
        "n=12",
        "short_line_length=40",
        "min_num_sentences=3",
        "backend='glotlid'",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("threshold", "column"),
    [
        (Threshold("gopher_hash_ratio", maximum=0.1), True),  # without its twin: the parameter cuts ellipses as well
        (Threshold("gopher_bullet_line_frac", maximum=0), True),  # 0 means off there
        (Threshold("gopher_bullet_line_frac", minimum=0.1), True),  # there is no such parameter
        (Threshold("gopher_bullet_line_frac", maximum=0.9, exclusive=True), True),
        (Threshold("gopher_bullet_line_frac", maximum=0.9, nulls="keep"), True),
        (Threshold("gopher_bullet_line_frac", maximum=0.9), False),
        (Threshold("lang_score", minimum=0.65), True),  # LanguageFilter keeps what is above
        (Threshold("lang_score", minimum=0.65, exclusive=True), False),
        (Threshold("c4_keep", minimum=1), False),
        (Threshold("c4_keep", maximum=0), True),
        (Threshold("edu_score", minimum=3), True),
    ],
)
def test_datatrove_takes_the_column_where_its_step_means_something_else(threshold: Threshold, column: bool) -> None:
    config = to_pipeline(Filters((threshold,)), "datatrove")
    assert config.needs == ((threshold.signal,) if column else ())
    assert ("LambdaFilter" in config.text) is column


def test_one_symbol_limit_stands_for_two_signals() -> None:
    both = Filters((Threshold("gopher_hash_ratio", maximum=0.2), Threshold("gopher_ellipsis_ratio", maximum=0.2)))
    assert "max_symbol_word_ratio=0.2" in to_pipeline(both, "datatrove").text
    apart = Filters((Threshold("gopher_hash_ratio", maximum=0.2), Threshold("gopher_ellipsis_ratio", maximum=0.1)))
    config = to_pipeline(apart, "datatrove")
    assert config.needs == ("gopher_hash_ratio", "gopher_ellipsis_ratio")
    assert rules(from_pipeline(config.text, "datatrove")) == rules(apart)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_what_is_lost_is_in_the_list_and_in_the_file(pipeline: str) -> None:
    wanted = Filters(
        (Threshold("edu_score", minimum=3),),
        where="length(text) > 5 OR\n-- evil\nlang = 'en'",
        sample=Sample("token_budget", by="edu_score", tokens=1e9),
        name="a name\nwith a line break",
        about="about\nimport os",
    )
    config = to_pipeline(wanted, pipeline)
    assert any(line.startswith("where length(text) > 5 OR -- evil lang = 'en'") for line in config.lost)
    assert any(line.startswith("sample {'method': 'token_budget'") for line in config.lost)
    for line in config.lost:
        assert f"# NOT THE SAME HERE: {line}\n" in config.text
    assert "edu_score" in config.needs
    assert "\nimport os" not in config.text
    assert re.fullmatch(r"[a-z0-9_]+\.(py|yaml)", config.filename)
    assert rules(from_pipeline(config.text, pipeline)) == rules(wanted)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_nothing_is_a_valid_configuration(pipeline: str) -> None:
    config = to_pipeline(Filters(), pipeline)
    assert from_pipeline(config.text, pipeline).filters == ()
    (compile if config.language == "python" else lambda text, *_: yaml.safe_load(text))(config.text, "x", "exec")


def test_python_is_parsed_and_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\nsteps = [GopherQualityFilter(min_doc_words=pathlib.Path({str(mark)!r}).touch())]"
    for pipeline in ("datatrove", "nemo_curator"):
        read_pipeline(script, pipeline)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "pipeline", "said"),
    [
        ("steps = [", "datatrove", "not valid Python"),
        ("(" * 5000, "nemo_curator", "not valid Python"),
        ("a: [", "dolma", "not valid YAML"),
        ("a: 1", "dolma", "no list 'streams'"),
        ("a: [", "data_juicer", "not valid YAML"),
        ("process: 5", "data_juicer", "no list 'process'"),
        ("", "spark", "Pipelines: datatrove, dolma, data_juicer, nemo_curator"),
        ("missing.yaml", "dolma", "cannot be read"),
    ],
)
def test_messages(text: str, pipeline: str, said: str) -> None:
    with pytest.raises(SelectionError, match=said):
        from_pipeline(text, pipeline)


def test_a_file_is_read(tmp_path: Path) -> None:
    config = to_pipeline(recipes["gopher"], "dolma")
    path = tmp_path / config.filename
    path.write_text(config.text, encoding="utf-8")
    assert rules(from_pipeline(path, "dolma")) == rules(from_pipeline(str(path), "dolma")) == rules(recipes["gopher"])


def test_dolmas_two_syntaxes_and_json() -> None:
    stream = {
        "name": "s",
        "documents": ["d"],
        "output": {"path": "o"},
        "filter": {
            "syntax": "jq",
            "include": [".attributes.explorer__edu_score[0][2] >= 2.5 and .attributes.x__y[0][2] < 3"],
            "exclude": [".attributes.z[0][2] > 0.1", ".attributes.w[0][2] < 1e-2", ".metadata.length < 10"],
        },
    }
    found = read_pipeline(json.dumps({"streams": [stream]}), "dolma")
    assert found.filters.filters == (
        Threshold("edu_score", minimum=2.5),
        Threshold("x__y", maximum=3, exclusive=True, nulls="keep"),  # jq: null < 3
        Threshold("z", maximum=0.1, nulls="keep"),
        Threshold("w", minimum=0.01),
    )
    assert len(found.unread) == 1
    assert ".metadata.length < 10" in found.unread[0]
    stream["filter"] = {
        "include": ["$.attributes[?(@.audit__keep && @.audit__keep[0] && @.audit__keep[0][2] >= 0.5)]"],
        "exclude": ["$.attributes[?(@.a[0][2] < 2 || @.a[0][2] > 9)]"],
    }
    found = read_pipeline(yaml.safe_dump({"streams": [stream]}), "dolma")
    assert found.filters.filters == (Threshold("audit__keep", minimum=0.5), Threshold("a", 2, 9, nulls="keep"))
    stream["filter"] = {"include": [".attributes.a[0][2] > 1", ".attributes.b[0][2] > 1"]}
    assert "when any of these" in read_pipeline(yaml.safe_dump({"streams": [stream]}), "dolma").unread[0]
    with pytest.raises(SelectionError, match="different filters"):
        read_pipeline(yaml.safe_dump({"streams": [stream, {"name": "t"}]}), "dolma")


def test_data_juicers_own_recipe_is_read_and_the_rest_reported() -> None:
    text = """
process:
  - whitespace_normalization_mapper:
  - text_length_filter: {max_len: 5000}
  - language_id_score_filter: {lang: [en, zh], min_score: 0.5, min_closed_interval: false}
  - words_num_filter: {min_num: 20}
  - specified_numeric_field_filter: {field_key: rep_dup_line_frac, max_value: 0.30000001192092896}
  - specified_numeric_field_filter: {field_key: edu_score, min_value: 1, max_value: 3, max_closed_interval: false}
  - specified_numeric_field_filter: {field_key: edu_score, min_value: 1, max_value: 3, reversed_range: true}
  - text_length_filter
"""
    found = read_pipeline(text, "data_juicer")
    assert found.filters.filters == (
        Threshold("n_chars", 10, 5000),
        Threshold("lang_score", minimum=0.5, exclusive=True),
        Threshold("rep_dup_line_frac", maximum=0.3),
        Threshold("edu_score", minimum=1),
        Threshold("edu_score", maximum=3, exclusive=True),
        Threshold("n_chars", minimum=10),
    )
    assert found.filters.where == "lang IN ('en', 'zh')"
    assert [u.split(":")[0] for u in found.unread] == [
        "whitespace_normalization_mapper",
        "words_num_filter",
        "specified_numeric_field_filter",
    ]
    assert "gopher_n_words" in found.unread[1]


def test_data_juicer_compares_float32_with_the_number_it_stands_for() -> None:
    config = to_pipeline(Filters((Threshold("gopher_hash_ratio", maximum=0.1), Threshold("gopher_n_words", minimum=50))), "data_juicer")
    hashes, words = (step["specified_numeric_field_filter"] for step in yaml.safe_load(config.text)["process"])
    assert float(np.float32(0.1)) <= hashes["max_value"] < float(np.nextafter(np.float32(0.1), np.float32(1)))
    assert words == {"field_key": "gopher_n_words", "min_value": 50}


def test_nemo_curators_gopher_is_marked_as_different() -> None:
    config = to_pipeline(recipes["gopher"], "nemo_curator")
    assert len(approximate(config.lost)) == 19
    assert config.needs == ("gopher_hash_ratio", "gopher_ellipsis_ratio")
    found = {t.signal: t for t in from_pipeline(config.text, "nemo_curator").filters}
    assert found["n_words"] == Threshold("n_words", 50, 100_000)  # what its WordCountFilter counts
    assert found["rep_dup_line_frac"].maximum == 0.3
    assert "RepeatedLinesFilter(max_repeated_line_fraction=0.7)" in config.text
    assert "RepeatingDuplicateNGramsFilter(n=10, max_repeating_duplicate_ngram_ratio=0.1)" in config.text


def test_nemo_curators_yaml_is_read() -> None:
    text = """
stages:
  - _target_: nemo_curator.stages.text.io.reader.JsonlReader
    file_paths: x
  - _target_: nemo_curator.stages.text.filters.score_filter.ScoreFilter
    filter_obj:
      _target_: nemo_curator.stages.text.filters.heuristic.string.WordCountFilter
      min_words: 80
  - _target_: nemo_curator.stages.text.filters.score_filter.ScoreFilter
    filter_obj:
      _target_: nemo_curator.stages.text.filters.heuristic.repetition.RepeatingTopNGramsFilter
      n: 3
      max_repeating_ngram_ratio: 0.18
  - _target_: nemo_curator.stages.text.filters.score_filter.ScoreFilter
    filter_obj: {_target_: nemo_curator.stages.text.filters.heuristic.string.UrlsFilter, max_url_to_text_ratio: 0.2}
"""
    found = read_pipeline(text, "nemo_curator")
    assert found.filters.filters == (Threshold("n_words", 80, 100_000), Threshold("rep_top3_char_frac", maximum=0.18))
    assert [u.split("(")[0] for u in found.unread] == ["JsonlReader", "UrlsFilter"]


def test_the_written_keep_decides_as_the_threshold_does() -> None:
    room: dict[str, object] = {"np": np}
    exec(KEEP, room)  # our own text
    keep = room["keep"]
    for kind in (np.float32, np.float64):
        values = np.array([0.1, 0.8, 0.0, 1.0, 2.5, -1.0, np.nan, np.inf, -np.inf, np.nextafter(kind(0.1), kind(1)), 1e9], kind)
        for low, high in ((0.1, None), (None, 0.1), (0.1, 0.8), (2.5, None), (-1, 2.5)):
            for exclusive in (False, True):
                for nulls in ("drop", "keep"):
                    wanted = Threshold("x", low, high, exclusive, nulls).passes(values)  # type: ignore[arg-type]
                    said = [keep(float(v), minimum=low, maximum=high, exclusive=exclusive, nulls=nulls) for v in values]  # type: ignore[operator]
                    assert said == wanted.tolist(), (kind, low, high, exclusive, nulls)
    assert keep(None, minimum=1) is False  # type: ignore[operator]
    assert keep("en", among=["en"]) is True  # type: ignore[operator]


# With the pipelines' own packages ---------------------------------------------------------------------------------------------------

PROSE = (
    "The committee met on Tuesday to talk about the bridge, and the engineers said that it would have to be closed for the winter. "
    "People in the valley were not pleased with that. Many of them have shops on the other side of the river. "
    "A ferry will run twice a day until the work is done. Nobody could say when this would be. "
)
GOOD = """Rivers carry more than water. In spring they bring down gravel, branches and the fine grey silt that farmers used to wait for.
When the dams were built, the silt stayed behind the walls, and the fields below had to be fed from bags instead.
Nobody had counted on this, although an engineer named Holm wrote about it in a letter of 1931.
He asked that the gates be opened for nine days every April. The board thanked him and filed the letter.
Sixty years later a student found it while looking for something else, and she took the idea to the valley council.
They tried it twice. The first year went badly because a late frost had left ice in the channel.
The second attempt worked so well that two towns downstream asked for the same treatment of their own meadows.
What they have now is a calendar, agreed upon each winter, which says who opens what and for how long.
"""
TEXTS = [
    GOOD,
    GOOD.replace("\n", " "),
    PROSE * 2,
    PROSE + PROSE.replace("bridge", "tunnel").replace("winter", "summer"),
    "Short page.",
    "- one\n- two\n- three\n" * 30,
    "# # # # # hash " * 40,
    "Read more...\nAnd then...\nSo it goes...\n" * 12,
    "the same line of words again and again\n" * 20,
    PROSE + "function() { return 1; }",
    PROSE + "\nLorem ipsum dolor sit amet.\n" + PROSE,
    " ".join(f"word{i} is number {i}." for i in range(80)),
    "a b c d e f g h i j " * 20,
    "Donaudampfschifffahrtsgesellschaft Rechtsschutzversicherungsgesellschaften " * 40,
    PROSE + "\n\n" + PROSE + "\n\n" + PROSE,
    "1 2 3 4 5 6 7 8 9 10 " * 20 + PROSE,
    "\n".join(f"Item {i}" for i in range(60)) + "\n" + PROSE,
]


def kept_by_us(filters: Filters) -> list[bool]:
    known = {s.name: f.name for f in families().values() for s in f.signals}
    table = score_texts(TEXTS, sorted({known[t.signal] for t in filters.filters}))
    kept = np.ones(len(TEXTS), bool)
    for threshold in filters.filters:
        kept &= threshold.passes(table[threshold.signal].to_numpy().astype("f4"))
    return kept.tolist()


def without_edits(filters: Filters, *prefixes: str) -> Filters:
    return Filters(tuple(t for t in filters.filters if t.signal.startswith(prefixes)), name=filters.name)


@pytest.mark.trainer
@pytest.mark.parametrize(
    "prefixes", [("rep_",), ("gopher_",), ("fw_",), ("c4nt_",), ("c4_",), ("rep_", "gopher_", "fw_"), ("rep_", "gopher_", "fw_", "c4nt_")]
)
def test_datatrove_drops_what_we_drop(prefixes: tuple[str, ...]) -> None:
    pytest.importorskip("datatrove")
    from datatrove.data import Document

    wanted = without_edits(recipes["fineweb"] | recipes["c4"], *prefixes)
    room: dict[str, list[object]] = {}
    exec(to_pipeline(wanted, "datatrove").text, room)
    # C4QualityFilter rewrites the page for the steps after it; it is put last here, since we measure the page as it is.
    steps = sorted(room["filters"], key=lambda step: type(step).__name__ == "C4QualityFilter")

    def passes(text: str) -> bool:
        document = Document(text=text, id="x")
        for step in steps:
            verdict = step.filter(document)
            if not (verdict[0] if isinstance(verdict, tuple) else verdict):
                return False
        return True

    ours = kept_by_us(wanted)
    assert [passes(text) for text in TEXTS] == ours
    assert any(ours)
    assert not all(ours)


@pytest.mark.trainer
def test_datatrove_takes_every_recipe() -> None:
    filters = pytest.importorskip("datatrove.pipeline.filters")
    from datatrove.data import Document

    for name, recipe in recipes.items():
        room: dict[str, list[object]] = {}
        exec(to_pipeline(recipe, "datatrove").text, room)
        assert room["filters"], name
        assert all(isinstance(step, filters.base_filter.BaseFilter) for step in room["filters"])
    room = {}
    exec(to_pipeline(Filters((Threshold("edu_score", 2.5, exclusive=True),), where="lang IN ('en', 'de')"), "datatrove").text, room)
    score, language = room["filters"]
    assert [score.filter(Document(text="", id="", metadata={"edu_score": v})) for v in (2.5, 2.6, None)] == [False, True, False]
    assert [language.filter(Document(text="", id="", metadata={"lang": v})) for v in ("en", "fr", None)] == [True, False, False]


@pytest.mark.trainer
def test_datatroves_signatures_are_the_ones_we_read_with() -> None:
    filters = pytest.importorskip("datatrove.pipeline.filters")
    import inspect

    for name, defaults in datatrove_pipeline.SIGNATURES.items():
        signature = inspect.signature(getattr(filters, name).__init__)
        assert {p.name: p.default for p in signature.parameters.values() if p.name != "self"} == defaults
        assert [p for p in signature.parameters if p != "self"] == list(defaults)


@pytest.mark.trainer
def test_dolma_keeps_what_we_keep(tmp_path: Path) -> None:
    command = shutil.which("dolma")
    if command is None:
        pytest.skip("the command dolma is not installed")
    values = {
        "gopher_hash_ratio": np.array([0.05, 0.1, 0.2, np.nan, 0.1, 0.0], "f4"),
        "gopher_n_words": np.array([50, 49, 100_000, 100_001, 60, 70], "f4"),
        "edu_score": np.array([2.5, 3, 4, 5, np.nan, 2.6], "f4"),
    }
    rules = (
        Threshold("gopher_hash_ratio", maximum=0.1),
        Threshold("gopher_n_words", 50, 100_000),
        Threshold("edu_score", 2.5, exclusive=True),
    )
    for folder in ("documents", "attributes/explorer"):
        (tmp_path / folder).mkdir(parents=True)
    with (
        gzip.open(tmp_path / "documents/0.jsonl.gz", "wt") as documents,
        gzip.open(tmp_path / "attributes/explorer/0.jsonl.gz", "wt") as attributes,
    ):
        for i in range(6):
            document = {"id": str(i), "text": "abc", "source": "s", "added": "2026-01-01T00:00:00Z", "created": "2026-01-01T00:00:00Z"}
            spans = {f"explorer__{n}": [] if np.isnan(v[i]) else [[0, 3, float(str(v[i]))]] for n, v in values.items()}
            documents.write(json.dumps(document) + "\n")
            attributes.write(json.dumps({"id": str(i), "attributes": spans}) + "\n")
    for number, chosen in enumerate([rules[1:], rules, tuple(replace(t, nulls="keep") for t in rules)]):
        text = to_pipeline(Filters(chosen), "dolma").text
        text = (
            text.replace("DATA/", f"{tmp_path}/").replace("OUTPUT", f"{tmp_path}/out{number}").replace("WORK/", f"{tmp_path}/work{number}/")
        )
        (tmp_path / "mix.yaml").write_text(text)
        subprocess.run([command, "-c", str(tmp_path / "mix.yaml"), "mix"], check=True, capture_output=True)
        ids = sorted(
            json.loads(line)["id"]
            for p in (tmp_path / f"out{number}").rglob("*.gz")
            for line in gzip.decompress(p.read_bytes()).splitlines()
        )
        kept = np.logical_and.reduce([t.passes(values[t.signal]) for t in chosen])
        assert ids == [str(i) for i in np.flatnonzero(kept)]
        assert 0 < kept.sum() < 6


@pytest.mark.trainer
def test_data_juicer_loads_every_recipe() -> None:
    ops = pytest.importorskip("data_juicer.ops")
    for recipe in recipes.values():
        process = yaml.safe_load(
            to_pipeline(without_edits(recipe, "rep_", "gopher_", "rps_", "fw_", "rw_", "edu_", "dclm_"), "data_juicer").text
        )["process"]
        loaded = ops.load_ops(process) if process else []
        assert len(loaded) == len(process)
    process = yaml.safe_load(
        to_pipeline(Filters((Threshold("edu_score", 2.5, exclusive=True), Threshold("n_chars", 3, 9))), "data_juicer").text
    )["process"]
    score, length = ops.load_ops(process)
    assert [score.process_single({"__dj__stats__": {"edu_score": v}}) for v in (2.5, 2.6, None)] == [False, True, False]
    assert list(length.process_batched({"__dj__stats__": [{"text_len": n} for n in (2, 3, 9, 10)]})) == [False, True, True, False]


@pytest.mark.trainer
def test_nemo_curator_builds_every_recipe() -> None:
    pytest.importorskip("nemo_curator.stages.text.filters.score_filter")
    for name, recipe in recipes.items():
        room: dict[str, list[object]] = {}
        exec(to_pipeline(recipe, "nemo_curator").text, room)
        assert len(room["stages"]) == len(recipe.filters) + bool(recipe.where), name
    room = {}
    exec(to_pipeline(Filters((Threshold("n_words", 2, 4), Threshold("edu_score", 2.5, exclusive=True))), "nemo_curator").text, room)
    words, score = room["stages"]
    import pandas as pd

    frame = pd.DataFrame({"text": ["one", "one two", "a b c d", "a b c d e"], "edu_score": [2.5, 2.6, None, 3]})
    assert words.compute_filter_mask(frame, words.filter_obj[0], "text", None, False).tolist() == [False, True, True, False]
    assert score.compute_filter_mask(frame, score.filter_fn[0], "edu_score", False).tolist() == [False, True, False, True]
