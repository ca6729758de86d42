"""How alike captions are: whether a model that looks at images says the same of most of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from explorer.rewrites.methods.captions import FUNCTION_WORDS

_WORD = r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*"


def _words(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().str.extract_all(_WORD)


def structure_diversity(frame: pl.DataFrame, columns: Sequence[str], *, opening: int = 4) -> pl.DataFrame:
    """How many different forms the captions of each column have: a row a column.

    Without a tagger a caption's *template* is its words with all but the function words masked, neighbouring masks made one: "a _ of the _".

    Args:
        frame: captions.
        columns: columns of captions.
        opening: words of a beginning.

    Returns:
        ``column``, ``captions`` (that have a word), ``words`` (mean), ``openings`` and ``templates`` (different ones over captions, 0 to 1),
        ``opening_bits`` and ``template_bits`` (entropy), and ``commonest_opening`` with its ``commonest_share``.

    """
    rows = []
    for column in columns:
        words = frame.select(_words(pl.col(column).cast(pl.String)).alias("w")).filter(pl.col("w").list.len() > 0)
        n = words.height
        masked = pl.when(pl.element().is_in(FUNCTION_WORDS)).then(pl.element()).otherwise(pl.lit("_"))
        forms = words.select(
            pl.col("w").list.head(opening).list.join(" ").alias("opening"),
            pl.col("w").list.eval(masked).list.join(" ").str.replace_all(r"_( _)+", "_").alias("template"),
        )
        counts = {kind: forms[kind].value_counts(sort=True) for kind in ("opening", "template")}
        bits = {kind: float(table["count"].entropy(base=2, normalize=True) or 0.0) if n else None for kind, table in counts.items()}
        top = counts["opening"].sort(["count", "opening"], descending=[True, False])
        rows.append(
            (
                column,
                n,
                words["w"].list.len().mean() if n else None,
                counts["opening"].height / n if n else None,
                counts["template"].height / n if n else None,
                bits["opening"],
                bits["template"],
                top["opening"][0] if n else None,
                top["count"][0] / n if n else None,
            )
        )
    names = (
        "column",
        "captions",
        "words",
        "openings",
        "templates",
        "opening_bits",
        "template_bits",
        "commonest_opening",
        "commonest_share",
    )
    kinds = (pl.String, pl.Int64, *(pl.Float64,) * 5, pl.String, pl.Float64)
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")
