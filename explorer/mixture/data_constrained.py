"""What repeating data costs: loss of a model on D tokens of which only U are different, by the published law of repeated data.

    D' = U + U R_D (1 - exp(-r_D / R_D)),   r_D = D / U - 1       tokens that the repeats are worth
    N' likewise, with U_N = min(N, the parameters that U tokens can make best use of)
    L = E + A / N'^alpha + B / D'^beta

The law was fitted to C4 with GPT-2's tokenizer, and it only ever falls; real models get worse when data is repeated too often. Use it to
compare, not to predict a loss.

Source: Muennighoff et al. 2023, Scaling Data-Constrained Language Models, arXiv:2305.16264; constants from huggingface/datablations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import polars as pl

from explorer.errors import MixtureError
from explorer.mixture.amounts import R_STAR, effective_tokens, wear

R_N_STAR = 5.309743
A, B, E = math.exp(6.255414), math.exp(7.3049974), math.exp(0.6254804)
ALPHA = BETA = 0.3526596
G = (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA))
EPOCHS = (1.0, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0, 64.0)


def best_parameters(tokens: float) -> float:
    """Parameters of the model that makes best use of a compute budget spent on ``tokens`` different tokens (the law's optimum)."""
    compute = 6 * (G * tokens) ** ((ALPHA + BETA) / ALPHA)
    return G * (compute / 6) ** (BETA / (ALPHA + BETA))


def repeated_loss(parameters: float, tokens: float, unique_tokens: float) -> float:
    """Loss in nats a token of a model on ``tokens``, of which ``unique_tokens`` are different.

    Raises:
        MixtureError: a number at or below 0.

    """
    if not (parameters > 0 and tokens > 0 and unique_tokens > 0):
        raise MixtureError(
            f"A loss of {parameters:g} parameters on {tokens:g} tokens, {unique_tokens:g} different, is not defined. All are above 0."
        )
    unique = min(unique_tokens, tokens)
    base = min(parameters, best_parameters(unique))
    excess = parameters / base - 1
    worth = base + base * R_N_STAR * (1 - math.exp(-excess / R_N_STAR))
    return E + A / worth**ALPHA + B / effective_tokens(tokens, unique) ** BETA


@dataclass(frozen=True)
class Repeats:
    """What epochs over a source are worth.

    Attributes:
        table: a row a number of epochs: ``epochs, tokens, effective_tokens, efficiency`` (effective of all), ``next_token`` (worth of one more
            token, against a fresh one), ``verdict`` (fine, worn, spent), ``loss, fresh_loss`` (of the model, and had all tokens been fresh;
            null without a number of parameters).
        unique_tokens: of the source.
        parameters: of the model.

    """

    table: pl.DataFrame
    unique_tokens: float
    parameters: float | None

    @property
    def ceiling(self) -> float:
        """Tokens of fresh data that endless repeats would be worth."""
        return self.unique_tokens * (1 + R_STAR)

    def __str__(self) -> str:
        return f"{self.unique_tokens:,.0f} different tokens; however often they are repeated, they are worth at most {self.ceiling:,.0f} fresh ones"

    def _repr_html_(self) -> str:
        return f"<b>{escape(str(self))}</b>{self.table._repr_html_()}"


def repeats(unique_tokens: float, *, epochs: Sequence[float] = EPOCHS, parameters: float | None = None) -> Repeats:
    """What epochs over ``unique_tokens`` are worth, by the law above.

    Args:
        unique_tokens: tokens of the source, each once.
        epochs: how often; above 0.
        parameters: of the model, for its loss.

    Raises:
        MixtureError: a number at or below 0.

    """
    if not unique_tokens > 0 or not epochs or min(epochs) <= 0 or (parameters is not None and not parameters > 0):
        raise MixtureError("Tokens, epochs and parameters are above 0. Correct the one that is not.")
    rows = []
    for times in epochs:
        tokens = times * unique_tokens
        worth = effective_tokens(tokens, unique_tokens)
        losses: tuple[float | None, float | None] = (None, None)
        if parameters is not None:
            losses = repeated_loss(parameters, tokens, unique_tokens), repeated_loss(parameters, tokens, tokens)
        rows.append(
            (times, tokens, worth, worth / tokens, math.exp(-max(0.0, times - 1) / R_STAR), wear(tokens, unique_tokens).verdict, *losses)
        )
    schema = {name: pl.Float64 for name in ("epochs", "tokens", "effective_tokens", "efficiency", "next_token")}
    schema |= {"verdict": pl.String, "loss": pl.Float64, "fresh_loss": pl.Float64}  # type: ignore[dict-item]
    return Repeats(pl.DataFrame(rows, schema=schema, orient="row"), unique_tokens, parameters)
