"""What a mixture comes to, drawn: the budget as bars, the stages as lanes over training, and where every token comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import plotly.graph_objects as go
import streamlit as st

from explorer.mixture.model import Mixture
from explorer.mixture.preview import Preview
from explorer.ui.cards import chart_labels, chart_text, ink
from explorer.ui.format import about, exact, share, short
from explorer.ui.frame import corpus_name
from explorer.ui.mixing import Ready

NO_BAR = {"displayModeBar": False}
MOST_STAGES = 24  # that the flow of tokens tells apart
LETTERS = 120  # that fit over all lanes


def colours() -> list[str]:
    """The theme's colours of categories, in the order of the sources."""
    found: list[str] = st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors") or ["#0072b2"]
    return found


def colour(place: int) -> str:
    """A source's colour; past the last one they come again, and names tell them apart."""
    found = colours()
    return found[place % len(found)]


def budget_bars(mixture: Mixture, found: Preview) -> str:
    """Asked, realised, different and effective tokens under each other, in HTML."""
    estimated = any(s.estimated for s in found.sources)
    asked = mixture.budget_tokens or sum(p.target_tokens for s in found.stages for p in s.parts)
    rows = [
        ("asked", asked, "the budget" if mixture.budget_tokens else "what the amounts add up to", False),
        ("realised", found.tokens, "whole documents, so not to the token", estimated),
        ("effective", found.effective_tokens, "tokens of fresh data that they are worth (Muennighoff et al. 2023)", estimated),
        ("different", found.unique_tokens, "each document counted once", estimated),
    ]
    most = max(value for _, value, _, _ in rows) or 1.0
    lines = "".join(
        f'<div title="{escape(f"{exact(round(value))} tokens: {tip}", quote=True)}"><span>{name}</span>'
        f'<div class="track" role="img" aria-label="{name} {short(value)} tokens"><i class="{name}" style="width:{100 * value / most:.2f}%"></i></div>'
        f"<b>{about(short(value), guess)}</b><small>{share(value, asked) if name != 'asked' else ''}</small></div>"
        for name, value, tip, guess in rows
    )
    return f'<div class="mix-budget">{lines}</div>'


def lanes(found: Preview) -> go.Figure:
    """Each stage over the tokens it takes, divided by the sources' shares."""
    starts, widths, at = [], [], 0.0
    for stage in found.stages:
        starts.append(at)
        widths.append(stage.tokens)
        at += stage.tokens
    figure = go.Figure()
    labels = chart_labels([s.name for s in found.sources])
    for place, source in enumerate(found.sources):
        shares, said = [], []
        for stage in found.stages:
            part = next((p for p in stage.parts if p.source == source.name), None)
            shares.append(100 * (part.weight or 0.0) if part else 0.0)
            said.append(
                f"{chart_text(stage.name)}: {share(part.weight or 0.0)}<br>{short(part.tokens)} tokens, {short(part.documents)} documents"
                if part
                else f"{chart_text(stage.name)}: not in it"
            )
        figure.add_bar(
            x=starts, width=widths, offset=0, y=shares, name=labels[place], marker={"color": colour(place), "line": {"width": 0}},
            hovertext=said, hovertemplate="<b>%{fullData.name}</b><br>%{hovertext}<extra></extra>",
        )  # fmt: skip
    for stage, start, width in zip(found.stages, starts, widths, strict=True):
        if start:
            figure.add_vline(x=start, line={"width": 1.5, "color": ink()})
        length = f" · {stage.sequence_length:,}" if stage.sequence_length else ""
        if len(found.stages) > 1 and len(stage.name + length) < LETTERS * width / at:
            figure.add_annotation(
                x=start + width / 2, y=100, yanchor="bottom", text=f"{chart_text(stage.name)}{length}", showarrow=False, font={"size": 12}
            )
    figure.update_layout(
        barmode="stack", bargap=0, height=222 + 22 * -(-len(found.sources) // 6), margin={"l": 8, "r": 8, "t": 26, "b": 8}, legend={"orientation": "h", "y": -0.4, "yanchor": "top", "traceorder": "normal"},
        xaxis={"title": "tokens of training", "tickformat": "~s", "range": [0, at or 1], "showgrid": False, "tick0": 0, "dtick": _step(at)},
        yaxis={"title": "share", "ticksuffix": " %", "range": [0, 100], "tickvals": [0, 50, 100], "showgrid": False, "fixedrange": True},
    )  # fmt: skip
    return figure


def _step(whole: float) -> float:
    """A round distance of about six marks."""
    rough = max(whole, 1.0) / 6
    decade = 10.0 ** math.floor(math.log10(rough))
    return next(m * decade for m in (1, 2, 5, 10) if m * decade >= rough)


def flow(mixture: Mixture, found: Preview, ready: Mapping[str, Ready]) -> go.Figure:
    """Tokens from the corpora through the filters to the sources and stages. A source that is repeated gives more than it gets."""
    labels: list[str] = []
    tints: list[str] = []
    links: list[tuple[int, int, float, str, str]] = []

    def node(label: str, tokens: float, tint: str) -> int:
        labels.append(f"{chart_text(label if len(label) <= 30 else f'{label[:28]}…')} {short(tokens)}")
        tints.append(tint)
        return len(labels) - 1

    grey, rose = "rgba(128,128,128,0.75)", "#b0566b"
    corpora: dict[tuple[str, ...], int] = {}
    kept: dict[tuple[str, ...], float] = {}
    places: dict[str, int] = {}
    for place, source in enumerate(found.sources):
        counted = ready[source.name]
        if counted.corpus not in corpora:
            corpora[counted.corpus] = node(corpus_name(counted.counted.selection.corpus.paths).split("/")[-1], counted.tokens, grey)
        places[source.name] = node(source.name, source.kept_tokens, colour(place))
        kept[counted.corpus] = kept.get(counted.corpus, 0.0) + source.kept_tokens
        links.append((corpora[counted.corpus], places[source.name], source.kept_tokens, _pale(colour(place)), "kept, each document once"))
    whole = {r.corpus: r.tokens for r in ready.values()}
    for corpus, tokens in whole.items():
        if corpus in corpora and tokens - kept[corpus] > 1e-6 * tokens:
            left = tokens - kept[corpus]
            links.append((corpora[corpus], node("not kept", left, rose), left, _pale(rose), "dropped by filters, or in no source"))
    shown = found.stages if len(found.stages) <= MOST_STAGES else ()
    stages = [node(s.name if len(shown) > 1 else "the run", s.tokens, grey) for s in shown]
    if not shown:
        stages = [node(f"{len(found.stages)} stages", found.tokens, grey)]
    for number, stage in enumerate(found.stages):
        target = stages[number] if shown else stages[0]
        for part in stage.parts:
            place = next(i for i, s in enumerate(found.sources) if s.name == part.source)
            if part.tokens > 0:
                times = f"{part.epochs:.2f} epochs" if part.epochs is not None else "no tokens"
                links.append(
                    (places[part.source], target, part.tokens, _pale(colour(place)), f"{short(part.documents)} documents, {times}")
                )
    figure = go.Figure(
        go.Sankey(
            arrangement="snap",
            node={"label": labels, "color": tints, "pad": 20, "thickness": 12, "line": {"width": 0}, "hovertemplate": "%{label} tokens<extra></extra>"},
            link={
                "source": [a for a, *_ in links], "target": [b for _, b, *_ in links], "value": [v for _, _, v, *_ in links],
                "color": [c for *_, c, _ in links], "customdata": [t for *_, t in links],
                "hovertemplate": "%{value:.3s} tokens<br>%{customdata}<extra></extra>",
            },
            textfont={"color": ink(), "shadow": "none", "size": 13, "family": "Source Sans, sans-serif"},
        )
    )  # fmt: skip
    clear = "rgba(0,0,0,0)"
    figure.update_layout(
        height=max(240, 38 * len(labels)), margin={"l": 8, "r": 8, "t": 8, "b": 8}, paper_bgcolor=clear, plot_bgcolor=clear
    )
    return figure


def _pale(tint: str) -> str:
    if not tint.startswith("#"):
        return tint
    red, green, blue = (int(tint[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.38)"
