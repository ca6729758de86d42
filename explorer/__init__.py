"""Corpus Explorer: see, score, filter and export pretraining corpora.

    import explorer as ex

    corpus = ex.open_corpus("data/*.parquet")
    corpus.score(["gopher_quality", "fineweb"])
    kept = corpus.select(ex.recipes["fineweb"] | ex.Threshold("edu_score", minimum=3))
    kept.summary()
    manifest = ex.mix({"web": kept}, out="mix/")
    ex.export(manifest, to="parquet", out="train/")

Names load what they need when first used, so that the import itself is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Corpus": "explorer.corpus.corpus",
    "open_corpus": "explorer.corpus.corpus",
    "Pairs": "explorer.rewrites.pairs",
    "open_pairs": "explorer.rewrites.pairs",
    "ExplorerError": "explorer.errors",
    "Filters": "explorer.selection.filters",
    "Sample": "explorer.selection.samplers",
    "Selection": "explorer.selection.selection",
    "Threshold": "explorer.selection.threshold",
    "recipes": "explorer.selection.recipes",
    "Mixture": "explorer.mixture.model",
    "load_mixture": "explorer.mixture.model",
    "preview": "explorer.mixture.preview",
    "Manifest": "explorer.manifest.model",
    "export": "explorer.exporters",
    "families": "explorer.registry",
    "mix": "explorer.manifest.write",
    "mix_recipe": "explorer.manifest.recipe",
    "read_manifest": "explorer.manifest.model",
    "verify": "explorer.manifest.verify",
    "score_texts": "explorer.engine.local",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus, open_corpus
    from explorer.engine.local import score_texts
    from explorer.errors import ExplorerError
    from explorer.exporters import export
    from explorer.manifest.model import Manifest, read_manifest
    from explorer.manifest.recipe import mix_recipe
    from explorer.manifest.verify import verify
    from explorer.manifest.write import mix
    from explorer.mixture.model import Mixture, load_mixture
    from explorer.mixture.preview import preview
    from explorer.registry import families
    from explorer.rewrites.pairs import Pairs, open_pairs
    from explorer.selection.filters import Filters
    from explorer.selection.recipes import recipes
    from explorer.selection.samplers import Sample
    from explorer.selection.selection import Selection
    from explorer.selection.threshold import Threshold


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'explorer' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
