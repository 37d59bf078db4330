#!/usr/bin/env python3
"""Checks, under transformers 4, that the older spellings of make.py mean what the golden logits say.

    pip install torch "transformers<5" safetensors
    python older.py

Prints the largest difference of logits for each spelling whose family that version has.
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, logging

HERE = Path(__file__).parent
logging.set_verbosity_error()
for folder in sorted(path for path in HERE.iterdir() if path.is_dir()):
    golden = load_file(folder / "golden.safetensors")
    for n, older in enumerate(json.loads((folder / "golden.json").read_text())["older"]):
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            config = json.loads((folder / "config.json").read_text())
            config.update(older)
            config = {key: value for key, value in config.items() if value is not None or key.endswith("_token_id")}
            (Path(copy) / "config.json").write_text(json.dumps(config))
            try:
                model = AutoModelForCausalLM.from_pretrained(copy, dtype=torch.float32, attn_implementation="eager").eval()
                with torch.no_grad():
                    worst = max(float((model(golden[f"ids.{r}"][None]).logits[0] - golden[f"logits.{r}"]).abs().max()) for r in range(2))
                print(f"{folder.name} {n}: {worst:.2e}")
            except Exception as error:
                print(f"{folder.name} {n}: {repr(error)[:150]}")
