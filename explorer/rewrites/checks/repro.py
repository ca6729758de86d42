"""RePro's reward of a rewrite, in its parts: better, and still the same text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from explorer.errors import ExplorerError
from explorer.primitives.batch import Batch
from explorer.primitives.characters import characters
from explorer.registry import Columns, CorpusRun, Signal, check
from explorer.rewrites.prompting.prompts import OPENING

if TYPE_CHECKING:
    from explorer.rewrites.pairs import Pairs

WEIGHTS = (3.0, 1.0, 1.0, 1.0)  # of the gain in quality and the three tests of faithfulness
TAU_BERTSCORE = 0.65
TAU_LENGTH = 1.25
SUMMARY = 0.5  # of the original's length: below it a rewrite that RePro's length reward lets pass is a summary
PARTS = ("dataman_gain", "bertscore_ok", "structure_ok", "length_ok")

_SOURCE = "Yu and Xiong 2025 (RePro), arXiv:2510.10681"
_BOUGHT = "A sum can be bought: a rating that rises from 2 to 5 earns 9 with all three tests of faithfulness failed, as much as a rise from 3 to 5 with all passed. Look at the parts."
_SCALE = (
    "What 0.65 is a threshold of decides nearly everything. F1 of microsoft/deberta-large-mnli without rescaling is what a public reward "
    "script with these four rewards tests; F1 of roberta-large without rescaling is hardly ever below it (unrelated texts have 0.83); "
    "rescaled F1 of roberta-large passes it from a plain F1 of 0.941 on. See repro for how to choose."
)


def repro_reward(
    dataman_original: np.ndarray,
    dataman_rewrite: np.ndarray,
    bertscore: np.ndarray,
    same_structure: np.ndarray,
    length_ratio: np.ndarray,
    *,
    weights: tuple[float, float, float, float] = WEIGHTS,
    tau_bertscore: float = TAU_BERTSCORE,
    tau_length: float = TAU_LENGTH,
) -> dict[str, np.ndarray]:
    """The four parts of RePro's reward and their weighted sum; NaN where an input is, and in the sum where any part is.

    Args:
        dataman_original: DataMan's overall rating of the original, 1 to 5.
        dataman_rewrite: that of the rewrite.
        bertscore: BERTScore F1 of the pair, on the scale that ``tau_bertscore`` is meant on.
        same_structure: 1 where the rewrite has the structure of its original, else 0.
        length_ratio: length of the rewrite / length of its original.
        weights: of gain, BERTScore, structure and length.
        tau_bertscore: least BERTScore of a faithful rewrite.
        tau_length: longest rewrite, in lengths of its original.

    Returns:
        ``dataman_gain`` (points), ``bertscore_ok``, ``structure_ok``, ``length_ok`` (0 or 1), ``reward``; float64 [n] each.

    Example:
        >>> float(repro_reward(*np.array([[3], [5], [0.8], [1], [1.1]]))["reward"][0])
        9.0

    """
    gain = np.asarray(dataman_rewrite, np.float64) - dataman_original
    parts = (
        gain,
        _passes(bertscore, lambda v: v >= v.dtype.type(tau_bertscore)),
        _passes(same_structure, lambda v: v >= 0.5),
        _passes(length_ratio, lambda v: v <= v.dtype.type(tau_length)),
    )
    reward = sum((w * part for w, part in zip(weights, parts, strict=True)), np.zeros(len(gain)))
    return {**dict(zip(PARTS, parts, strict=True)), "reward": reward}


def raw_threshold(rescaled: float, baseline: float) -> float:
    """The plain BERTScore that a rescaled one means: rescaled = (plain - baseline) / (1 - baseline).

    Example:
        >>> round(raw_threshold(0.65, 0.83122575), 3)  # roberta-large, layer 17
        0.941

    """
    return baseline + rescaled * (1 - baseline)


def _passes(values: np.ndarray, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """1 or 0, NaN where undefined; compared in the column's own precision, so that a stored 0.65 is not below 0.65."""
    values = np.asarray(values)
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    return np.where(np.isnan(values), np.nan, test(values).astype(np.float64))


def _test(name: str, about: str, misleads: str, source: str = _SOURCE) -> Signal:
    return Signal(f"repro_{name}", "0 or 1", about, "higher_is_better", (0, 1), misleads=misleads, source=source)


@check(
    version=1,
    source=_SOURCE,
    scope="pairs",
    audit=False,
    signals=[
        Signal(
            "repro_dataman_gain", "points", "DataMan's overall rating of the rewrite minus that of its original.", "higher_is_better", (-4, 4),
            misleads="A fluent invention rates higher than a clumsy truth. Null unless both texts were rated.",
        ),
        _test("bertscore_ok", f"1 where BERTScore is at least {TAU_BERTSCORE:g}.", _SCALE),
        _test(
            "structure_ok", "1 where both texts have the same structure.", "RePro asks a language model; here it is the column structure_same unless another is named.",
        ),
        _test("length_ok", f"1 where the rewrite is at most {TAU_LENGTH:g} times as long as its original.", "There is no lower bound: a summary passes. See repro_short."),
        Signal(
            "repro_reward", "points", "3 x gain + BERTScore + structure + length, the last three 0 or 1.", "higher_is_better", (-12, 15), misleads=_BOUGHT,
        ),
        Signal(
            "repro_short", "0 or 1", f"1 where the rewrite is shorter than {SUMMARY:g} of its original: a summary, which the length reward lets pass.",
            "lower_is_better", (0, 1), source="ours", misleads="A page that is mostly menus may rightly shrink so far.",
        ),
        Signal(
            "repro_missing", "names of parts", "Parts that have no value for the pair, so that the reward has none either; null where all are there.",
            dtype="string", source="ours",
        ),
    ],
)  # fmt: skip
def repro(
    run: CorpusRun,
    *,
    dataman: str = "dataman_overall",
    dataman_original: str = "",
    bertscore: str = "bertscore_f1",
    structure: str = "structure_same",
    length: str = "repro_len_ratio",
    tau_bertscore: float = TAU_BERTSCORE,
    tau_length: float = TAU_LENGTH,
) -> Columns:
    """RePro's reward from columns that are there: gain in DataMan's rating, BERTScore, same structure, not longer.

    Nothing is computed but the sum: score the originals and the rewrites with ``dataman`` and the pairs with BERTScore, ``form`` and
    ``repro_form`` first, then this. A column that is not there leaves its part null, and the reward too; ``repro_missing`` says which.

    What the threshold 0.65 on BERTScore is meant on is not in the paper. Three readings, each by naming the column and the threshold:

    - plain F1 of microsoft/deberta-large-mnli (layer 18; unrelated texts have about 0.45), 0.65: the plain reading, and what a public
      reward script tests, strictly above;
    - plain F1 of roberta-large, 0.65: passed by almost every pair, unrelated ones too;
    - F1 rescaled by the library's baseline (0.8312 for roberta-large), 0.65: a plain F1 of 0.941.

    Args:
        run: the pairs.
        dataman: column of the quality rating, among the signals or columns of the rewrites and of the originals.
        dataman_original: column of the rewrites' files that holds the original's rating; "": ``dataman`` of the originals is read.
        bertscore: column of BERTScore F1.
        structure: column that is 1 where both texts have the same structure.
        length: column of the rewrite's length in lengths of its original; RePro counts characters.
        tau_bertscore: least BERTScore of a faithful rewrite.
        tau_length: longest rewrite, in lengths of its original.

    """
    pairs = cast("Pairs", run.corpus)
    missing: list[str] = []

    def read(part: str, get: Callable[[], np.ndarray]) -> np.ndarray:
        try:
            return get()
        except ExplorerError as error:
            missing.append(part)
            run.step(0, len(pairs), f"repro_{part} is null: {error}")
            return np.full(len(pairs), np.nan)

    before = read(
        "dataman_gain",
        lambda: pairs.columns.numbers(dataman_original) if dataman_original else of_originals(pairs, dataman),
    )
    after = read("dataman_gain", lambda: pairs.columns.numbers(dataman))
    f1 = read("bertscore_ok", lambda: pairs.columns.numbers(bertscore))
    same = read("structure_ok", lambda: pairs.columns.numbers(structure))
    ratio = read("length_ok", lambda: pairs.columns.numbers(length))
    found = repro_reward(before, after, f1, same, ratio, tau_bertscore=tau_bertscore, tau_length=tau_length)
    return {
        **{f"repro_{name}": values for name, values in found.items()},
        "repro_short": _passes(ratio, lambda v: v < SUMMARY),
        "repro_missing": _said([found[part] for part in PARTS]),
    }


def of_originals(pairs: Pairs, column: str) -> np.ndarray:
    """A numeric column of the originals for each of their rewrites, NaN where there is no original.

    Raises:
        SignalError, ColumnNotFoundError: it has not been computed for the originals, or does not exist.

    """
    values, rows = pairs.originals.columns.numbers(column), pairs.match.rows
    if not len(values):
        return np.full(len(rows), np.nan)
    return np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)


def _said(parts: list[np.ndarray]) -> pa.Array:
    """The names of the undefined parts of each pair, null where there are none."""
    bits = sum((np.isnan(part).astype(np.int64) << k for k, part in enumerate(parts)), np.zeros(len(parts[0]), np.int64))
    names = [", ".join(name for k, name in enumerate(PARTS) if b >> k & 1) or None for b in range(1 << len(parts))]
    return pa.array(names, pa.string()).take(pa.array(bits))


@check(
    version=1,
    source=f"{_SOURCE}; the phrase that its rephraser is asked to begin with, as its model card strips it",
    signals=[
        Signal(
            "repro_opening", "0 or 1", f"1 where the rewrite still begins with “{OPENING}”, capitals and white space aside.", "lower_is_better", (0, 1),
            misleads="The phrase is WRAP's too. Other preambles: flag_preamble.",
        ),
        Signal(
            "repro_len_ratio", "characters of the rewrite per character of the original", "Characters of the rewrite divided by those of the original: what RePro's length reward is about.", "two_sided", (0, None),
            misleads="An opening phrase that was left in counts. A summary has a low one.",
        ),
    ],
)  # fmt: skip
def repro_form(original: Batch, rewrite: Batch) -> Columns:
    """Whether the opening phrase of RePro's rephraser was left in, and the length that its reward is about."""
    begun = pc.match_substring_regex(rewrite.array, rf"^\s*{OPENING}", ignore_case=True)
    before, after = characters(original).code_points, characters(rewrite).code_points
    return {
        "repro_opening": np.asarray(pc.fill_null(begun, False).to_numpy(zero_copy_only=False), np.float32),
        "repro_len_ratio": np.where(before > 0, after / np.maximum(before, 1), np.nan),
    }
