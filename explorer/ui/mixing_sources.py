"""The rows of the Mixture page: a source each, with its amount as a slider and as a number, and beside it what that comes to."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from explorer.corpus.database import literal, quote
from explorer.errors import ExplorerError, ManifestError
from explorer.mixture.amounts import AMOUNTS, Given
from explorer.mixture.model import NAME, Mixture, SourcePlan
from explorer.mixture.preview import PartPreview, Preview, SourcePreview
from explorer.mixture.transforms import ABOUT, transform
from explorer.ui import errors, mixing, state
from explorer.ui import mixing_edits as edits
from explorer.ui.errors import guarded, plain
from explorer.ui.format import about, exact, number, share, short
from explorer.ui.mixing import Ready, attempt, on_change, tried
from explorer.ui.mixing_edits import At
from explorer.ui.mixing_figures import colour

OUT = "left out"
WIDTHS = [3.4, 1.5, 2.6, 1.6, 5.0, 0.8]
SIGNS = {"fine": "●", "worn": "▲", "spent": "■", None: "–"}
MEANS = {
    "fine": "up to 4 epochs: repeated tokens are worth nearly as much as fresh ones",
    "worn": "4 to 16 epochs: repeated tokens are worth clearly less",
    "spent": "more than 16 epochs: another pass hardly adds anything",
}
MOST_GROUPS = 40
STYLE = Path(__file__).with_name("mixing.css")
Counts = Mapping[str, tuple[Any, "Future[Ready]"]]


def which_stage(mixture: Mixture) -> At:
    """Whose amounts the rows show: the sources' own, or a stage's that one chooses."""
    if not mixture.stages:
        return At()
    choices: dict[str, At] = {}
    for number_, stage in enumerate(mixture.stages):
        if stage.schedule == "constant":
            choices[stage.name] = At(number_)
        else:
            choices |= {f"{stage.name}: from": At(number_), f"{stage.name}: to": At(number_, True)}
    was = st.session_state.get("mix_at") or ""
    if was not in choices:
        near = (name for name in choices if name.split(": ")[0] == was.split(": ")[0])  # a stage that became a ramp, or was one
        st.session_state.mix_at = next(near, next(iter(choices)))
    chosen = st.segmented_control("Amounts in stage", list(choices), key="mix_at", required=True, format_func=plain)
    return choices[chosen or next(iter(choices))]


def head(mixture: Mixture, at: At) -> None:
    """The line over the rows."""
    where = f"in {escape(mixture.stages[at.stage].name)}" if at.stage is not None else ""
    with st.container(key="mix_head"):
        cells = st.columns(WIDTHS, vertical_alignment="bottom", gap="small")
        names = ("source", "takes", "", "", "", "")
        for cell, name in zip(cells, names, strict=True):
            cell.html(f'<span class="quiet">{name}</span>')
        cells[4].html(_figures(f"tokens {where}", "of all", f"documents {where}", "epochs, whole run", "effective", "quiet"))


def row(mixture: Mixture, at: At, place: int, counts: Counts, found: Preview | None, warnings: list[str]) -> None:
    """One source: what it is, how much is asked, what that comes to."""
    source = mixture.sources[place]
    _, future = counts[source.name]
    ready = future.result() if future.done() and future.exception() is None else None
    given = edits.given_of(mixture, at, source.name)
    with st.container(key=f"mix_row_{place}"):
        what, kind, slider, number_, figures, more = st.columns(WIDTHS, vertical_alignment="center", gap="small")
        what.html(_said(source, ready, place))
        with kind:
            _kind(mixture, at, source, given, ready, found)
        if given is not None and edits.kind_of(given):
            _amount(at, source.name, given, ready, slider, number_)
        figures.html(_row_figures(source.name, at, mixture, found))
        with (
            more,
            st.popover("⋯", key=f"mix_more_{place}", help="Limit, order, name, remove", on_change="rerun", type="tertiary") as opened,
        ):
            if opened.open:
                _settings(mixture, source, place, ready)
        failed = future.exception() if future.done() else None
        if isinstance(failed, ExplorerError):
            errors.show(failed)
        elif failed is not None:
            with guarded("counting a source"):
                raise failed
        for warning in warnings:
            st.html(f'<p class="mix-warning"><span aria-hidden="true">▲</span> {escape(warning)}</p>')


def _said(source: SourcePlan, ready: Ready | None, place: int) -> str:
    """Name, size and origin of a source, in HTML."""
    paths = source.data.get("pairs") or source.data.get("corpus")
    side = mixing.follows().get(source.name)
    note = "counting …"
    if ready is not None:
        unique = ready.counted.unique
        estimated = ready.counted.counted.estimated
        note = f"{short(unique.documents)} documents · {about(short(unique.tokens), estimated)} tokens"
    filters = source.data.get("filters")
    kept = ("the selection" if side else "own filters") if filters else ""
    tip = f"{paths}\n{filters or 'no filters'}{', follows the selection' if side else ''}\n{source.data.get('where') or ''}".strip()
    return (
        f'<div class="mix-source" title="{escape(tip, quote=True)}"><i style="background:{colour(place)}" aria-hidden="true"></i><b>{escape(source.name)}</b>'
        f"<small>{escape(note)}{f' · {escape(kept)}' if kept else ''}</small></div>"
    )


def _kind(mixture: Mixture, at: At, source: SourcePlan, given: Given | None, ready: Ready | None, found: Preview | None) -> None:
    """Which of the amounts a source takes: exactly one, or none in this stage."""
    now = edits.kind_of(given)
    options = ["weight"] if at.to else [*AMOUNTS]
    options += [OUT] if at.stage is not None else []
    options += [] if now or given is None else ["once"]
    key = f"mix_kind_{source.name}_{at.stage}_{at.to}"
    st.session_state[key] = OUT if given is None else now or "once"

    def do(m: Mixture, chosen: str) -> Mixture:
        if chosen == OUT:
            return edits.with_given(m, at, source.name, None)
        return edits.with_given(m, at, source.name, _starting(chosen, m, at, source.name, ready, found))

    st.selectbox("takes", options, label_visibility="collapsed", **on_change(do, key))


def _starting(kind: str, mixture: Mixture, at: At, name: str, ready: Ready | None, found: Preview | None) -> Given:
    """The same amount said another way, as near as it can be known."""
    part = _part(name, at, mixture, found)
    unique = ready.counted.unique if ready is not None else None
    tokens = part[0] if part and part[0] else unique.tokens if unique else 1.0
    if kind == "weight":
        total = part[3] if part else 0.0
        return Given(weight=round(max(0.001, tokens / total), 4) if total else 0.5)
    if kind == "epochs":
        return Given(epochs=round(max(0.01, tokens / unique.tokens), 3) if unique and unique.tokens else 1.0)
    if kind == "tokens":
        return Given(tokens=float(max(1, round(tokens))))
    if kind == "documents":
        return Given(documents=max(1, part[1] if part else unique.documents if unique else 1))
    return Given()


def _amount(at: At, name: str, given: Given, ready: Ready | None, left: Any, right: Any) -> None:
    """The amount twice: a slider for the hand and a number for the head."""
    kind = edits.kind_of(given)
    value = float(getattr(given, kind))
    unique = ready.counted.unique if ready is not None else None
    have = {"tokens": unique.tokens, "documents": unique.documents}.get(kind, 0.0) if unique else 0.0
    most = max({"weight": 1.0, "epochs": 16.0}.get(kind, 16.0 * have), 2 * value if kind != "weight" else value, 1.0)
    whole = kind in ("tokens", "documents")
    step = max(1.0, float(round(most / 200))) if whole else 0.005 if kind == "weight" else 0.1
    least = 1.0 if whole else 1e-4 if kind == "weight" else 0.01
    keys = [f"mix_{how}_{name}_{kind}_{at.stage}_{at.to}" for how in ("slide", "number")]
    st.session_state[keys[0]], st.session_state[keys[1]] = min(max(step, value), most), max(least, value)

    def do(m: Mixture, chosen: float) -> Mixture:
        return edits.with_given(m, at, name, edits.amount(kind, chosen))

    shape = "%.0f" if whole else "%.3f" if kind == "weight" else "%.2f"
    label = f"{kind} of {name if NAME.fullmatch(name) else plain(name)}"
    left.slider(label, step, most, step=step, format="compact" if whole else shape, label_visibility="collapsed", **on_change(do, keys[0]))  # fmt: skip
    right.number_input(f"{label}, exact", least, 1e15 if whole else 1e6, step=step, format=shape, label_visibility="collapsed", **on_change(do, keys[1]))  # fmt: skip


# --- what it comes to ------------------------------------------------------------------------------------------------------


def _part(name: str, at: At, mixture: Mixture, found: Preview | None) -> tuple[float, int, float, float] | None:
    """(tokens, documents, effective tokens, tokens of all sources) of a source in what is edited; None while unknown."""
    if found is None:
        return None
    stages = found.stages
    if at.stage is not None:
        stage = mixture.stages[at.stage]
        names = {stage.name} if stage.schedule == "constant" else {f"{stage.name}-{i + 1}" for i in range(stage.steps)}
        stages = tuple(s for s in stages if s.name in names)
    parts: list[PartPreview] = [p for s in stages for p in s.parts if p.source == name]
    return (
        sum(p.tokens for p in parts),
        sum(p.documents for p in parts),
        sum(p.effective_tokens for p in parts),
        sum(s.tokens for s in stages),
    )


def _row_figures(name: str, at: At, mixture: Mixture, found: Preview | None) -> str:
    part = _part(name, at, mixture, found)
    whole: SourcePreview | None = next((s for s in found.sources if s.name == name), None) if found else None
    if part is None or whole is None:
        return _figures("–", "–", "–", "–", "–")
    tokens, documents, effective, total = part
    verdict = whole.verdict
    said = f"{SIGNS[verdict]} {number(round(whole.epochs, 2)) if whole.epochs is not None else '–'}"
    said = f'<span class="wear {verdict or ""}">{said} <small>{verdict or ""}</small></span>'
    tip = f"{MEANS.get(verdict or '', 'the source has no tokens')}; {exact(whole.different)} of {exact(whole.kept_documents)} documents are seen"
    return _figures(
        about(short(tokens), whole.estimated),
        share(tokens, total) if total else "–",
        short(documents),
        said,
        about(short(effective), whole.estimated),
        tips=(
            exact(round(tokens)),
            "share of the tokens",
            exact(documents),
            tip,
            f"{exact(round(effective))} tokens of fresh data are worth as much",
        ),
    )


def _figures(
    tokens: str, part: str, documents: str, epochs: str, effective: str, class_: str = "", tips: tuple[str, ...] = ("",) * 5
) -> str:
    cells = "".join(
        f'<span title="{escape(tip, quote=True)}">{text}</span>'
        for text, tip in zip((tokens, part, documents, epochs, effective), tips, strict=True)
    )
    return f'<div class="mix-figures {class_}">{cells}</div>'


# --- settings of one source ------------------------------------------------------------------------------------------------


def _settings(mixture: Mixture, source: SourcePlan, place: int, ready: Ready | None) -> None:
    name = source.name
    key = f"mix_rename_{place}"
    st.session_state[key] = name
    st.text_input("Name", key=key, on_change=lambda: tried(lambda: mixing.rename(name, st.session_state[key].strip())))
    cap = f"mix_cap_{name}"
    st.session_state[cap] = "" if source.max_epochs is None else f"{source.max_epochs:g}"
    st.text_input(
        "At most so many epochs in the whole run",
        placeholder="no limit",
        **on_change(lambda m, text: edits.with_source(m, name, max_epochs=edits.amount_of(text, "The limit")), cap),
    )
    sort = f"mix_order_{name}"
    numeric = ready.counted.selection.corpus.columns.numeric() if ready is not None else []
    orders = ["natural", "shuffled", *(f"{way} {column}" for column in numeric for way in ("ascending", "descending"))]
    orders += [] if source.order in orders else [source.order]
    st.session_state[sort] = source.order
    st.selectbox(
        "Order of its documents",
        orders,
        accept_new_options=True,
        help="natural: as in the files. Also typed: folded NAME K, buckets NAME K",
        **on_change(lambda m, order: edits.with_source(m, name, order=order), sort),
    )
    change = f"mix_transform_{name}"
    st.session_state[change] = source.transform.name
    st.selectbox(
        "What is done to its text",
        list(ABOUT),
        help="Noted in the manifest for training code that does it. No exporter applies one yet: they refuse such a manifest rather than write other texts",
        **on_change(lambda m, chosen: edits.with_source(m, name, transform=transform(chosen, name)), change),
    )
    st.caption(plain(ABOUT[source.transform.name]))
    side = mixing.follows().get(name)
    if side and source.data.get("filters"):
        st.button("Hold these filters", key=f"mix_hold_{place}", on_click=mixing.hold, args=(name,), help="The selection may change then; this source stays")  # fmt: skip
    _divide(source, place, ready)
    st.button("Remove", key=f"mix_remove_{place}", on_click=attempt, args=(lambda m: edits.remove_source(m, name),), disabled=len(mixture.sources) < 2)  # fmt: skip


def _divide(source: SourcePlan, place: int, ready: Ready | None) -> None:
    if ready is None:
        return
    corpus = ready.counted.selection.corpus
    column = corpus.roles.source
    if not column:
        return
    groups = corpus.columns.groups("source", MOST_GROUPS)
    if not 1 < len(groups.labels) <= MOST_GROUPS:
        return
    sampled = ready.counted.selection.filters.sample is not None

    def go() -> None:
        codes = groups.codes[ready.counted.kept]
        tokens = np.bincount(codes, ready.counted.tokens, len(groups.labels))
        documents = np.bincount(codes, minlength=len(groups.labels))
        shares = tokens / tokens.sum() if tokens.sum() else documents / max(1, documents.sum())
        parts = {
            label: (
                f"{quote(column)} IS NULL" if label == "(none)" else f"CAST({quote(column)} AS VARCHAR) = {literal(label)}",
                float(shares[i]),
            )
            for i, label in enumerate(groups.labels)
            if documents[i]
        }
        with guarded("dividing a source"):
            mixing.divide(source.name, parts)

    st.button(
        f"Divide by {plain(column)}",
        key=f"mix_divide_{place}",
        on_click=go,
        disabled=sampled,
        help="The filters draw a sample of the whole, which parts of it cannot repeat"
        if sampled
        else f"A source for each of its {len(groups.labels)} values",
    )


# --- adding ----------------------------------------------------------------------------------------------------------------


def adding(mixture: Mixture) -> None:
    """Offer what can be a source: what is open, saved selections, and any other corpus by its path."""
    sides = state.current_sides()
    present = set(mixing.follows().values())
    for side in ("documents", "rewrites"):
        if getattr(sides, side) is not None and side not in present:
            st.button(f"The {side} that are open", key=f"mix_add_{side}", on_click=tried, args=(lambda s=side: mixing.add_open(s),), width="stretch")  # fmt: skip
    names = state.saved_selections(state.current_corpus())
    if names:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox("A saved selection", names, key="mix_saved_selection", index=None, placeholder="of what is looked at")
            st.button("Add", key="mix_add_saved", disabled=not name, on_click=tried, args=(lambda: mixing.add_saved(str(name)),))
    st.text_area("Another corpus: files, folders or globs, one a line", key="mix_paths", height=70)
    if sides.rewrites is None:
        st.caption("Rewrites are a source when they are open beside their originals: Open another corpus, on the left.")

    def go() -> None:
        listed = [line.strip() for line in st.session_state.mix_paths.splitlines() if line.strip()]
        if not listed:
            raise ManifestError("No path was given. Name Parquet files, a folder or a glob, one a line.")
        mixing.add_path(listed)
        st.session_state.mix_paths = ""

    st.button("Add the corpus", key="mix_add_path", on_click=tried, args=(go,))


def of_source(found: Preview | None, mixture: Mixture) -> tuple[dict[str, list[str]], list[str]]:
    """Warnings by the source that they begin with, and the others."""
    by: dict[str, list[str]] = {s.name: [] for s in mixture.sources}
    others = []
    for warning in found.warnings if found else ():
        bare = warning.split(": ", 1)[1] if warning.startswith("Stage ") and ": " in warning else warning
        name = next((n for n in by if bare.startswith((f"{n} ", f"{n}:", f"Source {n!r}", f"Documents of {n} "))), None)
        if bare.startswith(("Tokens of ", "The weights add up to ")):
            continue  # said by the sign ≈ and the answer, and under the rows
        by[name].append(warning) if name else others.append(warning)
    return by, others


def foot(mixture: Mixture, at: At) -> None:
    """What the weights add up to, where that is not 1."""
    given = [g for s in mixture.sources if (g := edits.given_of(mixture, at, s.name)) is not None]
    weights = [g.weight for g in given if g.weight is not None]
    total = sum(weights)
    if len(weights) > 1 and abs(total - 1) > 5e-4:
        with st.container(horizontal=True, vertical_alignment="center", key="mix_foot"):
            st.caption(f"The weights add up to {total:.4g}: each counts as its share of that.", width="content")
            st.button("Make them add up to 1", key="mix_to_one", on_click=attempt, args=(lambda m: edits.to_one(m, at),), type="tertiary")
