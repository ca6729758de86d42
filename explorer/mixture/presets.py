"""Published mixtures as data: what was in them, in which stages, and where that is said.

Amounts are as published, in tokens of the authors' own tokenizer (or words); they are proportions to start from, not numbers to reach with
another tokenizer. The corpora themselves do not ship.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Literal

import polars as pl

from explorer.errors import MixtureError


@dataclass(frozen=True)
class PresetSource:
    """A source of a stage: its name, its amount in the stage's unit, how often it was read (None: not said), and what else is known."""

    name: str
    amount: float
    epochs: float | None = None
    note: str = ""


@dataclass(frozen=True)
class PresetStage:
    """A stage: its name and its sources, in the order they are published."""

    name: str
    sources: tuple[PresetSource, ...]

    @property
    def amount(self) -> float:
        """Tokens or words of all its sources."""
        return sum(source.amount for source in self.sources)

    @property
    def weights(self) -> dict[str, float]:
        """Share of each source; they add up to 1."""
        return {source.name: source.amount / self.amount for source in self.sources}


@dataclass(frozen=True)
class Preset:
    """A published mixture.

    Attributes:
        name: as it is called in commands.
        about: what it is.
        unit: what amounts count.
        stages: in the order of training.
        source: where it is published.
        misleads: what the numbers do not say.

    """

    name: str
    about: str
    unit: Literal["tokens", "words"]
    stages: tuple[PresetStage, ...]
    source: str
    misleads: str = ""

    @property
    def amount(self) -> float:
        """Tokens or words of all stages."""
        return sum(stage.amount for stage in self.stages)

    @property
    def table(self) -> pl.DataFrame:
        """A row a stage and source: ``stage, source, amount, share`` (of its stage), ``epochs`` (null where not said), ``note``."""
        rows = [
            (stage.name, source.name, source.amount, stage.weights[source.name], source.epochs, source.note)
            for stage in self.stages
            for source in stage.sources
        ]
        schema = {
            "stage": pl.String,
            "source": pl.String,
            "amount": pl.Float64,
            "share": pl.Float64,
            "epochs": pl.Float64,
            "note": pl.String,
        }
        return pl.DataFrame(rows, schema=schema, orient="row")

    def __str__(self) -> str:
        return f"{self.name}: {self.about} {self.amount:,.0f} {self.unit} in {len(self.stages)} stage{'s' if len(self.stages) > 1 else ''}"

    def _repr_html_(self) -> str:
        return f"<b>{escape(str(self))}</b><p>{escape(self.source)} {escape(self.misleads)}</p>{self.table._repr_html_()}"


B = 1e9
_UPSAMPLED = "The lists of files name some files several times, so some tokens are read more than once; how often is not stated a source."


def _dolmino(size: int, total: float, **amounts: float) -> Preset:
    notes = {
        "dclm": "folder ft7percentile_fw2: fastText top 7 in 100, FineWeb classifier at least 2",
        "wiki": "from the first stage's mix",
        "other_math": "what the other sources leave of the total; each below 0.4 billion",
    }
    amounts["other_math"] = round(total - sum(amounts.values()), 3)
    sources = tuple(PresetSource(name, amount * B, note=notes.get(name, "")) for name, amount in amounts.items())
    return Preset(
        f"dolmino-{size}b",
        f"Mid-training mix of OLMo 2, the one of about {size} billion tokens.",
        "tokens",
        (PresetStage("mid-training", sources),),
        f"allenai/OLMo-core, src/scripts/train/anneal/dolmino{size}.txt, tokens as in its comments; arXiv:2501.00656.",
        _UPSAMPLED,
    )


_CRYSTAL = Preset(
    "crystal",
    "CrystalCoder: text, then text with code, then code of the web.",
    "tokens",
    (
        PresetStage("1", (PresetSource("slimpajama_first_half", 345 * B, 1.0),)),
        PresetStage(
            "2",
            (
                PresetSource("slimpajama_second_half", 345 * B, 1.0),
                PresetSource("starcoder", 582 * B, 2.0, "fill-in-the-middle rate 0.9, half of it suffix first"),
            ),
        ),
        PresetStage(
            "3",
            (
                PresetSource("starcoder_python_html_css_js", 100 * B, 3.0, "fill-in-the-middle rate 0.3, half of it suffix first"),
                PresetSource("slimpajama_without_github", 10 * B, note="about 10 billion"),
            ),
        ),
    ),
    "LLM360, CrystalCoderDatasets (data card and README); arXiv:2312.06550.",
    "The halves of SlimPajama are one random split; the third stage's amounts are rounded.",
)

_BABYLM = {
    "opensubtitles": 0.30, "simple_wikipedia": 0.15, "bnc_dialogue": 0.10, "gutenberg": 0.10, "qed": 0.10, "wikipedia": 0.10,
    "childrens_book_test": 0.06, "childes": 0.04, "childrens_stories": 0.04, "switchboard": 0.01,
}  # fmt: skip


def _babylm(track: str, words: float) -> Preset:
    return Preset(
        f"babylm-{track}",
        f"BabyLM 2023, {track} track: at most {words / 1e6:,.0f} million words, as many as a child may have heard.",
        "words",
        (PresetStage("all", tuple(PresetSource(name, share * words) for name, share in _BABYLM.items())),),
        "Warstadt et al. 2023, BabyLM challenge, arXiv:2301.11796 (data card).",
        "Words are parts of a split at white space. Shares are rounded to whole hundredths. Any corpus may be used inside the budget.",
    )


_ALL = (
    _dolmino(50, 51.47, dclm=24.31, flan=8.54, tinygsm=6.47, mathcoder2_synth=3.873, wiki=3.66, pes2o=3.01, stackexchange=1.26),
    _dolmino(100, 112.94, dclm=51.47, flan=17.08, tinygsm=16.35, pes2o=9.76, mathcoder2_synth=7.745, wiki=7.32, stackexchange=2.52),
    _dolmino(300, 311.42, dclm=156.26, pes2o=58.55, flan=34.16, tinygsm=25.88, mathcoder2_synth=15.49, wiki=14.64, stackexchange=5.04),
    _CRYSTAL,
    _babylm("strict-small", 10e6),
    _babylm("strict", 100e6),
)
PRESETS: Mapping[str, Preset] = {found.name: found for found in _ALL}


def preset(name: str) -> Preset:
    """A published mixture by name.

    Raises:
        MixtureError: no mixture is called so.

    """
    if name not in PRESETS:
        raise MixtureError(f"No preset is called {name!r}. Presets: {', '.join(PRESETS)}. See: explorer advise presets")
    return PRESETS[name]
