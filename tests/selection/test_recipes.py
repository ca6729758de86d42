"""Shipped recipes: sourced, applicable, and with the limits that were published."""

import pytest

from explorer.errors import SelectionError
from explorer.registry import find_signal
from explorer.selection.filters import Filters
from explorer.selection.recipes import recipes
from explorer.selection.threshold import Threshold

OWN_COLUMNS = {"edu_score", "dclm_score"}  # scores of models that the user's corpus brings along
NAMES = ["c4", "dclm-fasttext", "english", "fineweb", "fineweb-edu", "gopher", "redpajama", "refinedweb"]


def test_these_ship() -> None:
    assert sorted(recipes) == NAMES
    assert len(recipes) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_sourced_and_its_signals_exist(name: str) -> None:
    recipe = recipes[name]
    assert recipe.name == name
    assert len(recipe.about) > 60
    assert "arXiv" in recipe.source or "JMLR" in recipe.source
    for threshold in recipe.filters:
        signal = find_signal(threshold.signal)
        if signal is None:
            assert threshold.signal in OWN_COLUMNS
            assert threshold.signal in recipe.about
            continue
        assert signal.dtype != "string"
        low, high = signal.range
        for bound in (threshold.minimum, threshold.maximum):
            assert bound is None or ((low is None or bound >= low) and (high is None or bound <= high)), threshold
    assert len({t.id for t in recipe.filters}) == len(recipe.filters)
    assert Filters.from_yaml(recipe.to_yaml()) == recipe


GOPHER_REPETITION = [
    ("rep_dup_para_frac", None, 0.30),
    ("rep_dup_para_char_frac", None, 0.20),
    ("rep_dup_line_frac", None, 0.30),
    ("rep_dup_line_char_frac", None, 0.20),
    ("rep_top2_char_frac", None, 0.20),
    ("rep_top3_char_frac", None, 0.18),
    ("rep_top4_char_frac", None, 0.16),
    ("rep_dup5_char_frac", None, 0.15),
    ("rep_dup6_char_frac", None, 0.14),
    ("rep_dup7_char_frac", None, 0.13),
    ("rep_dup8_char_frac", None, 0.12),
    ("rep_dup9_char_frac", None, 0.11),
    ("rep_dup10_char_frac", None, 0.10),
]
GOPHER_QUALITY = [
    ("gopher_n_words", 50, 100_000),
    ("gopher_mean_word_len", 3, 10),
    ("gopher_hash_ratio", None, 0.1),
    ("gopher_ellipsis_ratio", None, 0.1),
    ("gopher_bullet_line_frac", None, 0.9),
    ("gopher_ellipsis_line_frac", None, 0.3),
    ("gopher_alpha_word_frac", 0.8, None),
    ("gopher_stop_words", 2, None),
]
FINEWEB = [
    ("fw_line_punct_ratio", 0.12, None),
    ("fw_short_line_ratio", None, 0.67),
    ("fw_char_dup_ratio", None, 0.01),
    ("fw_newline_word_ratio", None, 0.3),
]
PUBLISHED = {
    "gopher": GOPHER_REPETITION + GOPHER_QUALITY,
    "fineweb": [("lang_score", 0.65, None), *GOPHER_REPETITION, *GOPHER_QUALITY, ("c4nt_keep", 1, None), *FINEWEB],
    "c4": [("c4_keep", 1, None)],
    "english": [("lang_score", 0.65, None)],
    "fineweb-edu": [("edu_score", 2.5, None)],
    "dclm-fasttext": [("dclm_score", 0.018112, None)],
    "refinedweb": [
        ("lang_score", 0.65, None),
        ("rw_n_words", 50, 100_000),
        ("rw_mean_word_length", 3, 10),
        ("rw_symbol_word_ratio", None, 0.1),
        ("rw_bullet_line_frac", None, 0.9),
        ("rw_ellipsis_line_frac", None, 0.3),
        ("rw_non_alpha_word_frac", None, 0.2),
        ("rw_n_stop_words", 2, None),
        ("rw_word_removal_ratio", None, 0.05),
    ],
    "redpajama": [
        ("rps_doc_word_count", 50, 100_000),
        ("rps_doc_mean_word_length", 3, 10),
        ("rps_doc_symbol_to_word_ratio", None, 0.1),
        ("rps_lines_start_with_bulletpoint_mean", None, 0.9),
        ("rps_doc_frac_lines_end_with_ellipsis", None, 0.3),
        ("rps_doc_frac_no_alph_words", None, 0.2),
        ("rps_doc_frac_chars_top_2gram", None, 0.20),
        ("rps_doc_frac_chars_top_3gram", None, 0.18),
        ("rps_doc_frac_chars_top_4gram", None, 0.16),
        *(
            (f"rps_doc_frac_chars_dupe_{n}grams", None, limit)
            for n, limit in zip(range(5, 11), (0.15, 0.14, 0.13, 0.12, 0.11, 0.10), strict=True)
        ),
        ("rps_doc_num_sentences", 5, None),
        ("rps_doc_lorem_ipsum", None, 0),
        ("rps_doc_curly_bracket", None, 0),
        ("rps_doc_ldnoobw_words", None, 0),
    ],
}


@pytest.mark.parametrize("name", NAMES)
def test_limits_and_order_are_the_published_ones(name: str) -> None:
    assert [(t.signal, t.minimum, t.maximum) for t in recipes[name].filters] == PUBLISHED[name]


def test_strict_bounds_are_strict_where_published_so() -> None:
    strict = {(name, t.signal) for name in recipes for t in recipes[name].filters if t.exclusive}
    assert strict == {("english", "lang_score"), ("fineweb", "lang_score"), ("fineweb-edu", "edu_score")}
    assert {n for n in recipes if recipes[n].where} == {"english", "fineweb", "refinedweb"}
    assert {recipes[n].where for n in ("english", "fineweb", "refinedweb")} == {"lang = 'en'"}


def test_fineweb_edus_cut_is_its_rounded_score() -> None:
    import numpy as np

    scores = np.array([2.4999, 2.5, np.nextafter(np.float32(2.5), np.float32(3)), 3.49, 3.5, -1, 7], "f4")
    rounded = [round(float(np.clip(s, 0, 5))) >= 3 for s in scores]
    assert recipes["fineweb-edu"].filters[0].passes(scores).tolist() == rounded


def test_reasons_are_datatroves() -> None:
    reasons = [part for t in recipes["fineweb"].filters for part in t.id.split(" / ")]
    assert reasons[1:14] == [
        "dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac", "top_2_gram", "top_3_gram", "top_4_gram",
        *(f"duplicated_{n}_n_grams" for n in range(5, 11)),
    ]  # fmt: skip
    assert reasons[14:24] == [
        "gopher_short_doc", "gopher_long_doc", "gopher_below_avg_threshold", "gopher_above_avg_threshold", "gopher_too_many_hashes",
        "gopher_too_many_ellipsis", "gopher_too_many_bullets", "gopher_too_many_end_ellipsis", "gopher_below_alpha_threshold",
        "gopher_enough_stop_words",
    ]  # fmt: skip
    assert reasons[25:] == ["line_punct_ratio", "short_line_ratio", "char_dup_ratio", "list_ratio"]


def test_a_recipe_takes_another_limit() -> None:
    strict = recipes["fineweb"] | Threshold("edu_score", minimum=3)
    assert strict.filters[-1] == Threshold("edu_score", minimum=3)
    assert len(strict.filters) == len(recipes["fineweb"].filters) + 1


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(SelectionError, match=r"No recipe is called 'gofer'\. Recipes: c4, dclm-fasttext"):
        recipes["gofer"]
