"""Try a prompt on a few documents and read what comes of it, before a corpus is rewritten with it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from explorer.errors import CorpusError, ExplorerError
from explorer.rewrites.findings import findings
from explorer.rewrites.pairs import Pairs
from explorer.rewrites.prompting.prompts import Prompt, own, prompts
from explorer.rewrites.reasons import reasons
from explorer.ui import diff, errors
from explorer.ui.errors import plain
from explorer.ui.format import counted, exact, number

if TYPE_CHECKING:
    from explorer.engine.progress import Progress
    from explorer.models.endpoint import Endpoint
    from explorer.rewrites.prompting.generated import Generated

OWN, HERE, SERVED = "one's own", "a small model on this machine", "a served model"
MOST = 8  # documents of one try
TOKENS = 256  # that the small model may write of a piece unless told otherwise: a CPU writes some twenty a second


def try_a_prompt(pairs: Pairs) -> None:
    """Choose a prompt, a model and documents; write, and read the rewrites beside their originals."""
    originals = pairs.originals
    if not len(originals):
        st.info("There are no originals to rewrite.", icon=":material/search_off:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox("Prompt", [*prompts, OWN], key="prompt_name", width=170, persist_state="session")
        n = int(st.number_input("Documents", 1, MOST, 1, key="prompt_n", width=110))
        seed = int(st.number_input("Seed", 0, 10_000, 0, key="prompt_seed", width=110, help="Of the choice of documents and of the draws"))
        tokens = int(st.number_input("Tokens at most", 16, 8192, TOKENS, key="prompt_tokens", width=130, help="Of the answer to one piece"))
        by = st.selectbox("Written by", [HERE, SERVED], key="prompt_by", width=260)
        one = st.toggle("The open pair's document", value=True, key="prompt_open", help="Else so many are drawn at random")
    prompt = _prompt(name)
    with st.expander("What the model is told", expanded=name == OWN):
        if name == OWN:
            st.text_area("Message, {text} once where the document stands", key="prompt_text", height=140, placeholder="Rewrite this as a clear encyclopedia entry. Leave out nothing and add nothing.\n\n{text}")  # fmt: skip
        elif prompt is not None:
            st.code(f"{prompt.system}\n\n{prompt.user}".strip(), language=None, wrap_lines=True)
            st.caption(plain(f"{prompt.source} · temperature {prompt.temperature:g}, top-p {prompt.top_p:g}, pieces of {prompt.chunk_tokens or 'whole documents'} tokens"))  # fmt: skip
    address = model = ""
    if by == SERVED:
        with st.container(horizontal=True, gap="small"):
            address = st.text_input("OpenAI-compatible address", placeholder="http://localhost:8000/v1", key="prompt_address")
            model = st.text_input("Model as it is served", key="prompt_model")
        st.caption("The documents' texts are sent to this address. A key is read from the environment variable OPENAI_API_KEY.")
    if st.button("Write", type="primary", key="prompt_write", icon=":material/edit:", disabled=prompt is None):
        assert prompt is not None
        try:
            rows = _rows(pairs, n, seed, open_pair=one)
            st.session_state.prompt_made = _write(pairs, rows, prompt, tokens, seed, address, model, served=by == SERVED)
        except ExplorerError as error:
            errors.show(error)
            return
        st.rerun()
    made = st.session_state.get("prompt_made")
    if made is not None and made.corpus.fingerprint == originals.fingerprint:
        _show(made)


def _prompt(name: str | None) -> Prompt | None:
    if name != OWN:
        return prompts[name] if name else None
    text = st.session_state.get("prompt_text", "")
    try:
        return own(text) if text.strip() else None
    except ExplorerError as error:
        errors.show(error)
        return None


def _rows(pairs: Pairs, n: int, seed: int, *, open_pair: bool) -> list[int]:
    """Numbers of the originals to rewrite."""
    row = st.session_state.get("pairs_row")
    if open_pair and row is not None and row < len(pairs):
        if pairs.match.rows[row] < 0:
            raise CorpusError("The open pair has no original to rewrite. Open another pair, or let documents be drawn at random.")
        return [int(pairs.match.rows[row])]
    return np.random.default_rng(seed).choice(len(pairs.originals), min(n, len(pairs.originals)), replace=False).tolist()


def _write(pairs: Pairs, rows: list[int], prompt: Prompt, tokens: int, seed: int, address: str, model: str, *, served: bool) -> Generated:
    """Rewrite, showing the text as it comes."""
    from explorer.models.endpoint import connect
    from explorer.rewrites.prompting.generate import rewrite

    endpoint: Endpoint | None = connect(model, address) if served else None
    bar = st.progress(0.0, "Loading the model …" if endpoint is None else "Asking …")
    st.button("Stop", key="prompt_stop", help="What is being written is let go")  # any click ends this run
    place = st.empty()

    def text(row: int, so_far: str) -> None:
        place.html(f'<p class="quiet">document {exact(row)}</p><div class="reader" dir="auto">{escape(diff.inert(so_far))}</div>')

    def progress(now: Progress) -> None:
        bar.progress(min(1.0, now.done_rows / max(1, now.total_rows)), f"{now.done_rows} of {counted(now.total_rows, 'document')}")

    return rewrite(
        pairs.originals, rows, prompt, endpoint=endpoint, max_new_tokens=tokens, seed=seed, on_text=text,
        on_progress=progress,
    )  # fmt: skip


def _show(made: Generated) -> None:
    from explorer.ui.pair_reader import marks

    st.html(f'<p class="quiet">{escape(str(made))}{_cost(made)}</p>')
    if made.problem:
        st.warning(plain(made.problem))
    for i, document in enumerate(made.documents):
        if document.rewrite is None or document.original is None:
            st.warning(f"Document {exact(document.row)}: {plain(document.error or 'it has no text')}")
            if document.answer:
                st.code(document.answer, language=None, wrap_lines=True)
            continue
        words = reasons(document.original, document.rewrite)
        said = "; ".join(words) if words else "no fact was lost, added, changed or exchanged as far as the checks see"
        st.html(f"<p><b>{escape(said)}</b>{' · cut at the most tokens' if document.cut else ''}</p>")
        diff.draw(document.original, document.rewrite, (f"original {exact(document.row)}", f"rewrite by {made.settings.prompt.name}"), fold=False, key=f"prompt_part_{i}", marks=marks(findings(document.original, document.rewrite)))  # fmt: skip


def _cost(made: Generated) -> str:
    asked = sum(d.prompt_tokens or 0 for d in made.documents)
    wrote = sum(d.completion_tokens or 0 for d in made.documents)
    return f" · {number(asked)} tokens read, {number(wrote)} written" if asked or wrote else ""
