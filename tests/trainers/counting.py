"""What a trainer's own code read: documents, words and a digest of the texts in order, by stage and source; only the standard library."""

import hashlib
import json
from collections import defaultdict


class Read:
    """Texts as they come; ``print()`` gives one JSON object, which ``expected.py MANIFEST`` gives of the manifest itself."""

    def __init__(self):
        self.documents = defaultdict(int)
        self.words = defaultdict(int)
        self.digests = defaultdict(hashlib.sha256)
        self.stages = []

    def add(self, stage, source, text):
        """Count one text; every text counts for its source and for the stage as a whole ("*")."""
        if stage not in self.stages:
            self.stages.append(stage)
        for name in (source, "*"):
            self.documents[stage, name] += 1
            self.words[stage, name] += len(text.split())
            self.digests[stage, name].update(text.encode() + b"\0")

    def print(self, **said):
        """Print what was read: counts, shares of words, and whether the order is that of another reading (equal digests)."""
        for stage in self.stages:
            parts = {}
            for of, source in sorted(self.documents):
                if of == stage:
                    words, total = self.words[of, source], self.words[of, "*"]
                    digest = self.digests[of, source].hexdigest()[:16]
                    parts[source] = {
                        "documents": self.documents[of, source],
                        "words": words,
                        "share": round(words / total, 5),
                        "order": digest,
                    }
            said.setdefault("stages", {})[stage] = parts
        print(json.dumps(said, indent=1))
