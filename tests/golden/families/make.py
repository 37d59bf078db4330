#!/usr/bin/env python3
"""Makes tiny random models of every family and what transformers computes with them: one folder per model beside this file.

    pip install torch transformers==5.* safetensors
    python make.py [NAME...]

A folder holds config.json and model.safetensors as transformers 5 saves them (f16, computed in f32 from those values), and

  golden.safetensors  ids.N: tokens of row N; logits.N: [tokens, vocabulary] of the base; adapted.N: through the adapter;
                      <site>.A, <site>.B: an adapter of scale 2; <site>.dA, <site>.dB: gradients of the summed cross-entropy
                      of all rows through it; greedy: what the base answers to row 0, 200 tokens, each the most probable
  golden.json         loss: that sum; older: other spellings of config.json that mean the same model

The low-rank updates are added by hooks, so that a linear which a family holds as one of several (qkv_proj, gate_up_proj) has
the updates of its parts side by side. `older` is written by hand in the spelling of transformers 4: `older.py` checks it
against that version.
"""

import json
import math
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

HERE = Path(__file__).parent
ROWS = [[72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100, 33, 32, 72, 111, 119, 32, 97, 114, 101, 63], [257, 5, 77, 200, 31, 9, 9, 258, 64]]
RANK, SCALE, GREEDY = 2, 2.0, 200
BASE = dict(vocab_size=259, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=512, rms_norm_eps=1e-5, initializer_range=0.2, bos_token_id=None, eos_token_id=None,
            pad_token_id=None)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=4.0, beta_slow=1.0)
# Blended pairs: 0, 0, 0.5, 1.
YARN_BLENDED = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=512, beta_fast=8.0, beta_slow=1.0)
SLIDE = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
VISION = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)

MODELS = {
    "llama": dict(model_type="llama", rope_theta=5e5, tie_word_embeddings=True),
    "llama3-rope": dict(model_type="llama", rope_parameters=dict(LLAMA3, rope_theta=5e5), attention_bias=True, mlp_bias=True),
    "qwen2": dict(model_type="qwen2", rope_theta=1e6),
    "qwen2-yarn-sliding": dict(model_type="qwen2", rope_parameters=dict(YARN_BLENDED, rope_theta=1e3), use_sliding_window=True, sliding_window=6,
                               max_window_layers=1),
    "qwen3": dict(model_type="qwen3", rope_theta=1e6, head_dim=16, tie_word_embeddings=True),
    "mistral": dict(model_type="mistral", rope_theta=1e4, head_dim=16, sliding_window=7),
    "ministral3": dict(model_type="ministral3", head_dim=16, rope_parameters=dict(
        YARN, rope_theta=1e6, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1)),
    "smollm3": dict(model_type="smollm3", num_hidden_layers=4, rope_theta=5e6, tie_word_embeddings=True),
    "gemma2": dict(model_type="gemma2", head_dim=16, query_pre_attn_scalar=24, sliding_window=6, attn_logit_softcapping=5.0,
                   final_logit_softcapping=3.0),
    "gemma3": dict(model_type="gemma3_text", head_dim=16, query_pre_attn_scalar=24, sliding_window=6, num_hidden_layers=3,
                   layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                   rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6),
                                        sliding_attention=dict(rope_type="default", rope_theta=1e4))),
    "granite": dict(model_type="granite", embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.15, logits_scaling=4.0,
                    tie_word_embeddings=True),
    "phi3": dict(model_type="phi3", rope_theta=1e4, sliding_window=9, pad_token_id=0),
    "phi4-mini": dict(model_type="phi3", num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True, pad_token_id=0,
                      original_max_position_embeddings=256, partial_rotary_factor=0.75,
                      rope_parameters=dict(rope_type="longrope", rope_theta=1e4, partial_rotary_factor=0.75,
                                           short_factor=[1.0, 1.1, 1.3, 1.6, 2.0, 3.0], long_factor=[1.0, 2.0, 4.0, 8.0, 16.0, 32.0])),
    "olmo2": dict(model_type="olmo2", rope_theta=5e5),
    "olmo3": dict(model_type="olmo3", num_hidden_layers=4, sliding_window=6, layer_types=SLIDE,
                  rope_parameters=dict(full_attention=dict(YARN, rope_theta=5e5),
                                       sliding_attention=dict(rope_type="default", rope_theta=5e5))),
    "glm4": dict(model_type="glm4", head_dim=16, pad_token_id=0),
    "hunyuan": dict(model_type="hunyuan_v1_dense", head_dim=16, pad_token_id=0,
                    rope_parameters=dict(rope_type="dynamic", rope_theta=1e4, alpha=1000.0, factor=1.0)),
    "seed-oss": dict(model_type="seed_oss", head_dim=16, attention_out_bias=True),
    "mistral3-vision": dict(wrapper="mistral3", model_type="mistral", head_dim=16, sliding_window=None, tie_word_embeddings=False),
    "gemma3-vision": dict(wrapper="gemma3", model_type="gemma3_text", head_dim=16, query_pre_attn_scalar=24, sliding_window=6),
    "qwen2.5-vl": dict(wrapper="qwen2_5_vl", model_type="qwen2_5_vl_text", rope_parameters=dict(
        rope_type="default", rope_theta=1e6, mrope_section=[1, 1, 2])),
    "qwen3-vl": dict(wrapper="qwen3_vl", model_type="qwen3_vl_text", head_dim=16, rope_parameters=dict(
        rope_type="default", rope_theta=1e6, mrope_section=[4, 2, 2], mrope_interleaved=True)),
}
VISIONS = {
    "mistral3": dict(model_type="pixtral", head_dim=8, **VISION),
    "gemma3": dict(model_type="siglip_vision_model", **VISION),
    "qwen2_5_vl": dict(hidden_size=16, intermediate_size=16, depth=1, num_heads=2, patch_size=4, out_hidden_size=32, fullatt_block_indexes=[0]),
    "qwen3_vl": dict(hidden_size=16, intermediate_size=16, depth=1, num_heads=2, patch_size=4, out_hidden_size=32,
                     num_position_embeddings=16, deepstack_visual_indexes=[0]),
}
# Spellings of transformers 4: keys that change, None where one is not there.
OLDER = {
    "llama": [dict(rope_parameters=None, dtype=None, torch_dtype="float16", rope_theta=5e5, rope_scaling=None)],
    "llama3-rope": [
        dict(rope_parameters=None, rope_theta=5e5, rope_scaling=LLAMA3),
        dict(rope_parameters=None, rope_theta=5e5, rope_scaling={**LLAMA3, "type": "llama3"}),
        dict(rope_parameters=None, rope_theta=5e5, rope_scaling={("type" if k == "rope_type" else k): v for k, v in LLAMA3.items()})],
    "qwen2": [dict(rope_parameters=None, rope_theta=1e6)],
    "qwen2-yarn-sliding": [dict(rope_parameters=None, rope_theta=1e3, layer_types=None,
                                rope_scaling={("type" if k == "rope_type" else k): v for k, v in YARN_BLENDED.items()})],
    "gemma3": [dict(rope_parameters=None, rope_theta=1e6, rope_local_base_freq=1e4, rope_scaling=dict(rope_type="linear", factor=8.0),
                    layer_types=None, sliding_window_pattern=3)],
    "phi4-mini": [dict(rope_parameters=None, rope_theta=1e4, rope_scaling=dict(
        type="longrope", short_factor=[1.0, 1.1, 1.3, 1.6, 2.0, 3.0], long_factor=[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]))],
    "olmo3": [dict(rope_parameters=None, rope_theta=5e5, rope_scaling=YARN)],
    "hunyuan": [dict(rope_parameters=None, rope_theta=1e4, rope_scaling=dict(
        type="dynamic", alpha=1000.0, factor=1.0, beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=1.0))],
    "smollm3": [dict(rope_parameters=None, rope_theta=5e6)],
    "granite": [dict(rope_parameters=None, rope_theta=1e4)],
}
JOINT = {"qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}


def build(name, wanted):
    torch.manual_seed(sum(map(ord, name)))
    wanted = {**BASE, **wanted}
    wrapper = wanted.pop("wrapper", None)
    if wrapper:
        tied = dict(tie_word_embeddings=wanted["tie_word_embeddings"]) if "tie_word_embeddings" in wanted else {}
        config = AutoConfig.for_model(wrapper, text_config=wanted, vision_config=VISIONS[wrapper], **tied)
        model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager", dtype=torch.float32)
    else:
        config = AutoConfig.for_model(wanted.pop("model_type"), **wanted)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "norm" in key and parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif key.endswith(".bias"):
                parameter.copy_(0.2 * torch.randn_like(parameter))
            parameter.copy_(parameter.half().float())
    model.tie_weights()
    return model.eval()


def language_layers(model):
    for key, module in model.named_modules():
        if key.endswith("layers") and not any(part in key for part in ("vision", "visual")):
            return module
    raise LookupError("no layers")


def adapters(layers, tensors):
    """Hooks that add SCALE * B A x to each linear of the language model's layers."""
    hooks = []
    for index, layer in enumerate(layers):
        for key, module in layer.named_modules():
            if not isinstance(module, torch.nn.Linear):
                continue
            path, _, own = key.rpartition(".")
            parts = JOINT.get(own, [own])
            widths = [module.out_features // len(parts)] * len(parts)
            if own == "qkv_proj":
                kv = layer.self_attn.num_key_value_heads * layer.self_attn.head_dim
                widths = [module.out_features - 2 * kv, kv, kv]
            pairs = []
            for part, width in zip(parts, widths, strict=True):
                site = f"layers.{index}.{path}.{part}"
                a = (torch.randn(RANK, module.in_features) / math.sqrt(module.in_features)).requires_grad_()
                b = (0.3 * torch.randn(width, RANK)).requires_grad_()
                tensors[f"{site}.A"], tensors[f"{site}.B"] = a, b
                pairs.append((a, b))
            hooks.append(module.register_forward_hook(
                lambda _, x, y, pairs=pairs: y + SCALE * torch.cat([x[0] @ a.T @ b.T for a, b in pairs], -1)))
    return hooks


def logits(model, row):
    return model(input_ids=torch.tensor([row]), use_cache=False).logits[0]


def make(name):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model = build(name, dict(MODELS[name]))
    out, pairs = {}, {}
    with torch.no_grad():
        for n, row in enumerate(ROWS):
            out[f"ids.{n}"] = torch.tensor(row, dtype=torch.int64)
            out[f"logits.{n}"] = logits(model, row)
        said = list(ROWS[0])
        for _ in range(GREEDY):
            said.append(int(logits(model, said)[-1].argmax()))
        out["greedy"] = torch.tensor(said[len(ROWS[0]):], dtype=torch.int64)
    for hook in (hooks := adapters(language_layers(model), pairs)):
        assert hook
    loss = 0.0
    for n, row in enumerate(ROWS):
        through = logits(model, row)
        out[f"adapted.{n}"] = through.detach()
        loss = loss + torch.nn.functional.cross_entropy(through[:-1], torch.tensor(row[1:]), reduction="sum")
    loss.backward()
    for hook in hooks:
        hook.remove()
    for key, tensor in pairs.items():
        out[key] = tensor.detach()
        site, half = key.rsplit(".", 1)
        out[f"{site}.d{half}"] = tensor.grad
    save_file({key: tensor.contiguous() for key, tensor in out.items()}, folder / "golden.safetensors")
    model.half().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "golden.json").write_text(json.dumps(dict(loss=float(loss), older=OLDER.get(name, [])), indent=1) + "\n")
    print(name, float(loss), sum(f.stat().st_size for f in folder.iterdir()) // 1024, "KiB")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    for name in sys.argv[1:] or MODELS:
        try:
            make(name)
        except Exception as error:
            if sys.argv[1:]:
                raise
            print(name, "FAILED", repr(error)[:300])
