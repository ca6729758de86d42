"""Duplicates as signals: which group a document belongs to, how large it is, and whether it is the one that stays."""

from __future__ import annotations

import numpy as np

from explorer.duplicates.components import sizes
from explorer.duplicates.keepers import check, keepers, worth
from explorer.duplicates.store import hand_over
from explorer.registry import Columns, CorpusRun, Signal, corpus_family


def _columns(prefix: tuple[str, str, str], group: np.ndarray, value: np.ndarray | None) -> dict[str, np.ndarray]:
    """Group, size and keep of every document, NaN where it is in no group."""
    undefined = group < 0
    values = (group, sizes(group), keepers(group, value))
    return {name: np.where(undefined, np.nan, v.astype(np.float64)) for name, v in zip(prefix, values, strict=True)}


def _signals(group: str, size: str, keep: str, what: str, misleads: str) -> list[Signal]:
    return [
        Signal(group, "document number", f"Lowest number among the documents that are {what}, itself included.", dtype="int64", range=(0, None), misleads=misleads),
        Signal(size, "documents", f"Documents that are {what}, itself included; 1 for a document without a duplicate.", "lower_is_better", (1, None), "int64", misleads),
        Signal(keep, "0 or 1", f"1 for the one document that stays of those that are {what}, and for every document without a duplicate.", "higher_is_better", (0, 1), "int64", misleads),
    ]  # fmt: skip


_SHORT = "Undefined for documents of fewer words than a shingle has; exact_duplicates finds those that are the same."
_BLANK = "Texts without a letter, digit or other symbol are undefined."


@corpus_family(
    version=1,
    source="128-bit hashes of the bytes, and of the text as datatrove 0.10.1's simplify_text leaves it",
    signals=[
        *_signals("exact_group", "exact_group_size", "exact_keep", "the same byte for byte", "Empty texts are the same as one another."),
        *_signals(
            "normalised_group", "normalised_group_size", "normalised_keep",
            "the same but for case, punctuation, white space, accents and the digits of numbers", _BLANK,
        ),
    ],
)  # fmt: skip
def exact_duplicates(run: CorpusRun, *, keeper: str = "first") -> Columns:
    """Documents that are the same, byte for byte and after normalisation, and which one of them stays.

    Args:
        run: the corpus.
        keeper: which document of a group stays: first, last, longest, newest, oldest, highest:SIGNAL, lowest:SIGNAL or source:A,B.

    """
    from explorer.duplicates.exact import exact_duplicates as find

    check(run.corpus, keeper)
    result = find(run.corpus, step=run.step)
    hand_over(result, run.folder)
    found, value = result.columns, worth(run.corpus, keeper)
    return {
        **_columns(("exact_group", "exact_group_size", "exact_keep"), found["exact"], value),
        **_columns(("normalised_group", "normalised_group_size", "normalised_keep"), found["normalised"], value),
    }


@corpus_family(
    version=1,
    source="Penedo et al. 2024 (FineWeb), arXiv:2406.17557; datatrove 0.10.1 MinhashDedup; RedPajama-v2 for its presets",
    signals=[
        *_signals("minhash_cluster_id", "minhash_cluster_size", "minhash_keep", "near-duplicates, directly or through others", f"Groups chain: A may be like B and B like C while A and C differ. {_SHORT}"),
        Signal(
            "minhash_max_jaccard", "Jaccard similarity",
            "Highest exact Jaccard similarity of the document's set of word n-grams with that of a candidate; undefined where there was no candidate to compare it with.",
            "lower_is_better", (0, 1), "float32", f"Undefined is not 0: pairs that share no band were not compared. {_SHORT}",
        ),
    ],
)  # fmt: skip
def minhash(run: CorpusRun, *, preset: str = "fineweb", keeper: str = "first", verify: float = 0.0, reference: bool = False) -> Columns:
    """Near-duplicates by MinHash-LSH over word n-grams, and which one of each group stays.

    All presets take FineWeb's normalised words; RedPajama's own normalisation keeps accents and digits.

    Args:
        run: the corpus.
        preset: fineweb (5-grams, 14 bands of 8), or redpajama-0.7, -0.8, -0.9 or -1.0 (13-grams).
        keeper: which document of a group stays: first, last, longest, newest, oldest, highest:SIGNAL, lowest:SIGNAL or source:A,B.
        verify: pairs below this exact Jaccard similarity join no group; at 0 all candidates do, as in FineWeb.
        reference: hash as datatrove does, number for number; slower.

    """
    from explorer.duplicates.minhash import scheme
    from explorer.duplicates.near import near_duplicates

    check(run.corpus, keeper)
    result = near_duplicates(run.corpus, scheme(preset), reference=reference, verify=verify, step=run.step)
    hand_over(result, run.folder)
    found, value = result.columns, worth(run.corpus, keeper)
    columns = _columns(("minhash_cluster_id", "minhash_cluster_size", "minhash_keep"), found["group"], value)
    return {**columns, "minhash_max_jaccard": found["similarity"]}


@corpus_family(
    version=1,
    source="Lines counted over documents as in CCNet (Wenzek et al. 2020); more than 6 documents as in Llama 3 (Dubey et al. 2024)",
    signals=[
        Signal(
            "repeated_line_char_frac", "fraction of characters",
            "Characters in lines that stand in more than 6 documents (parameter more_than), of all characters in lines; white space at a line's ends and blank lines aside.",
            "lower_is_better", (0, 1), "float32", "Braces, imports and licence headers of code repeat honestly; the larger the corpus, the more lines do.",
        ),
        Signal(
            "shared_lines", "lines", "Lines that stand in at least one other document too.", "lower_is_better", (0, None), "int64",
            "Grows with length; a line of one brace counts.",
        ),
        Signal(
            "most_shared_line", "documents", "Other documents in which the document's most widespread line stands.", "lower_is_better", (0, None), "int64",
            "One common line, such as a brace, is enough.",
        ),
    ],
)  # fmt: skip
def repeated_lines(run: CorpusRun, *, more_than: int = 6, shortest: int = 1) -> Columns:
    """How much of a document is lines that other documents have too: menus, notices, licence headers.

    Args:
        run: the corpus.
        more_than: documents beyond which a line is boilerplate.
        shortest: bytes that a line needs to count as repeated.

    """
    from explorer.duplicates.lines import repeated_lines as find

    result = find(run.corpus, more_than=more_than, shortest=shortest, step=run.step)
    hand_over(result, run.folder)
    found = result.columns
    return {
        "repeated_line_char_frac": found["boilerplate"],
        "shared_lines": np.where(found["shared"] < 0, np.nan, found["shared"].astype(np.float64)),
        "most_shared_line": np.where(found["widest"] < 0, np.nan, found["widest"].astype(np.float64)),
    }


@corpus_family(
    version=1,
    source="Abbas et al. 2023 (SemDeDup), arXiv:2303.09540: cosine of embeddings inside k-means cells; thresholds ours",
    signals=[
        *_signals(
            "semantic_group", "semantic_group_size", "semantic_keep", "close in their embeddings, directly or through others",
            "What is close depends on the model, which reads the beginning of a long document alone. Undefined for documents without a vector.",
        ),
        Signal(
            "semantic_max_cosine", "cosine", "Highest cosine of the document's embedding with that of another document.", "lower_is_better", (-1, 1), "float32",
            "Above 100,000 vectors only those that share a k-means cell are compared, so it is a lower bound.",
        ),
    ],
)  # fmt: skip
def semantic_duplicates(run: CorpusRun, *, threshold: float = 0.95, embeddings: str | None = None, keeper: str = "first") -> Columns:
    """Documents that say the same by their embeddings, and which one of each group stays.

    Args:
        run: the corpus.
        threshold: least cosine of two documents that say the same.
        embeddings: the model whose embeddings are compared; the one computed last by default.
        keeper: which document of a group stays: first, last, longest, newest, oldest, highest:SIGNAL, lowest:SIGNAL or source:A,B.

    """
    from explorer.duplicates.semantic import semantic_duplicates as find

    check(run.corpus, keeper)
    result = find(run.corpus, threshold=threshold, vectors=embeddings or "", step=run.step)
    hand_over(result, run.folder)
    found, value = result.columns, worth(run.corpus, keeper)
    columns = _columns(("semantic_group", "semantic_group_size", "semantic_keep"), found["group"], value)
    return {**columns, "semantic_max_cosine": found["similarity"]}
