"""Every error the product raises on purpose.

ExplorerError                  what a user can mend; one message: what is wrong, what is allowed, the next step
├── CorpusError                a file or folder cannot be opened or read as a corpus
│   └── ColumnNotFoundError    a column that was asked for is not there
├── SignalError                a signal is unknown, has a bad parameter, or failed on a document
├── ModelError                 a model or device is not here, or is not what is asked of it
├── EmbeddingError             there are no embeddings, or they do not fit
├── WorkspaceError             the workspace cannot be written, or holds what no longer fits its source
├── SelectionError             a threshold, recipe, sampler or predicate that cannot be applied
├── MixtureError               runs, curves or weights that no advice on a mixture can stand on
├── ManifestError              a manifest that is malformed or no longer true
├── ExportError                a trainer's files could not be written
└── JobError                   a background job could not be started, found or stopped
MissingExtraError              an optional package is not installed (an ImportError)
"""

from __future__ import annotations

from collections.abc import Iterable


class ExplorerError(ValueError):
    """Base of all errors a user can act on; pages and commands show its message as it is."""


class CorpusError(ExplorerError):
    """A file or folder cannot be opened or read as a corpus."""


class ColumnNotFoundError(CorpusError):
    """A column that was asked for is not there."""

    @classmethod
    def named(cls, column: str, where: str, present: Iterable[str], next_step: str) -> ColumnNotFoundError:
        """Build the message from the missing column and the ones that are present."""
        names = ", ".join(repr(name) for name in present) or "none"
        return cls(f"Column {column!r} is not in {where}. Columns: {names}. {next_step}")


class SignalError(ExplorerError):
    """A signal is unknown, has a bad parameter, or failed on a document."""


class ModelError(ExplorerError):
    """A model or a device is not on this machine, or is not what is asked of it."""


class EmbeddingError(ExplorerError):
    """There are no embeddings, or they do not fit what is asked of them."""


class WorkspaceError(ExplorerError):
    """The workspace cannot be written, or holds what no longer fits its source."""


class SelectionError(ExplorerError):
    """A threshold, recipe, sampler or predicate cannot be applied."""


class MixtureError(ExplorerError):
    """Runs, curves or weights that no advice on a mixture can stand on."""


class ManifestError(ExplorerError):
    """A manifest is malformed or no longer true."""


class ExportError(ExplorerError):
    """A trainer's files could not be written."""


class JobError(ExplorerError):
    """A background job could not be started, found or stopped."""


class MissingExtraError(ImportError):
    """An optional package is not installed; the message carries the install line."""

    def __init__(self, package: str, purpose: str, extra: str | None = None) -> None:
        install = f'pip install "corpus-explorer[{extra}]"' if extra else f"pip install {package}"
        super().__init__(f"Package {package!r} is not installed. It is needed {purpose}. Run: {install}")
