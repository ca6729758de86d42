"""What a trainer's own code read, in the one form in which every check of this folder reports it; only the standard library.

``check_X.py EXPORT`` prints one JSON object: ``versions`` of the trainer, ``unit`` of the shares, ``stages`` → source → what was counted, and
``wrong``, which is empty when all is well. Of a source every key that begins with ``share`` is a share of its stage; ``documents`` and
``order``, a digest of its texts in order, are there where the trainer tells documents apart.
"""

import hashlib
import json
from collections import defaultdict


def report(versions, unit, stages, wrong=(), **said):
    """Print the object; exit code 1 when something is wrong."""
    print(json.dumps({"versions": versions, "unit": unit, "stages": stages, "wrong": list(wrong), **said}, indent=1))
    return int(bool(wrong))


def source_of(word):
    """The source that a word is of: web of web17."""
    return word.rstrip("0123456789")


class Read:
    """Texts as they come, counted by stage and source."""

    def __init__(self):
        self.documents = defaultdict(int)
        self.words = defaultdict(lambda: defaultdict(int))
        self.digests = defaultdict(hashlib.sha256)

    def add(self, stage, source, text):
        """Count one text."""
        text = text or ""  # a document may have none
        self.documents[stage, source] += 1
        self.words[stage][source] += len(text.split())
        self.digests[stage, source].update(text.encode() + b"\0")

    def stages(self):
        """Stage → source → documents, share of the stage's words, and the digest."""
        return {
            stage: {
                source: {
                    "share": round(words / sum(counts.values()), 6),
                    "documents": self.documents[stage, source],
                    "order": self.digests[stage, source].hexdigest()[:16],
                }
                for source, words in sorted(counts.items())
            }
            for stage, counts in self.words.items()
        }

    def report(self, versions, wrong=(), **said):
        """`report` of the words."""
        return report(versions, "words", self.stages(), wrong, **said)
