"""The corpus of the panel's test app: skewed like real heuristics, seeded, with nulls, ties and columns of zeros."""

import numpy as np

CHOICES = ("source", "language", "year")
SIGNALS = {
    "gopher_n_words": ("words", "Words of the document, split at white space.", "two_sided"),
    "gopher_mean_word_length": ("characters a word", "Mean length of the words.", "two_sided"),
    "gopher_alpha_word_fraction": ("fraction of words", "Words with at least one letter.", "higher_is_better"),
    "gopher_dup_5gram_char_fraction": ("fraction of characters", "Characters in repeated 5-grams.", "lower_is_better"),
    "symbol_word_ratio": ("symbols a word", "Hash signs and ellipses by words.", "lower_is_better"),
    "bullet_line_fraction": ("fraction of lines", "Lines that start with a bullet.", "lower_is_better"),
    "ellipsis_line_fraction": ("fraction of lines", "Lines that end in an ellipsis.", "lower_is_better"),
    "stop_word_count": ("stop words", "How many of eight stop words occur.", "higher_is_better"),
    "edu_score": ("0–5", "Educational value, FineWeb-Edu's rater.", "higher_is_better"),
    "perplexity": ("perplexity", "Perplexity of a 5-gram model of Wikipedia.", "lower_is_better"),
    "zlib_ratio": ("bytes by bytes", "Compressed by raw size.", "two_sided"),
    "top_2gram_char_fraction": ("fraction of characters", "Characters in the commonest 2-gram.", "lower_is_better"),
}
START = {
    "gopher_n_words": (50.0, 100_000.0),
    "gopher_mean_word_length": (3.0, 10.0),
    "gopher_alpha_word_fraction": (0.8, None),
    "gopher_dup_5gram_char_fraction": (None, 0.15),
    "symbol_word_ratio": (None, 0.1),
    "bullet_line_fraction": (None, 0.9),
    "edu_score": (1.2, None),
}
PUBLISHED = {
    "gopher_n_words": [
        (50.0, "minimum", "Gopher", "Rae et al. 2021, Table A1"),
        (100_000.0, "maximum", "Gopher", "Rae et al. 2021, Table A1"),
    ],
    "gopher_mean_word_length": [(3.0, "minimum", "Gopher", "Rae et al. 2021"), (10.0, "maximum", "Gopher", "Rae et al. 2021")],
    "gopher_alpha_word_fraction": [(0.8, "minimum", "Gopher", "Rae et al. 2021"), (0.7, "minimum", "MassiveText variant", "")],
    "gopher_dup_5gram_char_fraction": [(0.15, "maximum", "Gopher", "Rae et al. 2021")],
    "symbol_word_ratio": [(0.1, "maximum", "Gopher", "Rae et al. 2021")],
    "bullet_line_fraction": [(0.9, "maximum", "Gopher", "Rae et al. 2021")],
    "ellipsis_line_fraction": [(0.3, "maximum", "Gopher", "Rae et al. 2021")],
    "stop_word_count": [(2.0, "minimum", "Gopher", "Rae et al. 2021")],
    "edu_score": [(3.0, "minimum", "FineWeb-Edu", "Penedo et al. 2024")],
    "top_2gram_char_fraction": [(0.2, "maximum", "Gopher", "Rae et al. 2021")],
}
SOURCES = ["web", "code", "books", "news", "wiki", "forums", "papers", "patents", "reviews", "speeches"]


def corpus(rows: int, seed: int = 1) -> dict:
    """Signals float32 with nulls, tokens float32, and three groupings as (codes, names)."""
    rng = np.random.default_rng(seed)
    source = rng.choice(len(SOURCES), rows, p=np.array([40, 12, 6, 9, 8, 10, 5, 4, 4, 2]) / 100).astype("u1")
    shift = (source / len(SOURCES)).astype("f4")

    def zeros(share: float, a: float, b: float) -> np.ndarray:
        return np.where(rng.random(rows) < share, 0, rng.beta(a, b, rows)).astype("f4")

    words = np.maximum(1, np.round(rng.lognormal(5.6 + shift, 1.35, rows))).astype("f4")
    edu = np.clip(rng.normal(1.4 + shift, 0.9, rows), -0.5, 5).astype("f4")
    edu[rng.random(rows) < 0.01] = np.nan
    signals = {
        "gopher_n_words": words,
        "gopher_mean_word_length": rng.gamma(40, 0.125 + 0.02 * shift, rows).astype("f4"),
        "gopher_alpha_word_fraction": rng.beta(14 - 6 * shift, 2.2, rows).astype("f4"),
        "gopher_dup_5gram_char_fraction": zeros(0.45, 1, 9),
        "symbol_word_ratio": zeros(0.7, 0.7, 25),
        "bullet_line_fraction": zeros(0.8, 0.6, 2),
        "ellipsis_line_fraction": zeros(0.9, 0.8, 6),
        "stop_word_count": np.minimum(8, rng.poisson(5, rows)).astype("f4"),
        "edu_score": edu,
        "perplexity": rng.lognormal(6.2, 0.9, rows).astype("f4"),
        "zlib_ratio": rng.normal(0.45, 0.07, rows).astype("f4"),
        "top_2gram_char_fraction": rng.beta(1.2, 40, rows).astype("f4"),
    }
    language = rng.choice(6, rows, p=[0.6, 0.15, 0.1, 0.07, 0.05, 0.03]).astype("u1")
    year = rng.integers(0, 11, rows).astype("u1")
    return {
        "signals": signals,
        "tokens": np.round(words * 1.3).astype("f4"),
        "groups": {
            "source": (source, SOURCES),
            "language": (language, ["en", "de", "fr", "zh", "es", "other"]),
            "year": (year, [str(2015 + y) for y in range(11)]),
        },
    }
