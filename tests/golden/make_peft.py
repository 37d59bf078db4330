"""Reference values by transformers and PEFT on the tiny models, and a check of what Ballast writes.

    python3 tests/golden/make_peft.py                 # writes tests/golden/peft/{llama,qwen2}/
    python3 tests/golden/make_peft.py --check FOLDER  # PEFT reads adapters and logits that
                                                 # BALLAST_PEFT_OUT=FOLDER cargo test --test adapter wrote

Needs torch, transformers and peft. For each model: an adapter made and saved by PEFT (B random), its logits, and five
steps of torch's AdamW on one window of rows of unequal length (loss = sum of cross-entropies / labels of the window,
gradient norm clipped at 1, cosine with one warm-up step), with every loss, every norm, and the adapter they end in.
"""

import json
import math
import os
import sys

import peft
import torch
import transformers
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IDS = [3, 17, 42, 5, 99, 120, 7, 7, 64, 200, 31]
# (ids, first label position)
ROWS = [([5, 9, 33, 71, 2, 8, 90], 3), ([100, 41, 41, 6, 77, 12, 13, 14, 15, 16, 2, 30], 5), ([60, 61, 62, 2], 2)]
STEPS, PEAK = 5, 1e-2


def base(kind):
    return transformers.AutoModelForCausalLM.from_pretrained(f"{ROOT}/fixtures/tiny/{kind}", dtype=torch.float32).eval()


def rate(step):
    warmup = 1
    if step < warmup:
        return PEAK * step / warmup
    return PEAK * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup)))


def make(kind):
    out = f"{HERE}/peft/{kind}"
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(11)
    config = peft.LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=MODULES, task_type="CAUSAL_LM", use_rslora=kind == "qwen2")
    model = peft.get_peft_model(base(kind), config)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in trained.items():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
    model.peft_config["default"].base_model_name_or_path = f"fixtures/tiny/{kind}"
    model.save_pretrained(out)
    for extra in ["README.md"]:
        if os.path.exists(f"{out}/{extra}"):
            os.remove(f"{out}/{extra}")
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0].tolist()

    optimizer = torch.optim.AdamW(trained.values(), lr=PEAK, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    labels = sum(len(ids) - first for ids, first in ROWS)
    steps = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.zero_grad()
        total = 0.0
        for ids, first in ROWS:
            row = model(torch.tensor([ids])).logits[0]
            loss = torch.nn.functional.cross_entropy(row[first - 1 : -1], torch.tensor(ids[first:]), reduction="sum") / labels
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), 1.0).item()
        optimizer.step()
        steps.append({"loss": total, "grad_norm": norm, "learning_rate": rate(step)})
    final = {name.replace(".default", ""): p.detach().clone().contiguous() for name, p in trained.items()}
    save_file(final, f"{out}/trained.safetensors")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    with open(f"{out}/reference.json", "w") as file:
        json.dump({"versions": versions, "ids": IDS, "logits": logits, "rows": ROWS, "steps": steps}, file)
        file.write("\n")
    print(kind, "written:", [round(s["loss"], 4) for s in steps])


def check(folder):
    for kind in ["llama", "qwen2"]:
        written = json.load(open(f"{folder}/{kind}/logits.json"))
        model = peft.PeftModel.from_pretrained(base(kind), f"{folder}/{kind}").eval()
        with torch.no_grad():
            found = model(torch.tensor([written["ids"]])).logits[0]
            plain = base(kind)(torch.tensor([written["ids"]])).logits[0]
        difference = (found - torch.tensor(written["logits"])).abs().max().item()
        acts = (found - plain).abs().max().item()
        print(f"{kind}: PEFT's logits differ from Ballast's by {difference:.2e}; the adapter changes them by {acts:.2e}")
        assert difference < 1e-4 and acts > 1e-3


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        check(sys.argv[2])
    else:
        for kind in ["llama", "qwen2"]:
            make(kind)
