"""Two mixtures side by side, and documents that several sources have."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from explorer.errors import ExplorerError
from explorer.mixture.model import Mixture, load_mixture
from explorer.mixture.overlaps import overlaps
from explorer.mixture.preview import Preview
from explorer.ui import errors, mixing
from explorer.ui.background import later, watch
from explorer.ui.errors import plain
from explorer.ui.mixing import Ready

HERE = "this page"


def compare(mixture: Mixture) -> None:
    """Shares, tokens and epochs of two mixtures with their differences."""
    names = [HERE, *mixing.saved()]
    if len(names) < 2:
        st.caption("Save a mixture, change it, and both can be compared here.")
        return
    with st.container(horizontal=True):
        one = st.selectbox("Mixture", names, key="mix_compare_one") or HERE
        two = st.selectbox("against", names, index=1, key="mix_compare_two") or names[1]
    found = [_preview(mixture if name == HERE else load_mixture(mixing.folder() / f"{name}.yaml")) for name in (one, two)]
    if found[0] is None or found[1] is None:
        return
    table = compared(found[0], found[1])
    column = st.column_config
    config: dict[str, Any] = {"stage": column.TextColumn("stage"), "source": column.TextColumn("source", pinned=True)}
    for side, said in ((1, one), (2, two), ("change", "difference")):
        config |= {
            f"share_{side}": column.NumberColumn(f"share, {said}", format="percent"),
            f"tokens_{side}": column.NumberColumn(f"tokens, {said}", format="compact"),
            f"epochs_{side}": column.NumberColumn(f"epochs, {said}", format="%.2f"),
        }
    st.dataframe(table, hide_index=True, width="stretch", column_config=config, alt="Two mixtures by stage and source")


def compared(one: Preview, two: Preview) -> pl.DataFrame:
    """A row a stage and source of either: ``share, tokens, epochs`` of both, null where it is not in one, and their differences."""
    tables = []
    for side, found in ((1, one), (2, two)):
        table = found.table().select("stage", "source", pl.col("weight").alias("share"), "tokens", "epochs")
        tables.append(table.rename({name: f"{name}_{side}" for name in ("share", "tokens", "epochs")}))
    joined = tables[0].join(tables[1], on=["stage", "source"], how="full", coalesce=True, maintain_order="left_right")
    order = [f"{name}_{side}" for name in ("share", "tokens", "epochs") for side in (1, 2, "change")]
    changes = [(pl.col(f"{n}_1").fill_null(0) - pl.col(f"{n}_2").fill_null(0)).alias(f"{n}_change") for n in ("share", "tokens", "epochs")]
    return joined.with_columns(changes).select("stage", "source", *order)


def _preview(mixture: Mixture) -> Preview | None:
    """What a mixture comes to; None while it is counted, or where it cannot be, which is said."""
    counts = mixing.counting(mixture)
    pending = [future for _, future in counts.values() if not future.done()]
    if pending:
        watch(*pending, caption=f"counting the sources of {plain(mixture.name)} …")
        return None
    try:
        future = mixing.previewing(mixture, counts)
        if not future.done():
            watch(future, caption="working out the draw …")
            return None
        return future.result()
    except ExplorerError as error:
        errors.show(error)
        return None


def shared(ready: dict[str, Ready]) -> None:
    """Look for documents that several sources have; reads all ids and texts once, so only when asked."""
    if len(ready) < 2:
        st.caption("There is one source. With several, this finds documents that more than one of them has.")
        return
    key = ("mixture overlaps", tuple((n, r.stamp, r.corpus, str(r.counted.selection.filters.to_dict())) for n, r in ready.items()))
    asked = st.session_state.setdefault("mix_overlaps_asked", set())
    documents = sum(len(r.counted.kept) for r in ready.values())
    st.button(
        "Look for them", key="mix_overlaps", on_click=lambda: asked.add(key), disabled=key in asked,
        help=f"Reads ids and texts of {documents:,} documents once",
    )  # fmt: skip
    if key not in asked:
        st.caption("A document in two sources is read more often than either's epochs say. Not looked for yet.")
        return
    future = later(key, lambda: overlaps({n: r.counted for n, r in ready.items()}), 1.5)
    if not future.done():
        watch(future, caption="reading the ids and texts of all sources …")
        return
    found = future.result()
    if not found:
        st.success("No two sources have a document in common, by id or by text.", icon=":material/check:")
    else:
        st.warning("  \n".join(plain(overlap.message) for overlap in found), icon=":material/join_inner:")
