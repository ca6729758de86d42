"""Scoring: what is computed, what is reused, what survives damage."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.engine import local
from explorer.engine.local import Progress, heuristics, score, score_texts
from explorer.errors import CorpusError, SignalError
from explorer.registry import families, find


def test_scoring_is_reused_row_group_by_row_group(tiny_corpus: Corpus) -> None:
    seen: list[Progress] = []
    first = score(tiny_corpus, ["pii"], limit=15, on_progress=seen.append)
    assert (first.rows, first.computed, first.reused) == (20, 20, 0)
    assert (seen[0].done_rows, seen[-1].done_rows, seen[-1].total_rows, seen[-1].state) == (0, 20, 20, "done")
    assert tiny_corpus.coverage().scored_rows("pii_n_email") == 20
    second = score(tiny_corpus, ["pii_n_ip"])
    assert (second.rows, second.computed, second.reused) == (60, 40, 20)
    third = score(tiny_corpus, ["pii", "pii_n_email"])
    assert (third.computed, third.reused, third.families) == (0, 60, ("pii",))
    side = tiny_corpus.coverage().of("pii_n_email")
    assert side is not None
    assert sorted(p.suffix for p in side.folder.iterdir()) == [".json", ".parquet", ".parquet"]  # no parts, no temporaries


def test_any_cut_into_row_groups_and_slices_gives_the_same_scores(
    tmp_path: Path, edge_documents: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = edge_documents * 6
    names = [f.name for f in heuristics()]
    expected = score_texts(texts, names)
    for rows, slice_rows in ((len(texts), 32_768), (7, 32_768), (len(texts), 5)):
        monkeypatch.setattr(local, "SLICE_ROWS", slice_rows)
        path = tmp_path / f"{rows}-{slice_rows}.parquet"
        pq.write_table(pa.table({"text": pa.array(texts)}), path, row_group_size=rows)
        corpus = open_corpus(path, workspace=tmp_path / f"w{rows}-{slice_rows}")
        score(corpus, names)
        for name in names:
            side = corpus.coverage().of(families()[name].signals[0].name)
            assert side is not None
            columns = list(side.columns)
            assert side.read(corpus.shards[0], columns).combine_chunks().equals(expected.select(columns).combine_chunks()), (
                name,
                rows,
                slice_rows,
            )


def test_heuristics_are_every_family_without_model_or_tokenizer(tiny_corpus: Corpus) -> None:
    names = {f.name for f in heuristics()}
    assert "pii" in names
    assert "language" not in names
    assert names == {
        f.name
        for f in families().values()
        if f.scope == "document" and f.reads == ("text",) and "model" not in f.defaults and "tokenizer" not in f.defaults
    }
    assert set(score(tiny_corpus, ["heuristics"], limit=1).families) == names


def test_parameters_have_sidecars_of_their_own(tiny_corpus: Corpus) -> None:
    score(tiny_corpus, ["language"], limit=1)
    report = score(tiny_corpus, ["language"], parameters={"language": {"max_chars": 10}}, limit=1)
    assert report.computed == 10
    assert tiny_corpus.coverage().of("lang").parameters == {"model": None, "max_chars": 10}  # type: ignore[union-attr]
    assert len(list((tiny_corpus.workspace.path / "signals").iterdir())) == 2


def test_wrong_names_and_parameters_are_refused_before_anything_is_written(tiny_corpus: Corpus) -> None:
    with pytest.raises(SignalError, match=r"No signal or family is called 'pi'. Did you mean 'pii'"):
        score(tiny_corpus, ["pi"])
    with pytest.raises(SignalError, match="No signal was named"):
        score(tiny_corpus, [])
    with pytest.raises(SignalError, match=r"'pii' has no parameter 'depth'. Parameters: strict_reference"):
        score(tiny_corpus, ["pii"], parameters={"pii": {"depth": 1}})
    with pytest.raises(SignalError, match="Parameters were given for 'language', which is not scored"):
        score(tiny_corpus, ["pii"], parameters={"language": {}})
    assert not tiny_corpus.workspace.path.exists()


def damage(path: Path, row_group: int) -> None:
    """Flip the bytes of a row group's text pages; footer and other row groups stay whole."""
    metadata = pq.read_metadata(path)
    column = metadata.row_group(row_group).column(metadata.schema.names.index("text"))
    start = column.dictionary_page_offset or column.data_page_offset
    raw = bytearray(path.read_bytes())
    for i in range(start + column.total_compressed_size // 4, start + column.total_compressed_size):
        raw[i] ^= 0xFF
    path.write_bytes(raw)


def test_a_damaged_row_group_is_named_and_all_others_are_kept(tiny_files: Path, tmp_path: Path) -> None:
    damage(tiny_files / "0-web.parquet", 1)
    corpus = open_corpus(tiny_files, workspace=tmp_path / "w")
    with pytest.raises(CorpusError, match=r"Row group 1 of .*0-web.parquet' cannot be read: .*The file is damaged there") as error:
        score(corpus, ["pii"], workers=1)
    assert "What was scored is kept" in str(error.value)
    assert corpus.coverage().scored_rows("pii_n_email") == 50
    missing = [bool(v != v) for v in corpus.columns.numbers("pii_n_email")]
    assert missing == [False] * 10 + [True] * 10 + [False] * 40
    with pytest.raises(CorpusError, match=r"Row group 1 of .*0-web.parquet' cannot be read"):
        corpus.documents([15])
    assert corpus.documents([5, 25], ["id"])["id"].to_list() == ["d005", "d025"]
    damage(tiny_files / "0-web.parquet", 0)
    with pytest.raises(CorpusError, match=r"1 more row groups failed. 40 of 60 documents are scored and kept"):
        score(open_corpus(tiny_files, workspace=tmp_path / "w2"), ["pii"])


def test_checksums_find_damage_that_still_decodes(tmp_path: Path) -> None:
    path = tmp_path / "plain.parquet"
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(pa.table({"text": ["aaaa", "bbbbbbbbbbbbbbbb", "cccc"]}), path, **options)
    path.write_bytes(path.read_bytes().replace(b"bbbbbbbbbbbbbbbb", b"bbbbbbbbXbbbbbbb", 1))
    corpus = open_corpus(path, workspace=tmp_path / "w")
    with pytest.raises(CorpusError, match="CRC checksum"):
        score(corpus, ["pii"])


def test_a_family_that_fails_says_where_and_keeps_the_rest(tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(100))
    real = local._compute

    def fails_third(*arguments: object) -> pa.Table:
        if next(calls) == 2:
            raise ZeroDivisionError("division by zero")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "_compute", fails_third)
    with pytest.raises(
        SignalError, match=r"Signal family 'pii' failed on row group 2 of .*0-web.parquet': division by zero. The other row groups are kept"
    ):
        score(tiny_corpus, ["pii"], workers=1)
    assert tiny_corpus.coverage().scored_rows("pii_n_email") == 20
    assert score(tiny_corpus, ["pii"]).reused == 20


def test_cancelling_finishes_what_is_in_flight_and_says_so(tiny_corpus: Corpus) -> None:
    cancel = threading.Event()
    seen: list[Progress] = []

    def stop_after_two(progress: Progress) -> None:
        seen.append(progress)
        if progress.done_rows >= 20:
            cancel.set()

    report = score(tiny_corpus, ["pii"], workers=1, on_progress=stop_after_two, cancel=cancel)
    assert report.cancelled
    assert (report.computed, seen[-1].state) == (20, "cancelled")
    assert "stopped before the end" in str(report)
    assert score(tiny_corpus, ["pii"]).reused == 20


def test_two_runs_at_once_lose_nothing_and_agree(tiny_files: Path, tmp_path: Path) -> None:
    for i in range(20):
        (tiny_files / f"copy-{i}.parquet").write_bytes((tiny_files / "0-web.parquet").read_bytes())  # same content: same sidecar
    errors: list[BaseException] = []

    def run() -> None:
        try:
            score(open_corpus(tiny_files, workspace=tmp_path / "w"), ["pii"], workers=2)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    corpus = open_corpus(tiny_files, workspace=tmp_path / "w")
    assert corpus.coverage().scored_rows("pii_n_email") == len(corpus) == 660
    assert corpus.columns.numbers("pii_n_email").tolist() == [0] * 660
    assert not list((tmp_path / "w").rglob("*.tmp"))


def test_text_scores_equal_those_of_a_corpus(tiny_corpus: Corpus) -> None:
    tiny_corpus.score(["pii"], on_progress=lambda _: None)
    texts = tiny_corpus.documents(range(60), ["text"])["text"].to_list()
    assert score_texts(texts, ["pii_n_email"])["pii_n_email"].to_pylist() == tiny_corpus.columns.numbers("pii_n_email").tolist()
    assert score_texts([], ["pii"]).num_rows == 0
    assert score_texts(["x"], ["pii"]).column_names == [s.name for s in find("pii").signals]


@pytest.fixture(params=["large_string", "dictionary"])
def heavy_rows(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Path]:
    """One row group of 4,000 documents of 20 KB; encoded as a dictionary its footer says 20 KB in all."""

    def write() -> Path:
        path = tmp_path / "heavy.parquet"
        text = "a@example.com and so on. " * 800
        texts = pa.array([text] * 4_000, pa.large_string())
        pq.write_table(pa.table({"text": texts}), path, row_group_size=4_000, use_dictionary=request.param == "dictionary")
        return path

    return write


def test_a_huge_row_group_is_computed_in_slices(heavy_rows: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SLICE", 8 * 1024**2)
    monkeypatch.setattr(local, "SLICE_ROWS", 512)
    sizes: list[int] = []
    real = local._compute

    def watched(family: object, batch: object, parameters: object) -> pa.Table:
        sizes.append(len(batch))  # type: ignore[arg-type]
        return real(family, batch, parameters)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "_compute", watched)
    corpus = open_corpus(heavy_rows(), workspace=tmp_path / "w")
    score(corpus, ["pii"], workers=1)
    assert sum(sizes) == 4_000
    assert max(sizes) <= 512
    assert corpus.columns.numbers("pii_n_email").tolist() == [800] * 4_000


def test_again_removes_and_computes_the_files_in_question(tiny_corpus: Corpus) -> None:
    from click.testing import CliRunner

    from explorer.cli.scoring import score as command

    score(tiny_corpus, ["pii", "compression"])
    arguments = [str(Path(tiny_corpus.shards[0].path).parent), "-s", "pii", "--workspace", str(tiny_corpus.workspace.path), "--json"]
    for options, computed in (([], 0), (["--again"], 60), (["--again", "--limit", "10"], 10)):
        result = CliRunner().invoke(command, [*arguments, *options], obj=None)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["computed"] == computed
    assert tiny_corpus.coverage().scored_rows("pii_n_email") == 40  # the rest of the file was removed too
    assert tiny_corpus.coverage().scored_rows("zlib_ratio") == 60
