"""Reference values by transformers and PEFT on the tiny models, and a check of what Ballast writes.

    pip install torch transformers==5.* peft
    python3 tests/golden/make_peft.py [NAME...]       # writes tests/golden/peft/NAME/
    python3 tests/golden/make_peft.py --targets       # writes tests/golden/peft/targets.json
    python3 tests/golden/make_peft.py --check FOLDER  # PEFT reads adapters and logits that
                                                      # BALLAST_PEFT_OUT=FOLDER cargo test --test adapter wrote

For each name: an adapter made and saved by PEFT (B random), and in reference.safetensors its logits, those of the base with
the adapter merged, the merged weights of layer 0, and the gradients of the first step. reference.json has five steps of
torch's AdamW on one window of rows of unequal length (loss = sum of cross-entropies / labels of the window, gradient norm
clipped at 1, cosine with one warm-up step), with every loss and norm; trained.safetensors is the adapter they end in.

targets.json: for each tiny model and each way to name linears, those of the language model that PEFT adapts.
"""

import copy
import json
import math
import os
import sys
import warnings

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IDS = [3, 17, 42, 5, 99, 120, 7, 7, 64, 200, 31]
# (ids, first label position)
ROWS = [([5, 9, 33, 71, 2, 8, 90], 3), ([100, 41, 41, 6, 77, 12, 13, 14, 15, 16, 2, 30], 5), ([60, 61, 62, 2], 2)]
STEPS, PEAK = 5, 1e-2
# What each adapter is beside rank 4, alpha 8. The last ones are read only: their pairs differ in strength.
ADAPTERS = {
    "llama": dict(target_modules=ALL),
    "qwen2": dict(target_modules=ALL, use_rslora=True),
    "phi3": dict(target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    "phi4-mini": dict(target_modules="all-linear", use_rslora=True),
    "glm4": dict(target_modules=r".*\.(q_proj|v_proj|gate_up_proj|down_proj)"),
    # Its vision tower has linears of these names too.
    "gemma3-vision": dict(target_modules=["q_proj", "v_proj", "down_proj"]),
    "mistral3-vision": dict(target_modules="all-linear"),
    "qwen2.5-vl": dict(target_modules=r"model\.language_model\..*_proj", task_type=None),
    "qwen3-vl": dict(target_modules=ALL, exclude_modules=r".*\.visual\..*", use_rslora=True),
    "phi3-patterns": dict(target_modules=["qkv_proj", "down_proj"], rank_pattern={"qkv_proj": 6, "layers.1.mlp.down_proj": 3},
                          alpha_pattern={"layers.0.self_attn.qkv_proj": 30}),
    "gemma3-vision-patterns": dict(target_modules=["o_proj", "up_proj"], layers_to_transform=[1],
                                   rank_pattern={"language_model.layers.1.self_attn.o_proj": 2}, alpha_pattern={"up_proj": 32}),
}


def folder_of(name):
    """Of the tiny model of a name: one of fixtures/tiny, or one of the families, which `family-` before it makes sure of."""
    kind = name.removesuffix("-patterns")
    tiny = f"fixtures/tiny/{kind}"
    return tiny if os.path.isdir(tiny) else f"tests/golden/families/{kind.removeprefix('family-')}"


def base(name):
    """The model, loaded as users load it."""
    wrapped = "text_config" in json.load(open(f"{folder_of(name)}/config.json"))
    kind = transformers.AutoModelForImageTextToText if wrapped else transformers.AutoModelForCausalLM
    return kind.from_pretrained(folder_of(name), dtype=torch.float32, attn_implementation="eager").eval()


def rate(step):
    warmup = 1
    if step < warmup:
        return PEAK * step / warmup
    return PEAK * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup)))


def logits(model, ids):
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def plain(name):
    return name.replace(".default", "")


def make(name):
    out = f"{HERE}/peft/{name}"
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(11)
    config = peft.LoraConfig(**{**dict(r=4, lora_alpha=8, lora_dropout=0.0, task_type="CAUSAL_LM"), **ADAPTERS[name]})
    model = peft.get_peft_model(base(name), config)
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for key, parameter in trained.items():
            if "lora_B" in key:
                parameter.normal_(0, 0.1)
    model.peft_config["default"].base_model_name_or_path = folder_of(name)
    model.save_pretrained(out)
    for extra in ["README.md"]:
        if os.path.exists(f"{out}/{extra}"):
            os.remove(f"{out}/{extra}")
    reference = {}
    with torch.no_grad():
        reference["logits"] = logits(model, IDS)
        merged = copy.deepcopy(model).merge_and_unload()
        reference["merged"] = logits(merged, IDS)
        adapted = {key.split(".lora_A")[0].removeprefix("base_model.model.") for key in trained}
        for key, module in merged.named_modules():
            if key in adapted and ".layers.0." in key and "vision" not in key:
                reference[f"merged.{key}"] = module.weight
    written = {"versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}, "ids": IDS}
    if not name.endswith("-patterns"):
        written |= {"rows": ROWS, "steps": train(model, trained, reference)}
        final = {plain(key): p.detach().clone().contiguous() for key, p in trained.items() if p.grad is not None}
        save_file(final, f"{out}/trained.safetensors")
    save_file({key: tensor.detach().contiguous().clone() for key, tensor in reference.items()}, f"{out}/reference.safetensors")
    with open(f"{out}/reference.json", "w") as file:
        json.dump(written, file)
        file.write("\n")
    print(name, "written:", [round(s["loss"], 4) for s in written.get("steps", [])])


def train(model, trained, reference):
    optimizer = torch.optim.AdamW(trained.values(), lr=PEAK, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    labels = sum(len(ids) - first for ids, first in ROWS)
    steps = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.zero_grad()
        total = 0.0
        for ids, first in ROWS:
            row = logits(model, ids)
            loss = torch.nn.functional.cross_entropy(row[first - 1 : -1], torch.tensor(ids[first:]), reduction="sum") / labels
            loss.backward()
            total += loss.item()
        if step == 0:
            # Parts that read images get none.
            reference |= {f"gradient.{plain(key)}": p.grad.clone() for key, p in trained.items() if p.grad is not None}
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), 1.0).item()
        optimizer.step()
        steps.append({"loss": total, "grad_norm": norm, "learning_rate": rate(step)})
    return steps


# Ways to name linears. The long one is Unsloth's for the language part of a vision model.
FORMS = [
    dict(target_modules=["q_proj", "v_proj"]),
    dict(target_modules=["qkv_proj"]),
    dict(target_modules=["gate_up_proj", "down_proj"]),
    dict(target_modules=ALL),
    dict(target_modules=[*ALL, "qkv_proj", "gate_up_proj"]),
    dict(target_modules="all-linear"),
    dict(target_modules="ALL-LINEAR"),
    dict(target_modules="qkv_proj"),
    dict(target_modules=r".*\.(qkv_proj|q_proj)"),
    dict(target_modules=r".*self_attn.*_proj"),
    dict(target_modules=r"model\.layers\.\d+\.mlp\..*_proj"),
    dict(target_modules=r"model\.language_model\..*\.mlp\..*_proj"),
    dict(target_modules=r"^(?!.*(vision|visual|multi_modal)).*(?:gate_up_proj|gate_proj|o_proj)$"),
    dict(target_modules=r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:k_proj|v_proj|q_proj|out_proj|fc1|"
                        r"fc2).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\.(?:(?:k_proj|v_proj|q_proj|"
                        r"qkv_proj|fc2)))"),
    dict(target_modules=["self_attn.qkv_proj", "self_attn.q_proj"]),
    dict(target_modules=["layers.1.mlp.down_proj"]),
    dict(target_modules=["model.layers.0.self_attn.o_proj", "model.language_model.layers.0.self_attn.o_proj", "down_proj"], layers_to_transform=1),
    dict(target_modules=["proj"]),
    dict(target_modules=["up_proj"]),
    dict(target_modules=["o_proj", "down_proj"], exclude_modules=["o_proj"]),
    dict(target_modules=["o_proj", "down_proj"], exclude_modules=r".*layers\.0\..*"),
    dict(target_modules="all-linear", exclude_modules=r".*mlp.*"),
    dict(target_modules=["o_proj"], layers_to_transform=[0]),
    dict(target_modules=["o_proj"], layers_to_transform=[1], layers_pattern="layers"),
    dict(target_modules=["o_proj"], layers_to_transform=1, layers_pattern=["h", "layers"]),
    dict(target_modules=["o_proj"], layers_to_transform=1, layers_pattern=["h"]),
]


def targets():
    found = {}
    for name in ["llama", "phi3", "glm4", "gemma3-vision", "mistral3-vision", "qwen2.5-vl", "qwen3-vl"]:
        model = base(name)
        found[name] = []
        for form in FORMS:
            try:
                adapted = peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(r=1, task_type="CAUSAL_LM", **form))
                linears = [key for key, module in adapted.base_model.model.named_modules() if isinstance(module, peft.tuners.lora.LoraLayer)]
                linears = sorted(key for key in linears if not any(part in key for part in ("vision", "visual", "multi_modal")))
            except ValueError as error:
                assert "not found" in str(error) or "No modules were targeted" in str(error), error
                linears = []
            found[name].append({"form": form, "linears": linears})
        print(name, [len(entry["linears"]) for entry in found[name]])
    with open(f"{HERE}/peft/targets.json", "w") as file:
        file.write("{\n" + ",\n".join(f' "{name}": [\n' + ",\n".join("  " + json.dumps(entry) for entry in entries) + "\n ]"
                                     for name, entries in found.items()) + "\n}\n")


def check(folder):
    """PEFT, a merge by PEFT, and transformers alone give the logits that were written beside each adapter."""
    for name in sorted(os.listdir(folder)):
        written = json.load(open(f"{folder}/{name}/logits.json"))
        wanted, stored = torch.tensor(written["logits"]), load_file(f"{folder}/{name}/adapter_model.safetensors")
        with warnings.catch_warnings(record=True) as said, torch.no_grad():
            warnings.simplefilter("always")
            model = peft.PeftModel.from_pretrained(base(name), f"{folder}/{name}").eval()
            pairs = {plain(key) for key in model.state_dict() if "lora_" in key}
            by_peft = logits(model, written["ids"])
            merged = logits(model.merge_and_unload(), written["ids"])
            own = base(name)
            own.load_adapter(f"{folder}/{name}")
            by_transformers = logits(own, written["ids"])
            without = logits(base(name), written["ids"])
        differences = [(found - wanted).abs().max().item() for found in (by_peft, merged, by_transformers)]
        acts, size = (by_peft - without).abs().max().item(), wanted.abs().max().item()
        print(f"{name}: PEFT {differences[0]:.1e}, merged {differences[1]:.1e}, transformers {differences[2]:.1e} from Ballast's logits of up to "
              f"{size:.1f}, which the adapter changes by {acts:.1e}; {len(pairs)} tensors")
        missing = [str(warning.message)[:200] for warning in said if "adapter" in str(warning.message)]
        assert not missing and pairs == set(stored), (missing, pairs ^ set(stored))
        assert max(differences) < 1e-4 * max(size, 1.0) and acts > 1e-3


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    given = [os.path.abspath(argument) for argument in sys.argv[2:3]]
    os.chdir(ROOT)
    if sys.argv[1:2] == ["--check"]:
        check(*given)
    elif sys.argv[1:] == ["--targets"]:
        targets()
    else:
        for name in sys.argv[1:] or ADAPTERS:
            make(name)
