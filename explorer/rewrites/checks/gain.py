"""What a rewrite gained in quality, by any scorer of documents."""

from __future__ import annotations

from functools import partial

import numpy as np

from explorer.engine.local import score
from explorer.engine.progress import Progress
from explorer.errors import SignalError
from explorer.registry import Columns, CorpusRun, Signal, check, find, find_signal
from explorer.rewrites.pairs import Pairs

SCALE = "It is in the scorer's own unit; scorers reward what they were taught, fluent inventions among it: read it beside faithfulness."


@check(
    version=1,
    source="RePro (quality of the rewrite minus that of the original); ReWire compares the same two scores",
    signals=[
        Signal("quality_gain", "the scorer's unit", "Score of the rewrite minus score of the original.", "higher_is_better", misleads=SCALE),
        Signal("quality_original", "the scorer's unit", "Score of the original.", "higher_is_better", misleads=SCALE),
        Signal("quality_rewrite", "the scorer's unit", "Score of the rewrite.", "higher_is_better", misleads=SCALE),
    ],
    scope="pairs",
    audit=False,
)  # fmt: skip
def gain(run: CorpusRun, *, by: str = "") -> Columns:
    """Scores of originals and rewrites by one scorer, and their difference; both sides are scored where that has not been done.

    Args:
        run: the pairs.
        by: a signal that higher is better for, such as edu_score or scorer_mine; a column that both files have serves as well.

    Raises:
        SignalError: no scorer is named, or it gives no number.

    """
    pairs = run.corpus
    assert isinstance(pairs, Pairs)
    if not by:
        raise SignalError(
            "No scorer is named. Name a signal that higher is better for: -p gain.by=edu_score (in Python: parameters={'gain': {'by': 'edu_score'}})."
        )
    both = {f.name for f in pairs.schema} & {f.name for f in pairs.originals.schema}
    signal = find_signal(by)
    if signal is not None and by not in both:
        if signal.dtype == "string":
            raise SignalError(f"{by!r} is a word, not a number. Name a signal that can be subtracted.")
        family = find(signal.family)
        for corpus, whose in ((pairs.originals, "originals"), (pairs, "rewrites")):
            doing = f"scoring the {whose} with {family.title}"
            score(corpus, [family.title], on_progress=partial(_tell, run, doing), cancel=run.cancel)
    rewrite, original = pairs.columns.numbers(by).astype(np.float64), pairs.originals.columns.numbers(by).astype(np.float64)
    rows = pairs.match.rows
    before = np.where(rows >= 0, original[np.maximum(rows, 0)], np.nan)
    return {"quality_gain": rewrite - before, "quality_original": before, "quality_rewrite": np.where(rows >= 0, rewrite, np.nan)}


def _tell(run: CorpusRun, doing: str, progress: Progress) -> None:
    run.step(progress.done_rows, progress.total_rows, doing)
