"""Multiple choice through transformers, on the very token ids that Ballast scored: do both choose the same option?

    ballast eval --model qwen2.5-coder-0.5b-instruct --suite mmlu:FOLDER --items 500 --out rows.jsonl
    python3 benches/peers/choices.py MODEL.gguf rows.jsonl [--dtype float32|bfloat16] [--device cuda|cpu]

Reads the ids of prompt and letters from the records (`likelihood.ids`), so that template and tokenizer are the same by
construction and the comparison is of the models alone. Needs torch, transformers and gguf.
"""

import argparse
import json
import os
from collections import Counter

import torch
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("gguf")
parser.add_argument("rows", nargs="+")
parser.add_argument("--dtype", default="float32")
parser.add_argument("--device", default="cuda")
args = parser.parse_args()

torch.backends.cuda.matmul.allow_tf32 = False
folder, name = os.path.split(os.path.abspath(args.gguf))
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=getattr(torch, args.dtype)).to(args.device).eval()
for path in args.rows:
    same, ours_right, largest, total = Counter(), Counter(), 0.0, Counter()
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        scored = row.get("likelihood") or {}
        ids = scored.get("ids")
        if not ids:
            continue
        letters = ids["continuations"][-len(scored["letters"]) :]
        assert all(len(letter) == 1 for letter in letters), "letters are single tokens"
        with torch.no_grad():
            logits = model(torch.tensor([ids["prompt"]], device=args.device)).logits[0, -1].float()
        theirs = torch.log_softmax(logits, -1)[[letter[0] for letter in letters]].tolist()
        ours = scored["letters"]
        choice = max(range(len(theirs)), key=lambda i: theirs[i])
        suite = row["suite"]
        total[suite] += 1
        same[suite] += choice == max(range(len(ours)), key=lambda i: ours[i])
        largest = max(largest, max(abs(a - b) for a, b in zip(ours, theirs)))
        ours_right[suite] += row["verdict"] == "correct"
    for suite, n in total.items():
        print(f"{path} {suite}: {same[suite]} of {n} items with the same choice ({100 * same[suite] / n:.1f} %); ours right {100 * ours_right[suite] / n:.1f} %; largest difference of a log-probability {largest:.4f}")
