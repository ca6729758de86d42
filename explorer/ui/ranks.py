"""Where a document's value stands among all documents: "higher than 92 %"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from explorer.corpus.corpus import Corpus

SAMPLE = 50_000


@dataclass(frozen=True)
class Rank:
    """Shares of the corpus whose value is below, and at or below; ``estimated`` when they come from a sample of it."""

    below: float
    at_or_below: float
    estimated: bool

    @property
    def middle(self) -> float:
        """The mid-rank: where to draw the document between 0 (lowest) and 1."""
        return (self.below + self.at_or_below) / 2


def rank(corpus: Corpus, key: tuple[Any, ...], column: str, value: float) -> Rank | None:
    """Where a value of a column stands; None when the value or the column is undefined."""
    if np.isnan(value):
        return None
    values, estimated = _sorted(key, column, corpus)
    if not len(values):
        return None
    at = values.dtype.type(value)
    return Rank(
        float(np.searchsorted(values, at, "left") / len(values)), float(np.searchsorted(values, at, "right") / len(values)), estimated
    )


@st.cache_resource(max_entries=128, show_spinner=False)
def _sorted(key: tuple[Any, ...], column: str, _corpus: Corpus) -> tuple[np.ndarray, bool]:
    """Values of a column, sorted: those of a few evenly spaced files beyond `SAMPLE` documents."""
    there = _corpus.columns.glimpse(column, SAMPLE)
    return np.sort(there[~np.isnan(there)]), len(there) < len(_corpus)
