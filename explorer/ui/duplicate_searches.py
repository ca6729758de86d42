"""Duplicates that were searched for: kinds, what a search found and why nothing, its settings, and the job that searches."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.sidecars import Sidecar
from explorer.duplicates import exact, groups, lines, near, semantic
from explorer.duplicates.minhash import SCHEMES, Scheme, candidate_probability
from explorer.ui.format import counted, share
from explorer.ui.format import exact as digits
from explorer.ui.scoring import embed_panel, progress, running, score_command, start


@dataclass(frozen=True)
class Way:
    """A way for documents to be duplicates: the family that finds them, and what it would show."""

    label: str
    family: str
    kind: str
    about: str


WAYS = {
    "exact": Way("Exact", "exact_duplicates", "exact", "documents that are the same, byte for byte"),
    "normalised": Way(
        "Normalised", "exact_duplicates", "normalised", "documents that are the same but for case, punctuation, accents, numbers and blanks"
    ),
    "near": Way("Near", "minhash", "minhash", "documents that share most of their word sequences (MinHash), with what differs in them"),
    "lines": Way(
        "Repeated lines",
        "repeated_lines",
        "",
        "menus, notices and licence headers: lines that stand in many documents, whatever else is in them",
    ),
    "meaning": Way("By meaning", "semantic_duplicates", "semantic", "documents that say the same in other words, by their embeddings"),
}
VERIFIED = (0.0, 0.5, 0.7, 0.8, 0.9)  # Jaccard similarity that a pair needs to join a group; 0: every candidate pair does
COLUMN = {name: groups.KINDS[way.kind].group if way.kind else "repeated_line_char_frac" for name, way in WAYS.items()}


def variants(corpus: Corpus, name: str) -> list[tuple[str, Sidecar]]:
    """Every search of one kind that this workspace holds, the plain family first: (its alias, its columns), keepers aside."""
    coverage, way = corpus.coverage(), WAYS[name]
    found: dict[str, tuple[str, Sidecar]] = {}
    for side in coverage.sidecars:
        family, _, alias = side.family.partition(":")
        column = COLUMN[name] + (f"_{alias}" if alias else "")
        if family != way.family or column not in side.columns or coverage.of(column) is not side:
            continue
        searched = json.dumps({k: v for k, v in side.parameters.items() if k != "keeper"}, sort_keys=True, default=str)
        known = found.get(searched)
        if known is None or (bool(alias), side.parameters.get("keeper") != "first") < (
            bool(known[0]),
            known[1].parameters.get("keeper") != "first",
        ):
            found[searched] = (alias, side)
    return sorted(found.values(), key=lambda pair: pair[0])


def report(side: Sidecar) -> dict[str, Any]:
    """The counts that a search left; empty where they are gone."""
    try:
        return dict(json.loads((side.folder / "report.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def explained(name: str, side: Sidecar) -> str:
    """What a search found, and why nothing where it is nothing."""
    said = report(side)
    if not said:
        return "The counts of this search are gone from the workspace. Search again to have them back."
    if name in ("exact", "normalised"):
        return exact.explain(said)
    if name == "near":
        p = said["parameters"]
        return near.explain(said, Scheme(p["ngram"], p["bands"], p["rows"]))
    return lines.explain(said) if name == "lines" else semantic.explain(said)


def found_in(name: str, side: Sidecar) -> tuple[int, int]:
    """(groups, documents in them) of a search; of repeated lines (boilerplate lines, documents with one)."""
    said = report(side)
    if name in ("exact", "normalised"):
        said = said.get(name, {})
    elif name == "meaning" and "parameters" in said:
        said = said.get("at", {}).get(semantic.label(said["parameters"]["threshold"]), {})
    if name == "lines":
        return said.get("boilerplate_lines", 0), said.get("with_boilerplate", 0)
    return said.get("groups", 0), said.get("in_groups", 0)


def whole(corpus: Corpus, name: str, alias: str) -> bool:
    """Whether the search covers every document that the corpus has now."""
    return corpus.coverage().scored_rows(COLUMN[name] + (f"_{alias}" if alias else "")) == len(corpus)


def outdated(corpus: Corpus, family: str) -> int:
    """Documents of the latest search by this family over other files than are open now; 0 where there is none."""
    found = []
    for record in (corpus.workspace.path / "signals").glob(f"{family}*/family.json"):
        try:
            said = json.loads(record.read_text(encoding="utf-8"))
            if said["family"].partition(":")[0] == family and said.get("corpus", corpus.fingerprint) != corpus.fingerprint:
                seen = json.loads((record.parent / "report.json").read_text(encoding="utf-8"))["documents"]
                found.append((record.stat().st_mtime, int(seen)))
        except (OSError, ValueError, KeyError):
            continue  # half a record tells nothing
    return max(found)[1] if found else 0


def setting(name: str, side: Sidecar) -> str:
    """The parameter that tells two searches of one kind apart, in a few words."""
    p = side.parameters
    if name == "near":
        return f"{p.get('preset')}" + (f", verified ≥ {p['verify']:g}" if p.get("verify") else "")
    if name == "meaning":
        return f"cosine ≥ {p.get('threshold')}"
    return f"in more than {p.get('more_than')} documents" if name == "lines" else ""


def kind_of(name: str, alias: str) -> str:
    """The kind as `explorer.duplicates.groups` names it."""
    return WAYS[name].kind + (f":{alias}" if alias else "")


def first_page() -> None:
    """Another question starts at its first group."""
    for key in ("dup_page", "dup_group", "dup_pair"):
        st.session_state.pop(key, None)


# --- searching ----------------------------------------------------------------------------------------------------------------


def search_form(corpus: Corpus, name: str, *, again: bool = False) -> None:
    """Say what a search would show, its settings, and start it."""
    way = WAYS[name]
    job = running(corpus, way.family)
    if job is not None:
        st.caption(f"Searching for {way.about}.")
        progress(job)
        return
    if not again:
        before = outdated(corpus, way.family)
        if before:
            st.warning(
                f"An earlier search saw {counted(before, 'document')} of other files than are open now: a copy can stand in any that came, so it does not count.",
                icon=":material/update:",
            )
        st.info(f"Not searched yet. This would show {way.about}.", icon=":material/content_copy:")
    if name == "meaning" and not _embedded(corpus):
        st.caption("It compares embeddings, and this corpus has none yet. Make them first:")
        embed_panel(corpus, key="dup_embed")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        given, alias = _settings(name)
        title = f"{way.family}:{alias}" if alias else way.family
        options = [part for key, value in given.items() for part in ("-p", f"{title}.{key}={value}")]
        st.button(
            f"Search {counted(len(corpus), 'document')}",
            key=f"dup_search_{name}",
            type="secondary" if again else "primary",
            disabled=not len(corpus),
            on_click=lambda: start(corpus, score_command(corpus, [title], *options), f"search {way.label.lower()} duplicates"),
            help="Starts a job; what it finds is kept in the workspace, and searching for the same again costs nothing",
        )


def _settings(name: str) -> tuple[dict[str, str], str]:
    """Parameters that differ from the defaults, and the alias under which they are kept beside them."""
    if name == "near":
        preset = st.selectbox(
            "Preset",
            list(SCHEMES),
            key="dup_preset",
            format_func=_about_preset,
            width=430,
            help="Words a shingle, bands × rows of the signature",
        )
        verify = st.selectbox(
            "Verified",
            VERIFIED,
            key="dup_verify",
            format_func=lambda v: f"Jaccard ≥ {v:g}" if v else "all candidates, as FineWeb",
            width=230,
            help="Candidates are compared exactly; those below this similarity join no group, which keeps groups from chaining",
        )
        given = {"preset": preset} if preset != "fineweb" else {}
        given |= {"verify": f"{verify:g}"} if verify else {}
        return given, re.sub(
            r"\W", "", "".join([preset if preset != "fineweb" else "", f"verified{round(100 * verify)}" if verify else ""])
        )
    if name == "meaning":
        threshold = st.selectbox("Cosine from", [0.95, 0.90, 0.98, 0.85], key="dup_threshold", format_func=lambda t: f"{t:.2f}", width=110)
        return ({}, "") if threshold == 0.95 else ({"threshold": str(threshold)}, f"at{round(100 * threshold)}")
    if name == "lines":
        more = int(st.number_input("In more than … documents", 1, 10_000, 6, key="dup_more_than", width=190))
        shortest = int(
            st.number_input("Bytes a line needs", 1, 10_000, 1, key="dup_shortest", width=160, help="Shorter lines never count as repeated")
        )
        given = {k: str(v) for k, v, default in (("more_than", more, 6), ("shortest", shortest, 1)) if v != default}
        return given, ""
    return {}, ""


def _about_preset(preset: str) -> str:
    s = SCHEMES[preset]
    at = (0.7, 0.8, 0.9)
    chance = ", ".join(f"{a:g}: {share(float(p))}" for a, p in zip(at, candidate_probability(np.array(at), s), strict=True))
    return f"{preset} · {s.ngram} words, {s.bands} × {s.rows} · finds {chance}"


def _embedded(corpus: Corpus) -> bool:
    from explorer.embeddings.store import stored

    return bool(stored(corpus))


def pick(corpus: Corpus, name: str) -> tuple[str, Sidecar] | None:
    """Which search of this kind to look at, and a way to another one; None where there is none (its form is drawn then)."""
    there = variants(corpus, name)
    if not there:
        search_form(corpus, name)
        return None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        alias, side = there[0]
        if len(there) > 1:
            labels = {a: setting(name, s) or "as first searched" for a, s in there}
            alias = st.selectbox(
                "Search",
                list(labels),
                format_func=labels.__getitem__,
                key=f"dup_variant_{name}",
                on_change=first_page,
                label_visibility="collapsed",
                width=260,
            )
            side = dict(there)[alias]
        st.html(f'<p class="answer dup-said">{escape(explained(name, side))}</p>', width="stretch")
        if name in ("near", "meaning", "lines"):
            with st.popover("Search otherwise", key=f"dup_other_{name}", type="tertiary"):
                search_form(corpus, name, again=True)
    job = running(corpus, WAYS[name].family)
    if job is not None:
        progress(job)
    if not whole(corpus, name, alias):
        n = corpus.coverage().scored_rows(COLUMN[name] + (f"_{alias}" if alias else ""))
        st.warning(
            f"Partial: what this search found is there for {digits(n)} of {digits(len(corpus))} documents; the rest is being written, or was removed.",
            icon=":material/incomplete_circle:",
        )
        search_form(corpus, name, again=True)
        return None
    return alias, side
