"""Checkpoints as families.py makes them, each with one key of its config off the value there: what a key means is right, or the key is refused by name.

    python keys.py OUT [NAME ...]       makes OUT/NAME.KEY.VALUE for each key, and skips those that the library refuses

Then `go run ./bench/families --scheme f32 OUT/*` compares each with the library; a note "unsupported config: ..: KEY" is a refusal.
"""
import json, math, os, shutil, sys

import torch, transformers

import families

SKIP = set("""transformers_version architectures dtype torch_dtype model_type id2label label2id return_dict is_encoder_decoder use_cache chunk_size_feed_forward problem_type vocab_size
    use_mems tie_encoder_decoder layer_types rope_parameters output_router_logits is_decoder add_cross_attention cross_attention_hidden_size router_aux_loss_coef num_labels
    pretraining_tp ep_size num_mtp_layers attention_layers max_position_embeddings n_positions""".split())
UNSET = dict(head_dim=16, sliding_window=8, n_inner=48, num_key_value_heads=1, clip_qkv=1.1, q_lora_rank=18, attn_logit_softcapping=5.0, final_logit_softcapping=6.0, rotary_dim=6,
             intermediate_size=48, num_kv_heads=2, logits_soft_cap=5.0)
ACTS = ("gelu", "silu", "relu", "gelu_pytorch_tanh", "mish", "leaky_relu", "tanh")
WORDS = dict(classifier_pooling=("cls", "mean"), topk_method=("greedy", "group_limited_greedy"), position_embedding_type=("relative_key",))


def others(key, v):
    """Values to try in turn; the first that the library takes counts, of words and activations each."""
    if isinstance(v, bool):
        return [[not v]]
    if isinstance(v, int):
        return [[v + 1], [v * 2, max(v // 2, 1)]]
    if isinstance(v, float):
        return [[v * 1.5 if v else 0.5], [v / 4 if v else 0.1]]
    if v is None:
        return [[UNSET[key]]] if key in UNSET else []
    if isinstance(v, str):
        return [[w] for w in (ACTS if "act" in key else WORDS.get(key, ())) if w != v]
    return []


def main():
    out, names = sys.argv[1], sys.argv[2:] or [*families.FAMILIES, *families.ENCODERS]
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    os.makedirs(out, exist_ok=True)
    for name in names:
        decoder = name in families.FAMILIES
        all = families.FAMILIES if decoder else families.ENCODERS
        kind, *arch, config = all[name]
        keys = json.loads(transformers.AutoConfig.for_model(kind, **config).to_json_string(use_diff=False))
        for key, v in keys.items():
            if key in SKIP or key.startswith(("_", "output_", "initializer", "summary", "init_")) or key.endswith(("_token_id", "dropout", "_pdrop", "_prob", "_range", "_std")):
                continue
            for values in others(key, v):
                for w in values:
                    variant = f"{name}.{key}.{w}"
                    folder = os.path.join(out, variant)
                    if os.path.exists(os.path.join(folder, "goldens.safetensors")):
                        break
                    all[variant] = (kind, *arch, {**config, key: w})
                    try:
                        (families.make if decoder else families.encoder)(folder, variant)
                        break
                    except Exception as e:
                        shutil.rmtree(folder, ignore_errors=True)
                        print(f"{variant}: {type(e).__name__}: {str(e)[:100]!r}", flush=True)
        print(name, flush=True)


main()
