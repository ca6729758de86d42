"""The tour, as docs/generate.py makes docs/tour.ipynb of it: a cell begins with ``# %%``, a cell of text with ``# %% [markdown]``."""

# %% [markdown]
# # A tour of Corpus Explorer
#
# Open a corpus, score it, find a cut, export what is kept and load it with Hugging Face `datasets`. Everything happens in a temporary
# folder; `make notebook` runs it again. The corpus is the sample that ships: 894 documents from 11 sources, with planted defects.

# %%
import os
import tempfile
import warnings

import polars as pl

import explorer as ex
from explorer.sample import write_sample

warnings.filterwarnings("ignore", message="IProgress not found")  # no bars here
os.chdir(tempfile.mkdtemp(prefix="tour-"))
pl.Config(tbl_rows=30, fmt_str_lengths=90, tbl_width_chars=110, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True)
print(*write_sample("sample")[:4], sep="\n")

# %% [markdown]
# ## Open
#
# Only footers are read, and nothing is written beside the files. What is computed goes to the workspace.

# %%
corpus = ex.open_corpus("sample/corpus", workspace="workspace")
corpus

# %% [markdown]
# What the footers say is wrong, each with a count and a consequence:

# %%
pl.DataFrame([{"severity": p.severity, "count": p.count, "message": p.message} for p in corpus.problems])

# %% [markdown]
# The corpus is one SQL view. User SQL runs read-only and sees nothing else of the machine.

# %%
corpus.sql("SELECT source, count(*) AS documents, sum(length(text)) AS characters FROM corpus GROUP BY ALL ORDER BY documents DESC")

# %% [markdown]
# ## Score
#
# A family of signals is computed together; what is there already is not computed again. In a terminal or with `ipywidgets` a bar shows
# the progress; here it is left out.

# %%
recipe = ex.recipes["fineweb"]
needed = ["language", "gopher_repetition", "gopher_quality", "c4", "fineweb"]
report = corpus.score(needed, on_progress=lambda progress: None)
print(f"{report.computed} documents computed, {report.reused} reused")
again = corpus.score(needed, on_progress=lambda progress: None)
print(f"{again.computed} documents computed, {again.reused} reused")

# %% [markdown]
# Signals are columns of the same view. A distribution, drawn by DuckDB; the last row holds the documents where the signal is undefined.
# They are counted apart, never taken for 0.

# %%
corpus.sql("""
    SELECT floor(gopher_alpha_word_frac * 20) / 20 AS from_value, count(*) AS documents, bar(count(*), 0, 500, 40) AS shape
    FROM corpus GROUP BY 1 ORDER BY 1 NULLS LAST
""")

# %% [markdown]
# ## By meaning
#
# An embedding of every document, by the small model that comes with the package; a text is run once. Then documents are found by what
# they say, not by their words.

# %%
quiet = {"on_progress": lambda progress: None}
embedded = corpus.embed(**quiet)
print(f"{embedded.computed} documents embedded, {embedded.same} of them share the vector of an equal text")
found = corpus.search("how do vaccines teach the immune system", mode="meaning", n=5)
found.select("source", pl.col("score").round(2), pl.col("text").str.head(70))

# %% [markdown]
# What is most like the first hit, and how the corpus falls into themes, titled by their own words:

# %%
corpus.similar(int(found["_row"][0]), n=3).select("source", pl.col("text").str.head(70))

# %%
import json

corpus.score(["clusters", "minhash"], **quiet)
side = corpus.coverage().of("cluster_top")
titles = json.loads((side.folder / "titles.json").read_text())["cluster_top"]
themes = corpus.sql("SELECT cluster_top AS theme, count(*) AS documents FROM corpus WHERE cluster_top >= 0 GROUP BY 1 ORDER BY 2 DESC, 1")
named = all(titles[str(t)] for t in themes["theme"])
print(f"{themes.height} themes hold {themes['documents'].sum()} documents; every one has a title: {named}")

# %% [markdown]
# Near-duplicates by FineWeb's MinHash: groups with their members' own ids, and what keeping one of each would save.

# %%
from explorer.duplicates.groups import groups
from explorer.duplicates.savings import savings

copies = groups(corpus, "minhash", limit=3)
print(f"{copies.height} largest groups, of {copies['documents'].to_list()} documents")
keep = corpus.columns.numbers("minhash_keep") == 1
savings(corpus, keep).select("source", "documents", "documents_saved").filter(pl.col("documents_saved") > 0)

# %% [markdown]
# ## Teach it a taste
#
# Forty labels, here by the ratings that come with the corpus, are enough for a first scorer. It is judged on documents that it was not
# trained on, and then scores them all.

# %%
from explorer import scorers
from explorer.labels import Labels

rated = corpus.sql("SELECT _row, edu_rating FROM corpus WHERE edu_rating IS NOT NULL AND text <> '' ORDER BY hash(id)")
good, bad = (rated.filter(test)["_row"].head(20).to_list() for test in (pl.col("edu_rating") >= 3, pl.col("edu_rating") <= 1))
labels = Labels(corpus.workspace)
labels.set(corpus, good, "good")
labels.set(corpus, bad, "bad")
taste = scorers.train(corpus, "taste")
scorers.apply(corpus, "taste")
print(f"{taste.n} labels of {dict(taste.classes)}, held-out AUC {taste.metrics['auc']:.1f}")
best = corpus.sql("SELECT source, count(*) AS documents FROM corpus WHERE scorer_taste > 0.5 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1")
print("most of what it likes is", best["source"][0])

# %% [markdown]
# ## Cut
#
# FineWeb's own limits on this corpus: what is kept of each source, and what each rule costs. `alone` counts documents that fail the rule
# whatever else they fail; `only this` those that fail nothing but it.

# %%
kept = corpus.select(recipe)
summary = kept.summary()
print(summary)
summary.sources.select("source", "documents", "kept_documents", "kept_share", "kept_token_share")

# %%
summary.reasons.filter(pl.col("alone_documents") > 0).select(
    "rule", alone="alone_documents", only_this="only_this_documents", dropped_first="first_documents", undefined="null_documents"
).sort("alone", descending=True)

# %% [markdown]
# One rule drops most of what nothing else would drop. Its tokens are words and punctuation marks alike, so prose with many commas and
# quotation marks comes close to the limit. Read what lies there before you trust it: these documents pass every other rule; the first
# three are just dropped, the others just kept.

# %%
cut = next(t for t in recipe.filters if t.signal == "gopher_alpha_word_frac")
dropped, just_kept = kept.near_cut(cut, n=3, side="minimum")
rows = [*dropped, *just_kept]
corpus.documents(rows, ["source", "text"]).with_columns(
    value=pl.Series(corpus.columns.numbers(cut.signal)[rows]), text=pl.col("text").str.replace_all(r"\s+", " ").str.head(80)
).select("value", "source", "text")

# %% [markdown]
# Move the cut, and keep code away from it. `|` adds rules; a bound on the same signal takes the old one's place.

# %%
prose = kept | ex.Threshold("gopher_alpha_word_frac", minimum=0.75) | ex.Filters(where="source <> 'code'")
code = corpus.select("source = 'code' AND text IS NOT NULL")
print(prose.summary())
print(code.summary())

# %% [markdown]
# ## Take it along
#
# Filters are a file …

# %%
print(prose.filters.to_yaml()[-562:])

# %% [markdown]
# … and the configuration of the pipeline that runs them at scale. What that pipeline cannot say is named, not dropped.

# %%
from explorer.selection.pipelines import to_pipeline

config = to_pipeline(ex.Filters((cut,), name="one cut"), "datatrove")
print(config.text)
print("lost:", *to_pipeline(prose.filters, "datatrove").lost, sep="\n- ")

# %% [markdown]
# ## Audit rewrites
#
# Rewrites are opened beside their originals. Every check is a signal of the pair: what was lost, invented, changed or turned round.

# %%
from explorer.rewrites.reasons import reasons

pairs = ex.open_pairs("sample/corpus", "sample/rewrites.parquet", workspace="workspace")
pairs.score("audit", **quiet)
print(pairs.match.report.said())
worst = pairs.sql("SELECT _row, pair_id FROM corpus WHERE method = 'hand' ORDER BY numbers_changed DESC, pair_id LIMIT 4")
for (original, rewrite), name in zip(pairs.texts(worst["_row"]), worst["pair_id"], strict=True):
    print(name, *reasons(original, rewrite), sep=" · ")

# %% [markdown]
# What passes is a selection like any other, and can be mixed with the documents.

# %%
recycled = pairs.select("numbers_changed + dates_changed + names_changed + negation_flips = 0 AND flags = 0")
print(recycled.summary())

# %% [markdown]
# ## Mix, export, verify
#
# A manifest says which documents a model sees, how often and in which order: here in two stages, the second with more code and with the
# rewrites. Documents continue from one stage to the next.

# %%
stages = [
    {"name": "stable", "share": 0.8, "weights": {"prose": 0.8, "code": 0.2}},
    {"name": "anneal", "share": 0.2, "weights": {"prose": 0.4, "code": 0.3, "recycled": 0.3}},
]
sources = {"prose": prose, "code": code, "recycled": recycled}
manifest = ex.mix(sources, stages=stages, budget_tokens=100_000, seed=1, out="mix")
pl.DataFrame(
    [
        {
            "stage": stage.name,
            "source": c.source,
            "documents": c.resolved.documents,
            "tokens": round(c.resolved.tokens),
            "epochs": round(c.resolved.epochs, 2),
        }
        for stage in manifest.stages
        for c in stage.components
    ]
)

# %%
written = ex.export(manifest, to="parquet", out="train", columns="text")
print(*(file.name for file in written.files), sep="\n")
written.loss

# %%
for folder in ("mix", "train"):
    checked = ex.verify(folder)
    print(folder, "holds" if checked.ok else "changed", f"({len(checked.checks)} checks)")

# %% [markdown]
# ## Load
#
# The folder brings its own loader for Hugging Face `datasets`. The ids that it gives are the manifest's, each as often as it says.

# %%
import sys
from collections import Counter

import datasets

datasets.disable_progress_bars()
sys.path.insert(0, "train")
from load_mix import load_mix

loaded = load_mix(cache_dir="cache")
chosen = Counter()
for stage in manifest.stages:
    for component in stage.components:
        part = pl.read_parquet(f"mix/{component.selection.path}")
        chosen.update(dict(zip(part["id"], part["repeat"], strict=True)))
assert Counter(loaded["id"]) == chosen
print(f"{len(loaded)} documents loaded, the same ids as in the manifest")
