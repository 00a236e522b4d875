"""Tiny random checkpoints of Jina Embeddings v2, whose code no library has, with results of that code's formulas written down here in PyTorch.

    python jinabert.py OUT       makes OUT/jinabert-embedding and OUT/jinabert-code-embedding

As those of families.py: weights in bfloat16, results in float64 of two texts and of a padded batch. Needs torch, safetensors.
"""
import json, math, os, sys

import torch
from safetensors.torch import save_file

V, H, I, LAYERS, HEADS, EPS = 90, 48, 56, 2, 6, 0.01


def slopes(n):
    p = 2 ** math.floor(math.log2(n))
    of = lambda p: [2 ** (-8 * (i + 1) / p) for i in range(p)]
    return of(p) + of(2 * p)[::2][: n - p]


def run(w, code, ids, types, mask):
    """What the model gives of ids, types and mask [B, T]: all hidden states [B, T, H]."""
    ln = lambda x, at: torch.nn.functional.layer_norm(x, (H,), w[at + ".weight"], w[at + ".bias"], EPS)
    linear = lambda x, at: torch.nn.functional.linear(x, w[at + ".weight"], w.get(at + ".bias"))
    h = ln(w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][types], "embeddings.LayerNorm")
    states = [h]
    far = (torch.arange(ids.shape[1])[None] - torch.arange(ids.shape[1])[:, None]).abs().double()
    bias = -torch.tensor(slopes(HEADS), dtype=torch.float32).double()[:, None, None] * far  # [heads, T, T]
    for l in range(LAYERS):
        at = f"encoder.layer.{l}."
        q, k, v = (linear(h, at + "attention.self." + part) for part in ("query", "key", "value"))
        if code:
            q, k = ln(q, at + "attention.self.layer_norm_q"), ln(k, at + "attention.self.layer_norm_k")
        q, k, v = (x.view(*x.shape[:2], HEADS, -1).transpose(1, 2) for x in (q, k, v))
        s = q @ k.transpose(-1, -2) / math.sqrt(H / HEADS) + bias
        s = s.masked_fill(mask[:, None, None] == 0, -math.inf).softmax(-1)
        h = ln(linear((s @ v).transpose(1, 2).flatten(2), at + "attention.output.dense") + h, at + ("layer_norm_1" if code else "attention.output.LayerNorm"))
        a, b = linear(h, at + ("mlp.up_gated_layer" if code else "mlp.gated_layers")).split(I, -1)
        a, b = (b, a) if code else (a, b)
        y = linear(torch.nn.functional.gelu(a) * b, at + ("mlp.down_layer" if code else "mlp.wo"))
        h = ln(y + h, at + ("layer_norm_2" if code else "mlp.layernorm"))
        states.append(h)
    return states


def make(out, code):
    torch.manual_seed(code)
    norms = ["attention.self.layer_norm_q", "attention.self.layer_norm_k", "layer_norm_1", "layer_norm_2"] if code else ["attention.output.LayerNorm", "mlp.layernorm"]
    shapes = {"embeddings.word_embeddings.weight": (V, H), "embeddings.token_type_embeddings.weight": (2, H)}
    for l in range(LAYERS):
        at = f"encoder.layer.{l}."
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {at + part + ".weight": (H, H), at + part + ".bias": (H,)}
        down = at + ("mlp.down_layer" if code else "mlp.wo")
        shapes |= {at + ("mlp.up_gated_layer" if code else "mlp.gated_layers") + ".weight": (2 * I, H), down + ".weight": (H, I), down + ".bias": (H,)}
    for norm in ["embeddings.LayerNorm", *(f"encoder.layer.{l}.{n}" for l in range(LAYERS) for n in norms)]:
        shapes |= {norm + ".weight": (H,), norm + ".bias": (H,)}
    tensors = {}
    for name, shape in shapes.items():
        x = torch.randn(shape) * (0.5 if len(shape) < 2 else 1.3 / math.sqrt(shape[-1]))
        tensors[name] = (x + (len(shape) < 2 and name.endswith("weight"))).bfloat16()
    os.makedirs(os.path.join(out, "1_Pooling"), exist_ok=True)
    write = lambda name, x: json.dump(x, open(os.path.join(out, name), "w"), indent=1, sort_keys=True)
    owner = "jinaai/jina-bert-v2-qk-post-norm" if code else "jinaai/jina-bert-implementation"
    write("config.json", dict(_name_or_path=owner, architectures=["JinaBertForMaskedLM"], attention_probs_dropout_prob=0.0, auto_map={"AutoModel": owner + "--modeling_bert.JinaBertModel"}, classifier_dropout=None, emb_pooler="mean",
        feed_forward_type="geglu", gradient_checkpointing=False, hidden_act="gelu", hidden_dropout_prob=0.1, hidden_size=H, initializer_range=0.02, intermediate_size=I, layer_norm_eps=EPS, max_position_embeddings=64,
        model_max_length=64, model_type="bert", num_attention_heads=HEADS, num_hidden_layers=LAYERS, pad_token_id=0, position_embedding_type="alibi", torch_dtype="float32", transformers_version="4.26.0", type_vocab_size=2,
        use_cache=True, vocab_size=V))
    write("modules.json", [dict(idx=i, name=str(i), path=p, type="sentence_transformers.models." + t) for i, (p, t) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling")])])
    write("1_Pooling/config.json", dict(word_embedding_dimension=H, pooling_mode_cls_token=False, pooling_mode_mean_tokens=True))
    save_file(tensors, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    w = {name: x.double() for name, x in tensors.items()}
    goldens = {}

    def put(at, ids, mask):
        types = (torch.arange(ids.shape[1])[None] >= ids.shape[1] // 2).long() * mask
        states = run(w, code, ids, types, mask)
        one = lambda x: x if at == "batch." else x[0]
        for name, x in dict(input_ids=ids, attention_mask=mask, token_type_ids=types).items():
            goldens[at + name] = one(x).contiguous()
        m = mask[..., None].double()
        goldens[at + "last_hidden_state"] = one(states[-1]).float().contiguous()
        goldens[at + "sentence_embedding"] = one((states[-1] * m).sum(1) / m.sum(1)).float().contiguous()
        if at != "batch.":
            for i, h in enumerate(states):
                goldens[f"{at}hidden.{'final' if i == LAYERS else i}"] = one(h).float().contiguous()

    for i, n in enumerate((5, 29)):
        put(f"p{i}.", torch.randint(3, V, (1, n)), torch.ones(1, n, dtype=torch.long))
    ids, mask = torch.randint(3, V, (3, 17)), (torch.arange(17)[None] < torch.tensor([17, 9, 2])[:, None]).long()
    put("batch.", ids * mask, mask)
    save_file(goldens, os.path.join(out, "goldens.safetensors"))


for code in (False, True):
    make(os.path.join(sys.argv[1], "jinabert-code-embedding" if code else "jinabert-embedding"), code)
