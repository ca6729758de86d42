"""The stages of a run on the Mixture page: how long, how they change, and how long their sequences are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import streamlit as st

from explorer.errors import ManifestError
from explorer.mixture.model import SCHEDULES, Mixture, StagePlan
from explorer.mixture.preview import Preview
from explorer.ui import mixing_edits as edits
from explorer.ui.errors import guarded, plain
from explorer.ui.frame import heading
from explorer.ui.mixing import attempt, on_change
from explorer.ui.mixing_figures import NO_BAR, lanes

SAY = {"constant": "constant", "linear": "linear ramp", "cosine": "cosine ramp"}
WIDTHS = [3, 2.4, 1.6, 2.2, 1.4, 2, 0.8]


def stages(mixture: Mixture, found: Preview | None, tokens: Mapping[str, float] | None) -> None:
    """The lanes, and a row a stage beneath them."""
    heading("Over the run", "what the model reads from its first token to its last")
    if found is not None and found.tokens > 0:
        with guarded("drawing the stages"):
            st.plotly_chart(lanes(found), width="stretch", config=NO_BAR, key="mix_lanes")
    for number, stage in enumerate(mixture.stages):
        _row(mixture, number, stage)
    st.button(
        "Add a stage" if mixture.stages else "Divide into stages",
        key="mix_add_stage",
        on_click=attempt,
        args=(lambda m: edits.add_stage(m, tokens or {}),),
        disabled=tokens is None,
        icon=":material/add:",
        help="A last stage with weights of its own. With several stages every amount is a weight of the budget, or stands in a stage.",
    )


def _row(mixture: Mixture, number: int, stage: StagePlan) -> None:
    shown: Literal["visible", "collapsed"] = "visible" if number == 0 else "collapsed"

    def put(key: str, value: object) -> str:
        st.session_state[key] = value
        return key

    with st.container(key=f"mix_stage_{number}"):
        name, size, number_, schedule, steps, length, away = st.columns(WIDTHS, vertical_alignment="bottom", gap="small")

        def rename(m: Mixture, to: str) -> Mixture:
            edits.check_name(to.strip(), (s.name for i, s in enumerate(m.stages) if i != number), "stage")
            return edits.with_stage(m, number, name=to.strip())

        name.text_input("Stage", label_visibility=shown, **on_change(rename, put(f"mix_stage_name_{number}", stage.name)))
        if stage.budget_tokens is not None:
            said = edits.said_amount(stage.budget_tokens)
            size.text_input(
                "Tokens",
                label_visibility=shown,
                **on_change(
                    lambda m, text: edits.with_stage(m, number, budget_tokens=edits.amount_of(text, "The stage's size")),
                    put(f"mix_stage_tokens_{number}", said),
                ),
            )
        elif stage.share is not None:
            alone = sum(s.share is not None for s in mixture.stages) < 2
            value = min(0.99, max(0.01, stage.share))

            def share(m: Mixture, to: float) -> Mixture:
                return edits.set_share(m, number, to)

            size.slider(
                "Share of the run", 0.01, 0.99, step=0.01, format="%.2f", label_visibility=shown, disabled=alone,
                **on_change(share, put(f"mix_stage_share_{number}", value)),
            )  # fmt: skip
            number_.number_input(
                "Share", 0.01, 0.99, step=0.01, format="%.3f", label_visibility=shown, disabled=alone,
                **on_change(share, put(f"mix_stage_number_{number}", value)),
            )  # fmt: skip
        else:
            size.caption("as long as its amounts say")
        key = put(f"mix_stage_schedule_{number}", stage.schedule)

        schedule.selectbox(
            "Weights", SCHEDULES, format_func=SAY.__getitem__, label_visibility=shown, help="A ramp goes from its weights to others in equal steps",
            **on_change(lambda m, to: edits.set_schedule(m, number, to), key),
        )  # fmt: skip
        ramp = stage.schedule != "constant"
        steps.number_input(
            "Steps", 1 if not ramp else 2, 1000, step=1, label_visibility=shown, disabled=not ramp,
            **on_change(lambda m, to: edits.with_stage(m, number, steps=int(to)), put(f"mix_stage_steps_{number}_{ramp}", stage.steps)),
        )  # fmt: skip
        length.text_input(
            "Sequence length", placeholder="the mixture's", label_visibility=shown,
            **on_change(lambda m, text: edits.with_stage(m, number, sequence_length=whole(text)), put(f"mix_stage_length_{number}", _said(stage.sequence_length))),
        )  # fmt: skip
        away.button(
            "✕", key=f"mix_stage_away_{number}", type="tertiary", help=f"Remove stage {plain(stage.name)}",
            on_click=attempt, args=(lambda m: edits.remove_stage(m, number),),
        )  # fmt: skip


def whole(text: str) -> int | None:
    """A sequence length as it was typed; None for nothing.

    Raises:
        ManifestError: it is no whole number above 0.

    """
    if not text.strip():
        return None
    value = edits.amount_of(text, "The sequence length")
    if value is None or value != int(value):
        raise ManifestError(f"The sequence length is {text!r}. It is a whole number of tokens, such as 4096. Correct it or leave it empty.")
    return int(value)


def _said(length: int | None) -> str:
    return "" if length is None else str(length)
