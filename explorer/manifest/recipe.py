"""A mix as a YAML file: the recipe that ``explorer mix`` reads."""

from __future__ import annotations

import os
from dataclasses import replace

from explorer.corpus.workspace import Workspace
from explorer.manifest.model import Manifest
from explorer.manifest.write import write_mixture
from explorer.mixture.model import load_mixture
from explorer.mixture.preview import count_mixture
from explorer.mixture.sources import tokenizer_of
from explorer.mixture.stages import asks


def mix_recipe(
    path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, *, workspace: str | os.PathLike[str] | Workspace | None = None
) -> Manifest:
    """Read a recipe and mix it; see ``docs/manifest.md`` for its fields.

    Args:
        path: the YAML file.
        out: folder of the manifest; None: ``manifests/<name>`` in the workspace.
        workspace: where the sources' signals are (default: ``EXPLORER_WORKSPACE`` or ``.explorer``).

    Raises:
        ManifestError: the recipe is not understood, or cannot be met.
        CorpusError, SelectionError, SignalError: a source cannot be opened or selected from.

    """
    mixture = load_mixture(path)
    asks(mixture)  # what is wrong in the stages is said before anything is opened
    counted = count_mixture(mixture, workspace=workspace)
    return write_mixture(replace(mixture, tokenizer=tokenizer_of(mixture)), counted, out)
