"""Statements turned round: what is a flip, what is none, and where in the texts it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.engine.local import score_texts
from explorer.rewrites.findings import findings

KINDS = ("negation", "modality", "quantifier", "antonym")


def flips(original: str, rewrite: str) -> dict[str, int]:
    table = score_texts([rewrite], ["polarity"], originals=[original])
    return {kind: n for kind in KINDS if (n := table[f"{kind}_flips"][0].as_py())}


@pytest.mark.parametrize(
    ("original", "rewrite", "kind"),
    [
        ("The vaccine protects children from measles.", "The vaccine does not protect children from measles.", "negation"),
        ("Nobody was hurt when the mill burned down.", "People were hurt when the mill burned down.", "negation"),
        ("Das Museum ist am Montag nicht geöffnet.", "Das Museum ist am Montag geöffnet.", "negation"),
        ("El tren no sale los domingos por la mañana.", "El tren sale los domingos por la mañana.", "negation"),
        (
            "The old bridge was washed away and has not been replaced, so walkers turn back.",
            "There is another bridge for walkers now.",
            "negation",
        ),
        ("Trains no longer call at the old station.", "The old station is still served by trains.", "negation"),
        ("The treatment may reduce the risk of infection.", "The treatment will certainly reduce the risk of infection.", "modality"),
        ("Some patients recovered within a week.", "All patients recovered within a week.", "quantifier"),
        ("Exports increased sharply in the third quarter.", "Exports decreased sharply in the third quarter.", "antonym"),
    ],
)
def test_a_statement_turned_round_is_found_both_ways(original: str, rewrite: str, kind: str) -> None:
    assert flips(original, rewrite).get(kind, 0) >= 1
    assert flips(rewrite, original).get(kind, 0) >= 1


@pytest.mark.parametrize(
    ("original", "rewrite"),
    [
        ("Nobody was hurt when the mill burned down.", "When the mill burned down, no one was injured."),
        ("The vaccine does not protect children.", "Children aren't protected by the vaccine."),
        ("It is not uncommon for rivers to flood here.", "Rivers often flood here."),
        ("He failed to open the door.", "He could not open the door."),
        (
            "The bridge has not been replaced, so walkers turn back.",
            "Walkers turn back, since the bridge is now in ruins and was never replaced.",
        ),
        ("The old station is no longer served by trains.", "The old station without trains is now a museum."),
        ("The old station is no longer served by trains.", "Trains used to call at the old station, now a museum."),
        ("The village has no doctor, and the school closed.", "The school of the village is now closed."),
        ("The tram was not cheap yet full of workers.", "The tram of the workers is now gone."),
        ("Not only wheat but also rye was grown.", "Both wheat and rye were grown."),
        ("The treatment may reduce the risk.", "The treatment might lower the risk."),
        ("All members voted for it.", "Every member voted in favour."),
        ("Exports increased and imports decreased.", "Imports decreased while exports increased."),
        ("No, the school is open on Friday.", "The school is open on Friday."),
        ("", "No."),
    ],
)
def test_the_same_statement_said_otherwise_is_no_flip(original: str, rewrite: str) -> None:
    assert flips(original, rewrite) == {}


def test_what_both_rules_see_counts_once() -> None:
    assert flips("The city has not built an airport.", "A new airport built near the city is now open.") == {"negation": 1}


def test_a_flip_is_shown_where_it_stands() -> None:
    original, rewrite = "Rain fell. The vaccine protects children.", "Rain fell. The vaccine never protects children."
    (finding,) = [f for f in findings(original, rewrite) if f.verdict == "flip"]
    assert finding.kind == "negation"
    assert finding.left is not None
    assert finding.right is not None
    assert "protects" in original[slice(*finding.left)]
    assert "never protects" in rewrite[slice(*finding.right)]


@given(st.text(alphabet="abc not never may all some but .\n'", max_size=120))
def test_a_text_never_contradicts_itself(text: str) -> None:
    assert flips(text, text) == {}


@given(st.text(max_size=60), st.text(max_size=60))
def test_findings_point_into_the_texts(original: str, rewrite: str) -> None:
    for found in findings(original, rewrite):
        for span, text in ((found.left, original), (found.right, rewrite)):
            assert span is None or 0 <= span[0] < span[1] <= len(text)
