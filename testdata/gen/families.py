"""Tiny random checkpoints of language model families with the reference library's results, for convert/hf.

    python families.py OUT [NAME ...]       makes OUT/NAME for each family

Each folder has config.json as transformers writes it, legacy.json as files of transformers 4 spell it where that
differs, model.safetensors (bfloat16) and goldens.safetensors: pI.input_ids, pI.logits and pI.hidden.N, pI.hidden.final of two prompts, computed
in float64 on the stored weights with eager attention (Falcon's ALiBi: SDPA). Encoders have token_type_ids, last_hidden_state, pooler_output, logits or
sentence_embedding where the model has them, and a padded batch (batch.input_ids, batch.attention_mask, ..). Needs torch, transformers 5.24, safetensors, numpy.
"""
import json, math, os, sys

import torch, transformers
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
IDS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
BASE = dict(vocab_size=90, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, **IDS)
RMS = dict(BASE, rms_norm_eps=0.01)
LN = dict(BASE, layer_norm_eps=0.01)
GPT = dict(vocab_size=90, n_positions=64, n_embd=40, n_layer=2, n_head=4, layer_norm_epsilon=0.01, **IDS)
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24)
MLA = dict(RMS, num_attention_heads=5, num_key_value_heads=5, kv_lora_rank=20, qk_rope_head_dim=6, qk_nope_head_dim=10, v_head_dim=14, moe_intermediate_size=24, n_routed_experts=8, num_experts_per_tok=3)
FOUR = ["sliding_attention", "full_attention"] * 2


def rope(kind="default", theta=10000.0, **kw):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **kw}}


VISION3 = dict(depth=1, hidden_size=8, num_heads=2, intermediate_size=8, out_hidden_size=40, patch_size=2, temporal_patch_size=1, spatial_merge_size=1, num_position_embeddings=4, deepstack_visual_indexes=[0])
YARN = rope("yarn", 150.0, factor=4.0, original_max_position_embeddings=512)
FAMILIES = {  # name: (model_type, config)
    "llama-yarn": ("llama", dict(RMS, head_dim=16, max_position_embeddings=2048, attention_bias=True, mlp_bias=True, **YARN)),
    "llama-longrope": ("llama", dict(RMS, **rope("longrope", factor=4.0, original_max_position_embeddings=16, short_factor=[1.0, 1.1, 1.2, 1.3, 1.4], long_factor=[1.5, 2.0, 3.0, 4.0, 5.0]))),
    "mistral": ("mistral", dict(RMS, sliding_window=8)),
    "mixtral": ("mixtral", dict(RMS, num_local_experts=4, num_experts_per_tok=2, intermediate_size=24)),
    "qwen2": ("qwen2", dict(RMS, use_sliding_window=True, sliding_window=8, max_window_layers=1, tie_word_embeddings=True)),
    "qwen2_moe": ("qwen2_moe", dict(RMS, shared_expert_intermediate_size=32, decoder_sparse_step=1, mlp_only_layers=[0], **MOE)),
    "qwen3": ("qwen3", dict(RMS, head_dim=12, attention_bias=True)),
    "qwen3_moe": ("qwen3_moe", dict(RMS, head_dim=12, norm_topk_prob=True, **MOE)),
    "gemma": ("gemma", dict(RMS, head_dim=12)),
    "gemma2": ("gemma2", dict(RMS, head_dim=12, query_pre_attn_scalar=23, sliding_window=8, attn_logit_softcapping=5.0, final_logit_softcapping=6.0)),
    "gemma3": ("gemma3_text", dict(RMS, head_dim=12, query_pre_attn_scalar=20, sliding_window=8, layer_types=["sliding_attention", "full_attention"])),
    "phi": ("phi", dict(LN, qk_layernorm=True, **rope(partial_rotary_factor=0.4))),
    "phi3": ("phi3", dict(RMS, sliding_window=8, original_max_position_embeddings=64)),
    "gpt2": ("gpt2", dict(GPT, scale_attn_by_inverse_layer_idx=True)),
    "gptj": ("gptj", dict(GPT, rotary_dim=4)),
    "gpt_neox": ("gpt_neox", dict({k: v for k, v in LN.items() if k != "num_key_value_heads"}, **rope(partial_rotary_factor=0.4))),
    "opt": ("opt", dict(vocab_size=90, hidden_size=40, ffn_dim=56, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64, word_embed_proj_dim=24, do_layer_norm_before=False, bos_token_id=2, eos_token_id=2, pad_token_id=1)),
    "opt-pre": ("opt", dict(vocab_size=90, hidden_size=40, ffn_dim=56, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64, word_embed_proj_dim=40, bos_token_id=2, eos_token_id=2, pad_token_id=1)),
    "bloom": ("bloom", dict(vocab_size=90, hidden_size=48, n_layer=2, n_head=6, layer_norm_epsilon=0.01, **IDS)),
    "falcon-7b": ("falcon", dict(vocab_size=90, hidden_size=40, num_hidden_layers=2, num_attention_heads=4, ffn_hidden_size=72, layer_norm_epsilon=0.01, **IDS)),
    "falcon-40b": ("falcon", dict(vocab_size=90, hidden_size=40, num_hidden_layers=2, num_attention_heads=4, num_kv_heads=2, ffn_hidden_size=72, layer_norm_epsilon=0.01, new_decoder_architecture=True, **IDS)),
    "falcon-rw": ("falcon", dict(vocab_size=90, hidden_size=40, num_hidden_layers=2, num_attention_heads=5, ffn_hidden_size=72, layer_norm_epsilon=0.01, alibi=True, multi_query=False, parallel_attn=False, bias=True, **IDS)),
    "stablelm": ("stablelm", dict(LN, qk_layernorm=True, use_qkv_bias=True, **rope(partial_rotary_factor=0.4))),
    "starcoder2": ("starcoder2", dict(BASE, norm_epsilon=0.01, sliding_window=8)),
    "granite": ("granite", dict(RMS, embedding_multiplier=3.0, logits_scaling=2.5, residual_multiplier=0.4, attention_multiplier=0.2)),
    "granitemoe": ("granitemoe", dict(RMS, num_local_experts=4, num_experts_per_tok=2, intermediate_size=24, embedding_multiplier=3.0, logits_scaling=2.5, residual_multiplier=0.4, attention_multiplier=0.2)),
    "olmo": ("olmo", dict(BASE, clip_qkv=1.1)),
    "olmo2": ("olmo2", dict(RMS)),
    "olmoe": ("olmoe", dict(RMS, num_experts=4, num_experts_per_tok=2, intermediate_size=24)),
    "cohere": ("cohere", dict(LN, use_qk_norm=True, logit_scale=0.3)),
    "cohere2": ("cohere2", dict(LN, sliding_window=8, logit_scale=0.3, layer_types=["sliding_attention", "full_attention"])),
    "smollm3": ("smollm3", dict(RMS, no_rope_layers=[1, 0])),
    "glm": ("glm", dict(RMS, head_dim=12, attention_bias=True, **rope(partial_rotary_factor=0.5))),
    "glm4": ("glm4", dict(RMS, head_dim=12, **rope(partial_rotary_factor=0.5))),
    "exaone4": ("exaone4", dict(RMS, sliding_window=8, layer_types=["sliding_attention", "full_attention"])),
    "deepseek_v2": ("deepseek_v2", dict(MLA, num_hidden_layers=3, q_lora_rank=None, first_k_dense_replace=1, topk_method="group_limited_greedy", n_group=4, topk_group=2, routed_scaling_factor=1.7, n_shared_experts=2, mlp_bias=True)),
    "deepseek_v3": ("deepseek_v3", dict(MLA, q_lora_rank=18, first_k_dense_replace=0, n_group=4, topk_group=2, n_shared_experts=1, attention_bias=True, max_position_embeddings=2048, **rope("yarn", 150.0, factor=4.0, original_max_position_embeddings=512, mscale=1.0, mscale_all_dim=0.8))),
    "arcee": ("arcee", dict(RMS, attention_bias=True, mlp_bias=True)),
    "cwm": ("cwm", dict(RMS, head_dim=12, sliding_window=8, max_position_embeddings=512, **rope("llama3", 500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64))),
    "dots1": ("dots1", dict(RMS, moe_intermediate_size=24, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3, n_group=4, topk_group=2, first_k_dense_replace=1, routed_scaling_factor=1.7, norm_topk_prob=True,
        sliding_window=8, max_window_layers=1)),
    "ernie4_5": ("ernie4_5", dict(RMS, head_dim=12, use_bias=True, hidden_act="mish")),
    "glm4_moe": ("glm4_moe", dict(RMS, head_dim=12, attention_bias=True, use_qk_norm=True, moe_intermediate_size=24, n_routed_experts=6, n_shared_experts=1, num_experts_per_tok=3, first_k_dense_replace=1)),
    "gpt_bigcode": ("gpt_bigcode", dict(GPT)),
    "gpt_neo": ("gpt_neo", dict(vocab_size=90, hidden_size=40, intermediate_size=56, num_layers=2, num_heads=4, window_size=8, attention_types=[[["global", "local"], 1]], max_position_embeddings=64, layer_norm_epsilon=0.01, **IDS)),
    "helium": ("helium", dict(RMS, head_dim=10, attention_bias=True, hidden_act="laplace")),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", dict(RMS, head_dim=12, **rope("dynamic", alpha=1000.0, factor=1.0))),
    "ministral": ("ministral", dict(RMS, head_dim=12, sliding_window=8, layer_types=["sliding_attention", "full_attention"])),
    "nemotron": ("nemotron", dict(BASE, head_dim=12, norm_eps=0.01, mlp_bias=True)),
    "olmo3": ("olmo3", dict(RMS, sliding_window=8, max_position_embeddings=2048, layer_types=["sliding_attention", "full_attention"], rope_parameters={"sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
        "full_attention": {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0, "original_max_position_embeddings": 512}})),
    "seed_oss": ("seed_oss", dict(RMS, head_dim=12, hidden_act="leaky_relu")),
    "apertus": ("apertus", dict(RMS)),
    "biogpt": ("biogpt", dict({k: v for k, v in LN.items() if k != "num_key_value_heads"})),
    "bitnet": ("bitnet", dict(RMS)),
    "codegen": ("codegen", dict(GPT, rotary_dim=4)),
    "ernie4_5_moe": ("ernie4_5_moe", dict(RMS, num_hidden_layers=3, moe_intermediate_size=24, moe_k=2, moe_num_experts=4, moe_num_shared_experts=2, use_bias=True)),
    "flex_olmo": ("flex_olmo", dict(RMS, num_experts=4, num_experts_per_tok=2, intermediate_size=24)),
    "glm4_moe_lite": ("glm4_moe_lite", dict(MLA, q_lora_rank=18, n_group=4, topk_group=2, n_shared_experts=1, attention_bias=True)),
    "granitemoehybrid": ("granitemoehybrid", dict(RMS, num_local_experts=0, shared_intermediate_size=48, layer_types=["full_attention"] * 2, position_embedding_type="rope", mamba_n_heads=4, mamba_d_head="auto",
        embedding_multiplier=3.0, logits_scaling=2.5, residual_multiplier=0.4, attention_multiplier=0.2)),
    "granitemoeshared": ("granitemoeshared", dict(RMS, num_local_experts=4, num_experts_per_tok=2, intermediate_size=24, shared_intermediate_size=32, embedding_multiplier=3.0, logits_scaling=2.5, residual_multiplier=0.4, attention_multiplier=0.2)),
    "hunyuan_v1_moe": ("hunyuan_v1_moe", dict(RMS, head_dim=12, intermediate_size=24, num_experts=4, moe_topk=[2, 3])),
    "minicpm3": ("minicpm3", dict({k: v for k, v in MLA.items() if k not in ("moe_intermediate_size", "n_routed_experts", "num_experts_per_tok")}, q_lora_rank=18, attention_bias=True, scale_emb=3.0, scale_depth=0.9, dim_model_base=16)),
    "ministral3": ("ministral3", dict(RMS, head_dim=12, max_position_embeddings=2048, **rope("yarn", 150.0, factor=4.0, original_max_position_embeddings=512, mscale=1.0, mscale_all_dim=1.0, beta_fast=32.0, beta_slow=1.0,
        llama_4_scaling_beta=0.1, max_position_embeddings=2048))),
    "mpt": ("mpt", dict(vocab_size=90, d_model=48, n_layers=2, n_heads=6, max_seq_len=64, layer_norm_epsilon=0.01, attn_config=dict(clip_qkv=1.1, softmax_scale=0.3), **IDS)),
    "openai-gpt": ("openai-gpt", dict(GPT)),
    "persimmon": ("persimmon", dict({k: v for k, v in LN.items() if k != "num_key_value_heads"}, **rope(partial_rotary_factor=0.4))),
    "vaultgemma": ("vaultgemma", dict(RMS, head_dim=12, query_pre_attn_scalar=23, sliding_window=8, attn_logit_softcapping=5.0, final_logit_softcapping=6.0)),
    "gemma4": ("gemma4_text", dict(RMS, num_hidden_layers=4, head_dim=12, global_head_dim=16, sliding_window=8, layer_types=FOUR, num_kv_shared_layers=2, use_double_wide_mlp=True, hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=90, final_logit_softcapping=6.0)),
    "gemma4-moe": ("gemma4_text", dict(RMS, head_dim=12, global_head_dim=16, num_global_key_value_heads=1, attention_k_eq_v=True, sliding_window=8, layer_types=FOUR[:2], hidden_size_per_layer_input=0, enable_moe_block=True,
        num_experts=4, top_k_experts=2, moe_intermediate_size=24)),
    "exaone": ("exaone", dict(RMS, **rope("llama3", 500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16))),
    "internlm3": ("internlm3", dict(RMS, head_dim=12, attention_bias=True, mlp_bias=True, **rope("dynamic", factor=6.0))),
    "jais2": ("jais2", dict(LN, head_dim=12)),
    "hyperclovax": ("hyperclovax", dict(RMS, head_dim=12, embedding_multiplier=3.0, logits_scaling=0.4, residual_multiplier=0.4, attention_multiplier=0.2)),
    "modernbert-decoder": ("modernbert-decoder", dict({k: v for k, v in BASE.items() if k != "num_key_value_heads"}, norm_eps=0.01, local_attention=16, layer_types=["full_attention", "sliding_attention"])),
    "phimoe": ("phimoe", dict(RMS, num_local_experts=5, num_experts_per_tok=2, intermediate_size=24, router_jitter_noise=0.4, attention_bias=True, lm_head_bias=True, sliding_window=8,
        **rope("longrope", factor=4.0, original_max_position_embeddings=16, short_mscale=1.2, long_mscale=1.2, short_factor=[1.0, 1.1, 1.2, 1.3, 1.4], long_factor=[1.5, 2.0, 3.0, 4.0, 5.0]))),
    "afmoe": ("afmoe", dict(RMS, num_hidden_layers=3, head_dim=12, sliding_window=8, num_dense_layers=1, num_shared_experts=2, route_scale=1.7, mup_enabled=True, attention_bias=True, layer_types=FOUR[:3], **MOE)),
    "exaone_moe": ("exaone_moe", dict(RMS, head_dim=12, sliding_window=8, layer_types=FOUR[:2], num_shared_experts=2, n_group=2, topk_group=1, mlp_layer_types=["sparse", "dense"], **MOE)),
    "hy_v3": ("hy_v3", dict(RMS, head_dim=12, attention_bias=True, mlp_bias=True, num_shared_experts=2, **MOE)),
    "iquestcoder": ("iquestcoder", dict(RMS, head_dim=12, mlp_bias=True)),
    "laguna": ("laguna", dict(RMS, num_hidden_layers=3, head_dim=12, sliding_window=8, layer_types=FOUR[:3], num_attention_heads_per_layer=[4, 2, 6], moe_routed_scaling_factor=1.7, moe_router_logit_softcapping=1.5, shared_expert_intermediate_size=32, **MOE)),
    "laguna-element": ("laguna", dict(RMS, head_dim=12, gating="per-element", attention_bias=True, shared_expert_intermediate_size=32, sliding_window=8, layer_types=FOUR[:2], rope_parameters={
        "sliding_attention": {"rope_type": "default", "rope_theta": 500.0}, "full_attention": {"rope_type": "yarn", "rope_theta": 150.0, "factor": 4.0, "original_max_position_embeddings": 16, "partial_rotary_factor": 0.5}}, **MOE)),
    "mellum": ("mellum", dict(RMS, head_dim=12, sliding_window=8, layer_types=FOUR[:2], mlp_layer_types=["sparse", "dense"], **MOE)),
    "minimax_m2": ("minimax_m2", dict(RMS, head_dim=12, num_local_experts=4, num_experts_per_tok=2, intermediate_size=24, **rope(partial_rotary_factor=0.5))),
    "solar_open": ("solar_open", dict(RMS, head_dim=12, attention_bias=True, moe_intermediate_size=24, n_routed_experts=6, n_shared_experts=1, num_experts_per_tok=3, n_group=3, topk_group=2, routed_scaling_factor=1.7)),
    "youtu": ("youtu", dict({k: v for k, v in MLA.items() if k not in ("moe_intermediate_size", "n_routed_experts", "num_experts_per_tok")}, q_lora_rank=18, attention_bias=True, pad_token_id=None)),  # loading, the library makes the row of padding zero
    # of models of pictures and text, with a part for pictures that is hardly there
    "qwen2_vl": ("qwen2_vl", dict(text_config=dict(RMS, **rope(mrope_section=[1, 2, 2])), vision_config=dict(depth=1, embed_dim=8, num_heads=2, hidden_size=40, patch_size=2, temporal_patch_size=1, spatial_merge_size=1))),
    "qwen2_5_vl": ("qwen2_5_vl", dict(text_config=dict(RMS, tie_word_embeddings=True, **rope(mrope_section=[1, 2, 2])), tie_word_embeddings=True,
        vision_config=dict(depth=1, hidden_size=8, num_heads=2, intermediate_size=8, out_hidden_size=40, patch_size=2, temporal_patch_size=1, spatial_merge_size=1, fullatt_block_indexes=[0]))),
    "qwen3_vl": ("qwen3_vl", dict(text_config=dict(RMS, head_dim=12, **rope(mrope_section=[2, 2, 2], mrope_interleaved=True)), vision_config=dict(VISION3))),
    "qwen3_vl_moe": ("qwen3_vl_moe", dict(text_config=dict(RMS, head_dim=12, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24, mlp_only_layers=[1], tie_word_embeddings=False,
        **rope(mrope_section=[2, 2, 2], mrope_interleaved=True)), vision_config=dict(VISION3))),
    "gpt_oss": ("gpt_oss", dict(RMS, head_dim=12, num_local_experts=4, num_experts_per_tok=2, intermediate_size=24, sliding_window=8, swiglu_limit=1.2, **rope("yarn", 150.0, factor=4.0, original_max_position_embeddings=16, truncate=False, beta_fast=32.0, beta_slow=1.0))),
}

ENC = dict(vocab_size=90, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64, pad_token_id=0, layer_norm_eps=0.01)
ROB = dict(ENC, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1)
LABELS = dict(num_labels=3)
CLIP = dict(vocab_size=90, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64, projection_dim=24, pad_token_id=1, bos_token_id=88, eos_token_id=89, layer_norm_eps=0.01)
DEB = dict(ENC, layer_norm_eps=1e-7, relative_attention=True, type_vocab_size=0)
ENCODERS = {  # name: (model_type, architecture, config)
    "bert": ("bert", "BertForSequenceClassification", dict(ENC, **LABELS)),
    "bert-pairs": ("bert", "BertForSequenceClassification", dict(ENC, num_labels=1)),
    "bert-sentence": ("bert", "BertModel", dict(ENC, hidden_act="gelu_new")),
    # decoders that read whole texts
    "qwen3-embedding": ("qwen3", "Qwen3Model", dict(RMS, head_dim=12)),
    "gemma3-embedding": ("gemma3_text", "Gemma3TextModel", dict(RMS, head_dim=12, query_pre_attn_scalar=20, sliding_window=9, use_bidirectional_attention=True, layer_types=["sliding_attention", "full_attention"])),
    "qwen2-classifier": ("qwen2", "Qwen2ForSequenceClassification", dict(RMS, **LABELS)),
    "llama-tokens": ("llama", "LlamaForTokenClassification", dict(RMS, **LABELS)),
    "bert-masked": ("bert", "BertForMaskedLM", dict(ENC, tie_word_embeddings=False)),
    "roberta": ("roberta", "RobertaForSequenceClassification", dict(ROB, num_labels=1)),
    "nomic_bert-embedding": ("nomic_bert", "NomicBertModel", dict(ENC)),
    "nomic_bert-masked": ("nomic_bert", "NomicBertForMaskedLM", dict(ENC)),
    "roberta-answers": ("roberta", "RobertaForQuestionAnswering", dict(ROB)),
    "modernbert-answers": ("modernbert", "ModernBertForQuestionAnswering", dict({k: v for k, v in ENC.items() if k != "layer_norm_eps"}, norm_eps=0.01, local_attention=64, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)),
    "camembert": ("camembert", "CamembertForMaskedLM", dict(ROB)),
    "xlm-roberta": ("xlm-roberta", "XLMRobertaForTokenClassification", dict(ROB, **LABELS)),
    "distilbert": ("distilbert", "DistilBertForMaskedLM", dict(vocab_size=90, dim=40, hidden_dim=56, n_layers=2, n_heads=4, max_position_embeddings=64, pad_token_id=0)),
    "mpnet": ("mpnet", "MPNetModel", {k: v for k, v in dict(ROB, pad_token_id=3).items() if k != "type_vocab_size"}),
    "electra": ("electra", "ElectraForSequenceClassification", dict(ENC, embedding_size=24, **LABELS)),
    "albert": ("albert", "AlbertForMaskedLM", dict(ENC, embedding_size=24, num_hidden_groups=2, inner_group_num=2)),
    # as v3, with the legacy masked head; as v2-xlarge, with narrow embeddings, a convolution and keys of positions of their own
    "deberta-v3": ("deberta-v2", "DebertaV2ForMaskedLM", dict(DEB, pos_att_type="p2c|c2p", position_buckets=8, max_relative_positions=-1, share_att_key=True, norm_rel_ebd="layer_norm", position_biased_input=False, legacy=False)),
    "deberta-v2": ("deberta-v2", "DebertaV2ForSequenceClassification", dict(DEB, pos_att_type=["c2p", "p2c"], max_relative_positions=12, embedding_size=24, conv_kernel_size=3, conv_act="gelu", type_vocab_size=2, **LABELS)),
    "modernbert": ("modernbert", "ModernBertForSequenceClassification", dict({k: v for k, v in ENC.items() if k != "layer_norm_eps"}, norm_eps=0.01, local_attention=8, classifier_pooling="mean",
        layer_types=["full_attention", "sliding_attention"], bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2, **LABELS)),
    # the end of text is the greatest id, which older configs take it for; CLIPModel with a part for pictures that is hardly there
    "clip_text_model": ("clip_text_model", "CLIPTextModelWithProjection", CLIP),
    "clip": ("clip", "CLIPModel", dict(text_config={**CLIP, "eos_token_id": 2}, projection_dim=24, vision_config=dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=4, patch_size=2))),
    "data2vec-text": ("data2vec-text", "Data2VecTextForSequenceClassification", dict(ROB, **LABELS)),
    "deberta": ("deberta", "DebertaForSequenceClassification", dict(ENC, layer_norm_eps=1e-7, relative_attention=True, type_vocab_size=0, pos_att_type=["c2p", "p2c"], max_relative_positions=12, position_biased_input=False, **LABELS)),
    "ernie": ("ernie", "ErnieForSequenceClassification", dict(ENC, use_task_id=True, **LABELS)),
    "esm": ("esm", "EsmForMaskedLM", dict({k: v for k, v in ROB.items() if k != "type_vocab_size"}, mask_token_id=32, token_dropout=True, position_embedding_type="rotary")),
    "eurobert": ("eurobert", "EuroBertForSequenceClassification", dict(RMS, mask_token_id=4, **LABELS)),
    "gte": ("gte", "GteForSequenceClassification", dict(ENC, type_vocab_size=2, **LABELS)),
    "jina_embeddings_v3": ("jina_embeddings_v3", "JinaEmbeddingsV3ForMaskedLM", dict(ROB)),
    "layoutlm": ("layoutlm", "LayoutLMForTokenClassification", dict(ENC, max_2d_position_embeddings=8, **LABELS)),
    "longformer": ("longformer", "LongformerForMaskedLM", dict(ROB, attention_window=[4, 8])),
    "megatron-bert": ("megatron-bert", "MegatronBertForMultipleChoice", dict(ENC)),
    "rembert": ("rembert", "RemBertForMaskedLM", dict(ENC, bos_token_id=1, eos_token_id=2, input_embedding_size=24, output_embedding_size=32)),
    "mobilebert": ("mobilebert", "MobileBertForSequenceClassification", dict(ENC, embedding_size=20, intra_bottleneck_size=24, num_feedforward_networks=3, **LABELS)),
    "roberta-prelayernorm": ("roberta-prelayernorm", "RobertaPreLayerNormForMultipleChoice", dict(ROB)),
    "roformer": ("roformer", "RoFormerForSequenceClassification", dict(ENC, embedding_size=24, **LABELS)),
    "xlm-roberta-xl": ("xlm-roberta-xl", "XLMRobertaXLForTokenClassification", dict(ROB, **LABELS)),
}


OWN = {"exaone": dict(num_hidden_layers="num_layers", rms_norm_eps="layer_norm_epsilon", hidden_act="activation_function"), "internlm3": dict(attention_bias="qkv_bias", mlp_bias="bias")}


def legacy(c):
    """config.json in the spelling of transformers 4: rope_theta and rope_scaling outside, torch_dtype."""
    c = dict(c)
    if c["model_type"] == "gemma4_text":  # its files name the sizes of full layers
        full = [v for v in c.pop("per_layer_config").values()][0]
        return c | dict(global_head_dim=full["head_dim"], num_global_key_value_heads=full.get("num_key_value_heads"))
    if "text_config" in c:  # as files of Qwen 2 VL and 2.5 VL, which lie flat, or with a spelling of its own
        text = legacy(c["text_config"])
        if text.get("rope_scaling") is None and "mrope_section" in c["text_config"]["rope_parameters"]:
            text["rope_scaling"] = {"type": "default" if c["model_type"].startswith("qwen3_vl") else "mrope", **{k: v for k, v in c["text_config"]["rope_parameters"].items() if k.startswith("mrope")}}
        c = {**{k: v for k, v in c.items() if k not in ("text_config", "dtype")}, "torch_dtype": c.get("dtype")}
        return c | {"text_config": text} if c["model_type"].startswith("qwen3_vl") else {k: v for k, v in text.items() if k not in ("model_type", "layer_types")} | c
    if c["model_type"] in OWN:  # keys of the code that the model came with
        c = {OWN[c["model_type"]].get(k, k): v for k, v in c.items()}
    p = c.pop("rope_parameters", None)
    if "dtype" in c:
        c["torch_dtype"] = c.pop("dtype")
    if not p:
        return c
    if "full_attention" in p:  # one for each kind of layer
        if c["model_type"] == "modernbert-decoder":
            return c | dict(global_rope_theta=p["full_attention"]["rope_theta"], local_rope_theta=p["sliding_attention"]["rope_theta"], position_embedding_type="sans_pos", causal_mask=True)
        if c["model_type"] != "olmo3":
            c["rope_local_base_freq"] = p["sliding_attention"]["rope_theta"]
        p = p["full_attention"]
    p = dict(p)
    c["rope_theta"] = p.pop("rope_theta", 10000.0)
    if "partial_rotary_factor" in p:
        c["partial_rotary_factor"] = p.pop("partial_rotary_factor")
    kind = p.pop("rope_type", "default")
    c["rope_scaling"] = None if kind == "default" else {"type": kind, **p}
    return c


def make(out, name):
    kind, config = FAMILIES[name]
    torch.manual_seed(sum(name.encode()))
    auto = transformers.AutoModelForImageTextToText if "vision_config" in config else transformers.AutoModelForCausalLM
    model = auto.from_config(transformers.AutoConfig.for_model(kind, **config), attn_implementation="eager", experts_implementation="eager")
    with torch.no_grad():
        for key, p in model.named_parameters():
            std = 0.5 if p.dim() < 2 else 1.3 / math.sqrt(p.shape[-1])
            p.copy_(torch.randn(p.shape) * std + (1.0 if p.dim() < 2 and "weight" in key else 0.0))
    for key, x in model.named_buffers():
        if key.endswith("layer_scalar"):
            x.data = torch.rand(1) + 0.5
    model = model.to(torch.bfloat16)
    for key, x in model.named_buffers():
        if key.endswith("e_score_correction_bias"):  # float32 in files of bfloat16
            x.data = torch.randn(x.shape) * 0.2
    os.makedirs(out, exist_ok=True)
    model.save_pretrained(out)
    if kind == "qwen3_vl_moe":  # stacks lie turned in published files
        tensors = load_file(os.path.join(out, "model.safetensors"))
        save_file({k: x.transpose(1, 2).contiguous() if ".experts." in k else x for k, x in tensors.items()}, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(out, extra)):
            os.remove(os.path.join(out, extra))
    with open(os.path.join(out, "config.json")) as f:
        now = json.load(f)
    old = legacy(now)
    if old != now and kind not in ("laguna", "mellum"):  # younger than that spelling
        with open(os.path.join(out, "legacy.json"), "w") as f:
            json.dump(old, f, indent=1, sort_keys=True)
    # Read again in float32: converting to bfloat16 rounded tables that are computed.
    attention = "sdpa" if config.get("alibi") else "eager"  # Falcon's eager attention adds ALiBi twice, by the mask and again; the usual one does not
    model = auto.from_pretrained(out, dtype=torch.float32, attn_implementation=attention, experts_implementation="eager").double().eval()
    goldens = {}
    for i, n in enumerate((5, 29)):
        ids = torch.randint(3, 90, (1, n))
        ids[0, 0] = 1
        with torch.no_grad():
            y = model(ids, output_hidden_states=True, use_cache=False)
        goldens[f"p{i}.input_ids"] = ids[0]
        goldens[f"p{i}.logits"] = y.logits[0].float().contiguous()
        layers = len(y.hidden_states) - 1
        for j, h in enumerate(y.hidden_states):
            goldens[f"p{i}.hidden.{'final' if j == layers else j}"] = h[0].float().contiguous()
    save_file(goldens, os.path.join(out, "goldens.safetensors"))


def plain_sentence(out, y, mask, last):
    """One pooling alone, of the last token or the mean, and length 1."""
    modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    write = lambda name, x: (os.makedirs(os.path.dirname(os.path.join(out, name)), exist_ok=True), json.dump(x, open(os.path.join(out, name), "w"), indent=1))
    write("modules.json", [dict(idx=int(i), name=i, path=p, type="sentence_transformers.models." + t) for i, p, t in modules])
    write("1_Pooling/config.json", dict(word_embedding_dimension=40, pooling_mode_cls_token=False, pooling_mode_mean_tokens=not last, pooling_mode_lasttoken=last))
    m = mask[..., None].double()
    x = y[torch.arange(len(y)), mask.sum(1) - 1] if last else (y * m).sum(1) / m.sum(1)
    return torch.nn.functional.normalize(x, dim=1)


def sentence(out, y, mask):
    """What sentence-transformers puts behind a model: mean and first token side by side, a layer, length 1."""
    modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Dense", "Dense"), ("3", "3_Normalize", "Normalize")]
    write = lambda name, x: (os.makedirs(os.path.dirname(os.path.join(out, name)), exist_ok=True), json.dump(x, open(os.path.join(out, name), "w"), indent=1))
    write("modules.json", [dict(idx=int(i), name=i, path=p, type="sentence_transformers.models." + t) for i, p, t in modules])
    write("sentence_bert_config.json", dict(max_seq_length=32, do_lower_case=False))
    write("1_Pooling/config.json", dict(word_embedding_dimension=40, pooling_mode_cls_token=True, pooling_mode_mean_tokens=True, pooling_mode_max_tokens=False, pooling_mode_mean_sqrt_len_tokens=False))
    write("2_Dense/config.json", dict(in_features=80, out_features=12, bias=True, activation_function="torch.nn.modules.activation.Tanh"))
    gen = torch.Generator().manual_seed(5)
    w, b = torch.randn(12, 80, generator=gen) / 6, torch.randn(12, generator=gen)
    save_file({"linear.weight": w, "linear.bias": b}, os.path.join(out, "2_Dense", "model.safetensors"))
    m = mask[..., None].double()
    x = torch.cat([y[:, 0], (y * m).sum(1) / m.sum(1)], 1)
    return torch.nn.functional.normalize(torch.tanh(x @ w.double().T + b.double()), dim=1)


def tokenizer(out):
    """WordPiece over letters, as BERT's."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters)]
    t = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer, t.decoder = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    t.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
    t.add_special_tokens(pieces[:5])
    t.save(os.path.join(out, "tokenizer.json"))


# Keys that published files of encoders have besides, without an effect.
COMMON = dict(position_embedding_type="absolute", use_cache=True, gradient_checkpointing=False, output_past=True)
PUBLISHED = {  # by model type
    **{kind: COMMON for kind in "bert camembert roberta xlm-roberta xlm-roberta-xl roberta-prelayernorm data2vec-text megatron-bert rembert layoutlm".split()},
    "albert": dict(COMMON, net_structure_type=0, num_memory_blocks=0, down_scale_factor=1, gap_size=0),
    "distilbert": dict(sinusoidal_pos_embds=False, tie_weights_=True, output_past=True),
    "electra": dict(COMMON, summary_activation="gelu", summary_last_dropout=0.1, summary_type="first", summary_use_proj=True),
    "roformer": dict(COMMON, rotary_value=False),
    "ernie": dict(COMMON, task_type_vocab_size=3),
    "deberta": dict(pooler_dropout=0, pooler_hidden_act="gelu", padding_idx=0),
    "deberta-v2": dict(pooler_dropout=0, pooler_hidden_act="gelu"),
    "esm": dict(is_folding_model=False, esmfold_config=None, vocab_list=None, use_cache=True),
    "longformer": dict(COMMON, attention_mode="longformer", ignore_attention_mask=False, sep_token_id=2),
    "eurobert": dict(auto_map={"AutoConfig": "configuration_eurobert.EuroBertConfig"}, clf_pooling="late", bos_token="<s>", eos_token="</s>", pad_token="<pad>", mask_token="<mask>", is_causal=False, use_cache=False),
    "gte": dict(auto_map={"AutoConfig": "configuration.NewConfig"}, layer_norm_type="layer_norm", logn_attention_scale=False, logn_attention_clip1=False, unpad_inputs=False, pack_qkv=True, position_embedding_type="rope"),
}
NOMIC = dict(activation_function="swiglu", attn_pdrop=0.0, auto_map={"AutoModel": "modeling_hf_nomic_bert.NomicBertModel"}, causal=False, dense_seq_output=True, embd_pdrop=0.0, fused_bias_fc=True, fused_dropout_add_ln=True,
    max_trained_positions=2048, mlp_fc1_bias=False, mlp_fc2_bias=False, pad_vocab_size_multiple=6, parallel_block=False, parallel_block_tied_norm=False, prenorm=False, qkv_proj_bias=False, reorder_and_upcast_attn=False, resid_pdrop=0.0,
    rotary_emb_base=1000, rotary_emb_fraction=1.0, rotary_emb_interleaved=False, rotary_emb_scale_base=None, rotary_scaling_factor=None, scale_attn_by_inverse_layer_idx=False, scale_attn_weights=True, summary_activation=None,
    summary_first_dropout=0.0, summary_proj_to_labels=True, summary_type="cls_index", summary_use_proj=True, use_cache=True, use_flash_attn=True, use_rms_norm=False, use_xentropy=True)


def published(c):
    """config.json of an encoder as files of transformers 4 spell it, or the code that a model was first published with."""
    kind = c["model_type"]
    if kind == "clip":
        return {**{k: v for k, v in c.items() if k != "dtype"}, "torch_dtype": c["dtype"], "text_config_dict": c["text_config"], "text_config": {"model_type": "clip_text_model", "hidden_size": 512}, "vision_config_dict": None}
    if kind == "modernbert":
        old = {k: v for k, v in c.items() if k not in ("rope_parameters", "layer_types", "dtype")}
        return old | dict(global_rope_theta=160000.0, local_rope_theta=10000.0, global_attn_every_n_layers=2, torch_dtype="bfloat16")
    if kind == "nomic_bert":
        names = dict(n_embd="hidden_size", n_head="num_attention_heads", n_layer="num_hidden_layers", n_inner="intermediate_size", n_positions="max_position_embeddings", layer_norm_epsilon="layer_norm_eps")
        same = ("architectures", "model_type", "type_vocab_size", "initializer_range", "bos_token_id", "eos_token_id", "vocab_size")
        return NOMIC | {k: c[k] for k in same} | {old: c[new] for old, new in names.items()} | dict(torch_dtype="bfloat16", vocab_size=c["vocab_size"] - 3)
    return legacy(c) | PUBLISHED.get(kind, {})


def encoder(out, name):
    kind, arch, config = ENCODERS[name]
    torch.manual_seed(sum(name.encode()))
    cls = getattr(transformers, arch)
    model = cls._from_config(transformers.AutoConfig.for_model(kind, **config), attn_implementation="eager")
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "embed_positions" in key:  # RoFormer's, which is computed
                continue
            std = 0.5 if p.dim() < 2 or "relative_attention_bias" in key else 1.3 / math.sqrt(p.shape[-1])
            p.copy_(torch.randn(p.shape) * std + (1.0 if p.dim() < 2 and "weight" in key else 0.0))
    if kind == "mobilebert":  # a padded token is its neighbour's neighbour in the library
        model.get_input_embeddings().weight.data[0] = 0
    computed = {key: x.clone() for key, x in (*model.named_parameters(), *model.named_buffers()) if key.endswith(("rotary_embeddings.inv_freq", "embed_positions.weight"))}
    model = model.to(torch.bfloat16)
    for key, x in (*model.named_parameters(), *model.named_buffers()):
        if key in computed:  # float32 in files too
            x.data = computed[key]
    os.makedirs(out, exist_ok=True)
    model.save_pretrained(out)
    if kind == "bert" and name != "bert-masked":
        tokenizer(out)
    with open(os.path.join(out, "config.json")) as f:
        now = json.load(f)
    with open(os.path.join(out, "legacy.json"), "w") as f:
        json.dump(published(now), f, indent=1, sort_keys=True)
    model = cls.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").double().eval()
    whole = model
    if kind == "clip":  # its text part
        model = transformers.CLIPTextModelWithProjection.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").double().eval()
        model.text_projection.load_state_dict(whole.text_projection.state_dict())
        config = config["text_config"]
    base = getattr(model, model.base_model_prefix, model) if not kind.startswith("clip") else model.text_model
    goldens = {}

    def ending(ids):
        if kind.startswith("clip"):  # with the end of text, which is nowhere else
            ids = ids.clamp(max=88)
            ids[..., -1] = 89
        return ids

    def put(at, ids, mask):
        kw = dict(input_ids=ids, attention_mask=mask)
        if config.get("type_vocab_size", 2) > 1 and kind in ("bert", "electra", "mobilebert", "albert", "nomic_bert", "ernie", "gte", "layoutlm", "megatron-bert", "rembert", "roformer"):
            kw["token_type_ids"] = (torch.arange(ids.shape[1])[None] >= ids.shape[1] // 2).long() * mask
        groups = []  # of layers that share weights: what each gives, where the library shows the layers within
        hooks = [g.register_forward_hook(lambda m, a, h: groups.append(h[0] if isinstance(h, tuple) else h)) for g in (base.encoder.albert_layer_groups if kind == "albert" else [])]
        choices = {k: x[:, None] for k, x in kw.items()} if arch.endswith("ForMultipleChoice") else kw  # one for each text
        with torch.no_grad():
            y = model(**choices, output_hidden_states=True)
            states = [y.hidden_states[0], *groups] if groups else y.hidden_states
            below = base(**kw)
            if kind.startswith("clip"):  # which shows the last state before the last norm
                states = [*states[:-1], below.last_hidden_state]
        for h in hooks:
            h.remove()
        one = lambda x: x if at == "batch." else x[0]
        for k, v in kw.items():
            goldens[at + k] = one(v).contiguous()
        found = {k: y[k] for k in ("logits", "pooler_output") if k in y and y[k] is not None}
        found["last_hidden_state"] = below.last_hidden_state
        if kind.startswith("clip"):
            found["sentence_embedding"] = y.text_embeds
            found.pop("pooler_output", None)
        if "start_logits" in y:
            found["logits"] = torch.stack([y.start_logits, y.end_logits], -1)
        if name in ("bert-sentence", "mpnet"):
            found.pop("pooler_output", None)
            found["sentence_embedding"] = sentence(out, below.last_hidden_state, mask)
        elif name.split(".")[0].endswith("-embedding"):
            found["sentence_embedding"] = plain_sentence(out, below.last_hidden_state, mask, kind == "qwen3")
        elif arch in ("BertForSequenceClassification", "ErnieForSequenceClassification", "GteForSequenceClassification", "MegatronBertForMultipleChoice", "RobertaPreLayerNormForMultipleChoice", "MobileBertForSequenceClassification"):
            found["pooler_output"] = below.pooler_output
        if at != "batch.":
            for j, h in enumerate(states):
                found[f"hidden.{'final' if j == len(states) - 1 else j}"] = h
        if at == "batch." and kind == "gemma3_text":  # as below
            alone = [model(input_ids=ids[i:i + 1, :m.sum()]).last_hidden_state for i, m in enumerate(mask)]
            found = {"sentence_embedding": torch.cat([plain_sentence(out, y, torch.ones_like(y[..., 0]).long(), False) for y in alone])}
        if at == "batch." and name.split(".")[0] == "modernbert":  # in the library a padded token whose window holds nothing makes NaN of the mean
            alone = [model(input_ids=ids[i:i + 1, :m.sum()]).logits for i, m in enumerate(mask)]
            found["logits"] = torch.cat(alone).detach()
            found.pop("last_hidden_state")
        for k, v in found.items():
            goldens[at + k] = one(v).float().contiguous()

    for i, n in enumerate((5, 21)):
        put(f"p{i}.", ending(torch.randint(3, 90, (1, n))), torch.ones(1, n, dtype=torch.int64))
    ids, mask = torch.full((3, 17), config["pad_token_id"]), torch.zeros(3, 17, dtype=torch.int64)
    for row, n in enumerate((9, 17, 4)):
        ids[row, :n], mask[row, :n] = ending(torch.randint(3, 90, (n,))), 1
    put("batch.", ids, mask)
    save_file(goldens, os.path.join(out, "goldens.safetensors"))


if __name__ == "__main__":
    for name in sys.argv[2:] or [*FAMILIES, *ENCODERS]:
        (make if name in FAMILIES else encoder)(os.path.join(sys.argv[1], name), name)
        print(name, flush=True)
