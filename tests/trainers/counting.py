"""What a trainer's own code read, in the one form in which every check of this folder reports it; only the standard library.

``check_X.py EXPORT`` prints one JSON object: ``versions`` of the trainer, ``unit`` of the shares, ``stages`` → source → what was counted, and
``wrong``, which is empty when all is well. Of a source every key that begins with ``share`` is a share of its stage; ``documents``, ``texts``,
a digest of its texts in any order, and ``order``, one of its texts in order, are there where the trainer tells documents apart.

Texts count as many tokens as the manifest says where the variable ``TEXT_TOKENS`` names a file that ``expected.py`` wrote, else their words.
"""

import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path

ALIKE = 0.001  # of what is read; more that two sources have in common would make a share a guess


def report(versions, unit, stages, wrong=(), **said):
    """Print the object; exit code 1 when something is wrong."""
    print(json.dumps({"versions": versions, "unit": unit, "stages": stages, "wrong": list(wrong), **said}, indent=1))
    return int(bool(wrong))


def source_of(word):
    """The source that a word of the small mixes is of: web of web17."""
    return word.rstrip("0123456789")


def owners(items):
    """What each of (what is read, its source) is of; stops where two sources have too much in common to be told apart."""
    found, alike, total = {}, 0, 0
    for what, source in items:
        alike += found.setdefault(what, source) != source
        total += 1
    if alike > ALIKE * total:
        raise SystemExit(
            f"{alike} of {total} are alike in two sources, so that shares cannot be told. Check a mixture whose sources differ."
        )
    return found


def digest(text):
    """The name of a text in a file of tokens."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Read:
    """Texts as they come, counted by stage and source."""

    def __init__(self, tokens=None):
        file = os.environ.get("TEXT_TOKENS")
        self.tokens = json.loads(Path(file).read_text()) if tokens is None and file else tokens
        self.documents = defaultdict(int)
        self.counts = defaultdict(lambda: defaultdict(float))
        self.digests = defaultdict(hashlib.sha256)
        self.sums = defaultdict(int)
        self.unknown = 0

    def size(self, text):
        """Tokens, or words, of a text."""
        if self.tokens is None:
            return len(text.split())
        self.unknown += digest(text) not in self.tokens
        return self.tokens.get(digest(text), 0)

    def add(self, stage, source, text):
        """Count one text."""
        text = text or ""  # a document may have none
        self.documents[stage, source] += 1
        self.counts[stage][source] += self.size(text)
        self.digests[stage, source].update(text.encode() + b"\0")
        self.sums[stage, source] += int(digest(text), 16)

    def stages(self):
        """Stage → source → documents, share of the stage's tokens, and the digests."""
        return {
            stage: {
                source: {
                    "share": round(count / sum(counts.values()), 6),
                    "documents": self.documents[stage, source],
                    "texts": f"{self.sums[stage, source] % (1 << 64):016x}",
                    "order": self.digests[stage, source].hexdigest()[:16],
                }
                for source, count in sorted(counts.items())
            }
            for stage, counts in self.counts.items()
        }

    def report(self, versions, wrong=(), **said):
        """`report` of the texts."""
        unknown = [f"{self.unknown} texts are not the manifest's"] if self.unknown else []
        return report(versions, "words" if self.tokens is None else "tokens", self.stages(), [*wrong, *unknown], **said)
