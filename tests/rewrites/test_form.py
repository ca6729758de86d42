"""What a rewrite does to the form of its original."""

from __future__ import annotations

from explorer.engine.local import score_texts

ORIGINAL = "# Mills\n\nThere are two kinds:\n\n- water mills\n- wind mills\n\n| kind | age |\n|---|---|\n| water | old |\n"


def test_a_list_made_a_sentence():
    found = score_texts(["# Mills\n\nThere are water mills and wind mills.\n"], ["form"], originals=[ORIGINAL]).to_pylist()[0]
    assert found == {
        "headings_change": 0, "list_items_change": -2, "code_blocks_change": 0, "table_rows_change": -3, "quotes_change": 0,
        "paragraphs_change": 0, "structure_similarity": 0.5, "structure_same": 0.0,
    }  # fmt: skip


def test_the_same_form_and_none():
    same = score_texts([ORIGINAL.replace("Mills", "Water and wind"), "", None], ["form"], originals=[ORIGINAL, "", "x"]).to_pylist()
    assert (same[0]["structure_same"], same[0]["structure_similarity"]) == (1.0, 1.0)
    assert (same[1]["structure_same"], same[1]["headings_change"]) == (None, 0)
    assert set(same[2].values()) == {None}
