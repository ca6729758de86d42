"""What datatrove 0.10.1 answers on seven short texts, under the names of our signals."""

import json
from pathlib import Path

DOCUMENTS = json.loads(Path(__file__).with_name("known_heuristics.json").read_text("utf-8"))["docs"]
TEXTS = [d["text"] for d in DOCUMENTS.values()]
NAMES = {
    "gopher_n_words": "n_non_symbol_words",
    "gopher_mean_word_len": "mean_word_length",
    "gopher_hash_ratio": "hash_to_word_ratio",
    "gopher_ellipsis_ratio": "ellipsis_to_word_ratio",
    "gopher_bullet_line_frac": "bullet_line_frac",
    "gopher_ellipsis_line_frac": "ellipsis_line_frac",
    "gopher_alpha_word_frac": "alpha_word_frac",
    "gopher_stop_words": "n_distinct_stop_words",
    "rep_dup_para_frac": "dup_para_frac",
    "rep_dup_para_char_frac": "dup_para_char_frac",
    "rep_dup_line_frac": "dup_line_frac",
    "rep_dup_line_char_frac": "dup_line_char_frac",
    **{f"rep_top{n}_char_frac": f"top_{n}gram_char_frac" for n in (2, 3, 4)},
    **{f"rep_dup{n}_char_frac": f"dup_{n}gram_char_frac" for n in range(5, 11)},
    "fw_line_punct_ratio": "fineweb_line_punct_ratio",
    "fw_short_line_ratio": "fineweb_short_line_ratio",
    "fw_char_dup_ratio": "fineweb_char_dup_ratio",
    "fw_newline_word_ratio": "fineweb_newline_word_ratio",
}


def expected(signal: str) -> list[float]:
    return [d["metrics"][NAMES[signal]] for d in DOCUMENTS.values()]
