#!/usr/bin/env python3
"""What llama.cpp's converter makes of tiny models of each architecture: keys and tensors of the GGUF file, and the tensors of the HuggingFace model.

    python3 archs.py LLAMA_CPP ../archs.json      # LLAMA_CPP: a checkout with conversion/ and gguf-py; needs torch, transformers 5, safetensors
"""
import json, pathlib, struct, sys, tempfile

root, out = sys.argv[1:3]
sys.path[:0] = [root + '/gguf-py', root]
import conversion, gguf, torch, transformers as hf
from conversion import base

usual = dict(vocab_size=32, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=None)
experts = dict(num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16)
falcon = dict(num_key_value_heads=None, intermediate_size=None, parallel_attn=True)
rope = lambda **keys: dict(rope_parameters=dict(rope_theta=5e5, **keys))
cases = [
    ('llama', 'Llama', rope(rope_type='default')), ('llama-bias', 'Llama', dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True, head_dim=16)),
    ('llama-linear', 'Llama', rope(rope_type='linear', factor=4.0)), ('llama-yarn', 'Llama', rope(rope_type='yarn', factor=4.0, original_max_position_embeddings=16)),
    ('llama-llama3', 'Llama', rope(rope_type='llama3', factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
    ('mixtral', 'Mixtral', dict(num_local_experts=2, num_experts_per_tok=1)), ('qwen2', 'Qwen2', {}), ('qwen3', 'Qwen3', dict(head_dim=16)),
    ('qwen2moe', 'Qwen2Moe', dict(experts, shared_expert_intermediate_size=32, decoder_sparse_step=1)), ('qwen3moe', 'Qwen3Moe', dict(experts, head_dim=8)),
    ('gemma', 'Gemma', dict(head_dim=16)), ('gemma2', 'Gemma2', dict(head_dim=8, sliding_window=16, query_pre_attn_scalar=8)),
    ('phi3', 'Phi3', {}), ('phi3-long', 'Phi3', dict(rope(rope_type='longrope', short_factor=[1.0] * 4, long_factor=[2.0] * 4), original_max_position_embeddings=16)),
    ('olmo', 'Olmo', dict(clip_qkv=2.0)), ('olmo2', 'Olmo2', {}), ('olmoe', 'Olmoe', dict(num_experts=2, num_experts_per_tok=1)),
    ('granite', 'Granite', dict(embedding_multiplier=3.0, residual_multiplier=0.5, attention_multiplier=0.2, logits_scaling=2.0)), ('granitemoe', 'GraniteMoe', dict(num_local_experts=2, num_experts_per_tok=1)),
    ('starcoder2', 'Starcoder2', {}), ('stablelm', 'StableLm', dict(use_qkv_bias=True)), ('cohere', 'Cohere', dict(use_qk_norm=True)), ('cohere2', 'Cohere2', dict(sliding_window=16)), ('smollm3', 'SmolLM3', {}),
    ('exaone4', 'Exaone4', dict(sliding_window=16, sliding_window_pattern=4, head_dim=8)), ('glm4', 'Glm4', dict(head_dim=8)), ('glm', 'Glm', dict(head_dim=8, attention_bias=True)),
    ('gptneox', 'GPTNeoX', dict(num_key_value_heads=None)), ('gpt2', 'GPT2', dict(n_positions=64, n_embd=32, n_layer=1, n_head=4)), ('bloom', 'Bloom', dict(hidden_size=32, n_layer=1, n_head=4)),
    ('phi', 'Phi', dict(num_key_value_heads=4, intermediate_size=128)), ('gpt-oss', 'GptOss', dict(num_local_experts=2, num_experts_per_tok=1, head_dim=8, sliding_window=16, intermediate_size=32)),
    ('falcon-7b', 'Falcon', dict(falcon, num_kv_heads=1, multi_query=True, new_decoder_architecture=False)), ('falcon-11b', 'Falcon', dict(falcon, num_kv_heads=2, new_decoder_architecture=True, num_ln_in_parallel_attn=1)),
    ('falcon-40b', 'Falcon', dict(falcon, num_kv_heads=2, new_decoder_architecture=True)),
]


def vocab(self):
    w = self.gguf_writer
    w.add_tokenizer_model('gpt2'), w.add_bos_token_id(1), w.add_eos_token_id(2)


def convert(name, kind, keys):
    torch.manual_seed(1)
    own = kind in ('GPT2', 'Bloom')  # names of their own for the sizes
    keys = {**({k: v for k, v in usual.items() if k in ('vocab_size', 'bos_token_id', 'eos_token_id')} if own else usual), **keys}
    model = getattr(hf, kind + ('LMHeadModel' if kind == 'GPT2' else 'ForCausalLM'))(getattr(hf, kind + 'Config')(**{k: v for k, v in keys.items() if v is not None or k == 'pad_token_id'})).float()
    with tempfile.TemporaryDirectory() as d:
        model.save_pretrained(d)
        path = pathlib.Path(d)
        config = base.ModelBase.load_hparams(path, False)
        config.setdefault('rotary_pct', (config.get('rope_parameters') or {}).get('partial_rotary_factor', 1.0))  # as the converter wants some
        config.setdefault('n_ctx', config.get('n_positions'))
        cls = conversion.get_model_class(base.get_model_architecture(config, base.ModelType.TEXT))
        cls = type(cls.__name__, (cls,), dict(set_vocab=vocab, model_arch=cls.model_arch))
        cls(path, gguf.LlamaFileType.ALL_F32, path / 'm.gguf', hparams=config).write()
        r = gguf.GGUFReader(path / 'm.gguf')
        fields = {}
        for f in r.fields.values():
            if f.name.startswith('GGUF.') or f.types[0] == gguf.GGUFValueType.ARRAY and f.types[-1] == gguf.GGUFValueType.STRING:
                continue
            v = f.contents()
            fields[f.name] = [int(f.types[0]), v] + ([int(f.types[-1])] if f.types[0] == gguf.GGUFValueType.ARRAY else [])
        with open(path / 'model.safetensors', 'rb') as s:
            want = json.loads(s.read(struct.unpack('<Q', s.read(8))[0]))
        want.pop('__metadata__', None)
        return dict(name=name, keys=fields, tensors={t.name: [int(n) for n in reversed(t.shape)] for t in r.tensors}, want={k: v['shape'] for k, v in want.items()})


with open(out, 'w') as f:
    f.write('[\n' + ',\n'.join(json.dumps(convert(*case), separators=(',', ':')) for case in cases) + '\n]\n')
