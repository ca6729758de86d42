"""From labels to a score for every document: train a small model, know how good it is, apply it, take it to a pipeline.

from explorer import scorers

mine = scorers.train(corpus, "mine")        # labels good / bad of the workspace, on embeddings or words
print(mine)                                 # AUC with its interval, on documents it was not trained on
scorers.apply(corpus, "mine")               # column scorer_mine
scorers.export(mine, "mine.bin")            # fastText, or weights and formula
"""

from explorer.scorers.store import Scorer, apply, delete, export, folder, load, names
from explorer.scorers.training import train

__all__ = ["Scorer", "apply", "delete", "export", "folder", "load", "names", "train"]
