"""Rewrites: opened, audited, listed worst first, read beside their originals, judged and decided; and no text is believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from pages.conftest import html
from streamlit.testing.v1 import AppTest

from explorer.labels import Labels
from explorer.rewrites.pairs import Pairs, open_pairs

EVIL = "<script>document.body.dataset.owned = 1</script><img src=x onerror=alert(1)>"
TEXTS = {
    "a": ("The mill burned down on 14 May 1911. It had ground 300 kg of rye.", "On 14 May 1911 the mill burned down. It had ground 300 kilograms of rye."),
    "b": ("The mill burned down on 14 May 1911. Nobody was hurt.", "The mill burned down on 15 May 1911. People were hurt."),
    "c": (f"Nothing here is true. {EVIL}", f"Nothing here is true, says {EVIL}"),
    "d": ("Erik Nilsson sold the land.", None),
    "e": (None, "A rewrite of nothing."),
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    originals, rewrites = tmp_path / "originals.parquet", tmp_path / "rewrites.parquet"
    pl.DataFrame({"id": [*TEXTS, "f"], "text": [*(o for o, _ in TEXTS.values()), "Rewritten by nobody."]}).write_parquet(originals)
    rows = {"doc_id": [*TEXTS, "zz"], "rewrite": [*(r for _, r in TEXTS.values()), "Of no document."], "method": ["one", "two", "two", "one", "one", EVIL]}  # fmt: skip
    pl.DataFrame(rows).write_parquet(rewrites)
    return originals, rewrites


@pytest.fixture
def audited(files: tuple[Path, Path], tmp_path: Path) -> Pairs:
    pairs = open_pairs(files[0], files[1], on=("id", "doc_id"), workspace=tmp_path / "workspace")
    pairs.score()
    return pairs


@pytest.fixture
def page(app: Callable[..., AppTest], files: tuple[Path, Path]) -> Callable[[], AppTest]:
    def start() -> AppTest:
        at = app(files[1], "--originals", files[0], "--on", "id=doc_id").run().switch_page("pages/rewrites.py")
        at.session_state["pairs_audited"] = open_pairs(
            files[0], files[1], on=("id", "doc_id"), workspace=files[0].parent / "workspace"
        ).fingerprint  # no job: the pairs are audited above, or are not to be
        return at.run()

    return start


def test_documents_alone_ask_for_their_rewrites(app: Callable[..., AppTest], files: tuple[Path, Path]) -> None:
    at = app(files[0]).run().switch_page("pages/rewrites.py").run()
    assert not at.exception
    assert "No rewrites of these documents are open yet." in html(at)
    at.text_area(key="rewrites_paths").set_value(str(files[1]))
    at.text_input(key="rewrites_on").set_value("nowhere")
    next(b for b in at.button if b.label == "Open the rewrites").click().run()
    assert not at.exception
    assert "nowhere" in at.error[0].value


def test_the_filters_of_the_documents_are_none_of_their_rewrites(app: Callable[..., AppTest], files: tuple[Path, Path]) -> None:
    at = app(files[0])
    at.query_params["f"] = "where=length(id) > 1"
    at.run().switch_page("pages/rewrites.py").run()
    at.query_params["f"] = "where=length(id) > 1"  # the page's address as a browser holds it
    at.text_area(key="rewrites_paths").set_value(str(files[1]))
    at.text_input(key="rewrites_on").set_value("id=doc_id")
    next(b for b in at.button if b.label == "Open the rewrites").click().run()
    assert not at.exception
    assert not at.error
    assert "everything is kept" in html(at)


def test_the_worst_pair_is_open_first_with_what_is_wrong_with_it(page: Callable[[], AppTest], audited: Pairs) -> None:
    at = page()
    assert not at.exception
    assert not at.error
    assert '<b title="6">6</b> rewrites of 5 originals' in html(at)
    worst = audited.columns.numbers("faithfulness").argsort()[0]
    assert at.session_state.pairs_row == worst == 1
    shown = html(at)
    assert '<mark class="fact changed">14</mark>' in shown
    assert '<mark class="fact changed">15</mark>' in shown
    assert '<mark class="fact flip">Nobody was</mark>' in shown


@pytest.mark.parametrize("view", ["Side by side", "By sentence", "Every figure"])
def test_no_view_believes_a_text(page: Callable[[], AppTest], audited: Pairs, view: str) -> None:
    at = page()
    for row in range(len(audited)):
        at.session_state["pairs_row"] = row
        at.session_state["pair_view"] = view
        at.run()
        assert not at.exception, row
        assert not at.error, row
        assert "<script>document" not in html(at)
        assert "<img src=x" not in html(at)


def test_a_verdict_is_kept_and_the_next_pair_opened(page: Callable[[], AppTest], audited: Pairs) -> None:
    at = page()
    first = at.session_state.pairs_row
    at.button(key="pair_reject").click().run()
    assert not at.exception
    assert at.session_state.pairs_row != first
    assert Labels(audited.workspace).of(audited).select("row", "label").rows() == [(first, "reject")]
    at.session_state["pairs_figures"] = "Rules and verdicts"
    at.run()
    assert not at.exception
    assert any("1 reject" in c.value for c in at.caption)


def test_filters_by_method_and_fault_say_why_nothing_is_left(page: Callable[[], AppTest], audited: Pairs) -> None:
    at = page()
    at.selectbox(key="pairs_method").set_value("two").run()
    at.selectbox(key="pairs_fault").set_value("dates_changed").run()
    assert at.session_state.pairs_row == 1
    at.selectbox(key="pairs_label").set_value("accept").run()
    assert not at.exception
    assert any("0 of 6 pairs match" in i.value for i in at.info)


def test_decisions_are_written_as_tables_and_signals(page: Callable[[], AppTest], audited: Pairs) -> None:
    at = page()
    at.session_state["pairs_figures"] = "Decide"
    at.run()
    at.button(key="decide_write").click().run()
    assert not at.exception
    assert not at.error
    assert "decided" in at.success[0].value
    assert (audited.workspace.path / "decisions" / "decided" / "originals.parquet").exists()
    again = open_pairs(audited.originals.paths, audited.paths, on=("id", "doc_id"), workspace=audited.workspace)
    assert again.coverage().of("imported_decided") is not None


@pytest.mark.parametrize("view", ["By group", "Gain and faithfulness", "Rules and verdicts", "Decide", "Try a prompt"])
def test_figures_before_anything_is_computed(page: Callable[[], AppTest], view: str) -> None:
    at = page()
    at.session_state["pairs_figures"] = view
    at.run()
    assert not at.exception
    assert not at.error
    assert any(b.key == "pairs_audit" for b in at.button)
