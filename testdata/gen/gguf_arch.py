#!/usr/bin/env python3
"""GGUF files of llama.cpp's architectures, from the checkpoints of ../families, with gguf-py (pip install gguf safetensors numpy):

    gguf_arch.py OUT [ARCH...]

Names of tensors are gguf-py's; metadata and changes of layout are those of convert_hf_to_gguf.py. Matrices BF16, the rest F32, no tokenizer."""
import json, os, sys
import numpy as np, gguf
from safetensors import safe_open

here = os.path.dirname(os.path.abspath(__file__))
A = gguf.MODEL_ARCH
ARCHS = {"olmo": A.OLMO, "olmoe": A.OLMOE, "stablelm": A.STABLELM, "gpt_neox": A.GPTNEOX, "gpt2": A.GPT2, "exaone4": A.EXAONE4,
         "glm4": A.GLM4, "glm": A.CHATGLM, "granitemoe": A.GRANITE_MOE, "bloom": A.BLOOM, "gpt_oss": A.GPT_OSS,
         "arcee": A.ARCEE, "nemotron": A.NEMOTRON, "ernie4_5": A.ERNIE4_5, "hunyuan_v1_dense": A.HUNYUAN_DENSE, "seed_oss": A.SEED_OSS, "gpt_bigcode": A.STARCODER, "dots1": A.DOTS1, "glm4_moe": A.GLM4_MOE,
         "olmo3": A.OLMO2, "deepseek_v2": A.DEEPSEEK2, "deepseek_v3": A.DEEPSEEK2,
         "qwen3-embedding": A.QWEN3, "gemma3-embedding": A.GEMMA_EMBEDDING,
         "bert-sentence": A.BERT, "distilbert": A.BERT, "nomic_bert-embedding": A.NOMIC_BERT, "modernbert": A.MODERN_BERT,
         # those that were read before
         "qwen2": A.QWEN2, "qwen3": A.QWEN3, "gemma": A.GEMMA, "gemma2": A.GEMMA2, "gemma3": A.GEMMA3, "phi3": A.PHI3, "olmo2": A.OLMO2, "granite": A.GRANITE,
         "smollm3": A.SMOLLM3, "phi": A.PHI2, "starcoder2": A.STARCODER2, "cohere": A.COMMAND_R, "cohere2": A.COHERE2, "mixtral": A.LLAMA, "qwen3_moe": A.QWEN3MOE}
ENCODERS = {"bert-sentence", "distilbert", "nomic_bert-embedding", "modernbert"}
PERMUTED = {"arcee", "olmo", "granite", "granitemoe", "smollm3", "mixtral"}


def load(path):
    from torch import float32
    with safe_open(path, "pt") as f:
        return {k: f.get_tensor(k).to(float32).numpy() for k in f.keys()}


def permute(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def make(name, out):
    d = os.path.join(here, "../families", name)
    c = json.load(open(d + "/legacy.json" if os.path.exists(d + "/legacy.json") else d + "/config.json"))
    t = load(d + "/model.safetensors")
    if name == "phi":  # the file has no norms of heads: the checkpoint without them lies beside it
        from safetensors.numpy import save_file
        t = {k: x for k, x in t.items() if "_layernorm.norms" not in k and not k.split(".")[-2] in ("q_layernorm", "k_layernorm")}
        save_file({k: np.ascontiguousarray(x) for k, x in t.items()}, out.removesuffix(".gguf") + ".safetensors")
    get = lambda *keys, default=None: next((c[k] for k in keys if c.get(k) is not None), default)
    layers, hidden, heads = get("num_hidden_layers", "n_layer", "n_layers"), get("hidden_size", "n_embd", "dim"), get("num_attention_heads", "n_head", "n_heads")
    mla = get("kv_lora_rank")
    if name == "gpt_bigcode" and c["multi_query"]: c["num_key_value_heads"] = 1
    if mla: c["num_key_value_heads"] = 1
    if name == "hunyuan_v1_dense":  # the file has the stretched base
        c["rope_theta"] *= c["rope_scaling"]["alpha"] ** (c["head_dim"] / (c["head_dim"] - 2)); c["rope_scaling"] = None
    kv, positions = get("num_key_value_heads", default=heads), get("max_position_embeddings", "n_positions", "seq_length", default=2048)
    dim = get("head_dim", default=hidden // heads)
    arch = ARCHS[name]
    w = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[arch])
    w.add_block_count(layers); w.add_context_length(positions); w.add_embedding_length(hidden); w.add_head_count(heads); w.add_head_count_kv(kv); w.add_name(name)
    w.add_vocab_size(get("vocab_size"))
    w.add_feed_forward_length(get("intermediate_size", "n_inner", "hidden_dim", default=4 * hidden))
    if get("head_dim") and not mla: w.add_key_length(dim); w.add_value_length(dim)
    if get("rms_norm_eps"): w.add_layer_norm_rms_eps(get("rms_norm_eps"))
    elif name == "distilbert": w.add_layer_norm_eps(1e-12)
    elif name != "olmo": w.add_layer_norm_eps(get("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"))
    else: w.add_layer_norm_eps(1e-5)
    if get("rope_theta") and name != "gemma3-embedding": w.add_rope_freq_base(get("rope_theta"))
    if get("partial_rotary_factor"): w.add_rope_dimension_count(int(get("partial_rotary_factor") * dim))
    if get("clip_qkv"): w.add_clamp_kqv(get("clip_qkv"))
    if "use_parallel_residual" in c: w.add_parallel_residual(c["use_parallel_residual"])
    if mla:
        w.add_kv_lora_rank(mla); w.add_key_length(mla + c["qk_rope_head_dim"]); w.add_value_length(mla); w.add_key_length_mla(c["qk_nope_head_dim"] + c["qk_rope_head_dim"]); w.add_value_length_mla(c["v_head_dim"])
        w.add_rope_dimension_count(c["qk_rope_head_dim"])
        if get("q_lora_rank"): w.add_q_lora_rank(get("q_lora_rank"))
    if get("n_routed_experts"):
        w.add_expert_shared_count(get("n_shared_experts", default=0)); w.add_leading_dense_block_count(get("first_k_dense_replace", default=0)); w.add_expert_weights_scale(get("routed_scaling_factor", default=1.0))
        if c.get("norm_topk_prob"): w.add_expert_weights_norm(True)
        if get("n_group", default=1) > 1: w.add_expert_group_count(c["n_group"]); w.add_expert_group_used_count(c["topk_group"])
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SOFTMAX if name == "deepseek_v2" else gguf.ExpertGatingFuncType.SIGMOID)
    if name == "qwen3-embedding": w.add_pooling_type(gguf.PoolingType.LAST)
    if name == "gemma3-embedding": w.add_rope_freq_base(c["rope_parameters"]["full_attention"]["rope_theta"]); w.add_pooling_type(gguf.PoolingType.MEAN); w.add_sliding_window(get("sliding_window")); w.add_rope_freq_base_swa(c["rope_parameters"]["sliding_attention"]["rope_theta"])
    if name in ENCODERS: w.add_causal_attention(False); w.add_pooling_type(gguf.PoolingType.MEAN)
    if name == "modernbert":
        p = c.get("rope_parameters") or {"full_attention": {"rope_theta": c["global_rope_theta"]}, "sliding_attention": {"rope_theta": c["local_rope_theta"]}}
        w.add_rope_freq_base(p["full_attention"]["rope_theta"]); w.add_rope_freq_base_swa(p["sliding_attention"]["rope_theta"]); w.add_sliding_window(c["local_attention"])
        w.add_sliding_window_pattern(get("global_attn_every_n_layers", default=3)); w.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    if name == "nomic_bert-embedding": w.add_rope_freq_base(c["rope_parameters"]["rope_theta"])
    experts = get("num_local_experts", "num_experts", "n_routed_experts")
    if experts: w.add_expert_count(experts); w.add_expert_used_count(get("num_experts_per_tok"))
    if get("moe_intermediate_size"): w.add_expert_feed_forward_length(get("moe_intermediate_size"))
    if get("shared_expert_intermediate_size"): w.add_expert_shared_feed_forward_length(get("shared_expert_intermediate_size"))
    if name == "gpt_oss": w.add_expert_feed_forward_length(get("intermediate_size"))
    window = get("sliding_window")
    if window and c.get("use_sliding_window", True) and name in ("exaone4", "olmo3", "gpt_oss", "gemma2", "gemma3", "cohere2", "phi3", "starcoder2"): w.add_sliding_window(window)
    if window and name in ("exaone4", "olmo3"): w.add_sliding_window_pattern([x == "sliding_attention" for x in c["layer_types"]])
    if name == "gemma3":
        w.add_rope_freq_base_swa(get("rope_local_base_freq", default=10000.0))
        if get("sliding_window_pattern"): w.add_uint32("gemma3.attention.sliding_window_pattern", get("sliding_window_pattern"))
    s = get("rope_scaling")
    if s and mla and s.get("mscale_all_dim"): w.add_rope_scaling_yarn_log_mul(0.1 * s["mscale_all_dim"])
    if s and s.get("type") == "yarn":
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN); w.add_rope_scaling_factor(s["factor"]); w.add_rope_scaling_orig_ctx_len(s["original_max_position_embeddings"])
    if get("embedding_multiplier"):
        w.add_embedding_scale(get("embedding_multiplier")); w.add_residual_scale(get("residual_multiplier")); w.add_attention_scale(get("attention_multiplier")); w.add_logit_scale(get("logits_scaling"))
    if get("logit_scale"): w.add_logit_scale(get("logit_scale"))
    if get("attn_logit_softcapping"): w.add_attn_logit_softcapping(get("attn_logit_softcapping"))
    if get("final_logit_softcapping"): w.add_final_logit_softcapping(get("final_logit_softcapping"))

    names = gguf.get_tensor_name_map(arch, layers)
    def add(to, x):
        x = np.ascontiguousarray(x, dtype=np.float32)
        if x.ndim > 1 and to.endswith(".weight") and "ffn_gate_inp" not in to:
            w.add_tensor(to, gguf.quants.quantize(x, gguf.GGMLQuantizationType.BF16), raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            w.add_tensor(to, x)
    def put(key, x):
        to = names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert to, (name, key)
        add(to, x)
    stacks = {}
    for key in sorted(t):
        x = t[key]
        if key.endswith((".attn.bias", ".masked_bias", "rotary_emb.inv_freq")): continue
        if name in ENCODERS:
            for begin in ("distilbert.", "nomic_bert.", "bert.") + (("model.",) if name == "modernbert" else ()): key = key.removeprefix(begin)
            if key.startswith(("pooler.", "vocab_", "head.", "classifier", "cls.")): continue
        if name.endswith("3-embedding") and not key.startswith("model."): key = "model." + key
        if key.endswith("kv_b_proj.weight"):
            n = heads; x = x.reshape(n, -1, x.shape[-1]); k = c["qk_nope_head_dim"]
            add(f"blk.{key.split('.')[2]}.attn_k_b.weight", x[:, :k].swapaxes(1, 2)); add(f"blk.{key.split('.')[2]}.attn_v_b.weight", x[:, k:])
            continue
        if key.endswith("e_score_correction_bias"): add(f"blk.{key.split('.')[2]}.exp_probs_b.bias", x); continue
        if get("tie_word_embeddings") and key == "lm_head.weight": continue
        if name == "gpt2":
            key = key if key.startswith("transformer.") or key.startswith("lm_head") else "transformer." + key
            if key.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")): x = x.T
        if name == "bloom": key = key.removeprefix("transformer.")
        if name in PERMUTED and key.endswith(("q_proj.weight", "q_proj.bias")): x = permute(x, heads)
        if name in PERMUTED and key.endswith(("k_proj.weight", "k_proj.bias")): x = permute(x, kv)
        if name in ("gemma", "gemma2", "gemma3", "gemma3-embedding", "nemotron") and key.endswith("norm.weight"): x = x + 1
        if name == "gpt_bigcode": key = key if key.startswith(("transformer.", "lm_head")) else "transformer." + key
        if "query_key_value" in key:
            x = x.reshape(heads, 3, dim, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)
        part = key.split(".")
        if "layernorm.norms." in key:  # stablelm: one a head
            stacks.setdefault(key.split(".norms.")[0] + ".weight", {})[int(part[-2])] = x
            continue
        if "experts" in part and part[part.index("experts") + 1].isdigit():
            i = part.index("experts")
            stacks.setdefault(".".join(part[:i + 1] + part[i + 2:]), {})[int(part[i + 1])] = x
            continue
        at = f"blk.{part[2]}." if len(part) > 2 else ""
        if key.endswith("experts.gate_up_proj"):
            x = x.swapaxes(1, 2); add(at + "ffn_gate_exps.weight", x[:, 0::2]); add(at + "ffn_up_exps.weight", x[:, 1::2])
        elif key.endswith("experts.gate_up_proj_bias"):
            add(at + "ffn_gate_exps.bias", x[:, 0::2]); add(at + "ffn_up_exps.bias", x[:, 1::2])
        elif key.endswith("experts.down_proj"): add(at + "ffn_down_exps.weight", x.swapaxes(1, 2))
        elif key.endswith("experts.down_proj_bias"): add(at + "ffn_down_exps.bias", x)
        elif key.endswith("self_attn.sinks"): add(at + "attn_sinks.weight", x)
        elif key.endswith("input_linear.weight"):
            f = x.shape[1] // 2; add(at + "ffn_gate_exps.weight", x[:, :f]); add(at + "ffn_up_exps.weight", x[:, f:])
        else: put(key, x)
    for key, m in stacks.items(): put(key, np.stack([m[i] for i in range(len(m))]))
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for n in sys.argv[2:] or ARCHS:
        try: make(n, os.path.join(sys.argv[1], n + ".gguf"))
        except Exception as e: print(n, type(e).__name__, e)
