#!/usr/bin/python3
"""Makes testdata/llama-variants: three tiny random LlamaForCausalLM checkpoints
with golden logits, and golden RoPE frequencies of real models (rope.json).

Run from the repository root with Debian's python3 and torch 1.13:

    /usr/bin/python3 testdata/gen/llama_variants.py

Written apart from the Go code, after the published formulas of the Llama
papers and of the RoPE scaling rules: frequencies and angles in torch float32,
as the models are run elsewhere; all else in float64, attention head by head
with an explicit mask, rotation as a 2x2 matrix.
"""
import json, math, os, struct
import torch

ROOT = "testdata/llama-variants"
torch.set_num_threads(1)


def inv_freq(dim, theta, scaling, max_pos, length):
    """float32 inverse frequencies [dim/2] for a sequence of that length."""
    kind = (scaling or {}).get("rope_type", (scaling or {}).get("type", "default"))
    if kind == "dynamic" and length > max_pos:
        s = scaling["factor"]
        theta = theta * ((s * length / max_pos) - (s - 1)) ** (dim / (dim - 2))
    f = 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.int64).float() / dim))
    if kind == "linear":
        f = f / scaling["factor"]
    if kind == "llama3":
        old = scaling["original_max_position_embeddings"]
        lo, hi = scaling["low_freq_factor"], scaling["high_freq_factor"]
        wavelen = 2 * math.pi / f
        out = torch.where(wavelen > old / lo, f / scaling["factor"], f)
        smooth = (old / wavelen - lo) / (hi - lo)
        mid = (1 - smooth) * out / scaling["factor"] + smooth * out
        is_mid = ~(wavelen < old / hi) * ~(wavelen > old / lo)
        f = torch.where(is_mid, mid, out)
    return f


def forward(cfg, w, ids):
    """logits [T, V] in float64."""
    d = lambda name: w[name].double()
    heads, kv = cfg["num_attention_heads"], cfg["num_key_value_heads"]
    hd = cfg.get("head_dim") or cfg["hidden_size"] // heads
    n = len(ids)
    scaling = cfg.get("rope_parameters") or cfg.get("rope_scaling")
    theta = (cfg.get("rope_parameters") or cfg)["rope_theta"]
    f = inv_freq(hd, theta, scaling, cfg["max_position_embeddings"], n)
    angle = (torch.arange(n).float()[:, None] * f[None, :]).double()
    c, s = angle.cos(), angle.sin()

    def norm(x, name):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + cfg["rms_norm_eps"]) * d(name + ".weight")

    def lin(x, name, bias):
        y = torch.einsum("tk,nk->tn", x, d(name + ".weight"))
        return y + d(name + ".bias") if bias else y

    def rot(x):  # one head [T, hd]
        a, b = x[:, : hd // 2], x[:, hd // 2 :]
        return torch.cat([a * c - b * s, a * s + b * c], 1)

    def act(x):
        if cfg["hidden_act"] == "silu":
            return x * torch.sigmoid(x)
        if cfg["hidden_act"] == "gelu":
            return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))

    ab, mb = cfg["attention_bias"], cfg["mlp_bias"]
    h = d("model.embed_tokens.weight")[ids]
    hidden_from = torch.ones(n, n).triu(1).bool()
    for l in range(cfg["num_hidden_layers"]):
        p = f"model.layers.{l}."
        x = norm(h, p + "input_layernorm")
        q, k, v = (lin(x, p + f"self_attn.{m}_proj", ab) for m in "qkv")
        out = []
        for i in range(heads):
            j = i * kv // heads
            qi, kj = rot(q[:, i * hd : (i + 1) * hd]), rot(k[:, j * hd : (j + 1) * hd])
            a = (qi @ kj.T / math.sqrt(hd)).masked_fill(hidden_from, -math.inf).softmax(-1)
            out.append(a @ v[:, j * hd : (j + 1) * hd])
        h = h + lin(torch.cat(out, 1), p + "self_attn.o_proj", ab)
        x = norm(h, p + "post_attention_layernorm")
        x = act(lin(x, p + "mlp.gate_proj", mb)) * lin(x, p + "mlp.up_proj", mb)
        h = h + lin(x, p + "mlp.down_proj", mb)
    h = norm(h, "model.norm")
    head = "model.embed_tokens" if cfg["tie_word_embeddings"] else "lm_head"
    return lin(h, head, False)


def write(path, tensors):
    """safetensors by hand: u64 header length, JSON header, data."""
    codes = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32"}
    header, data = {}, b""
    for name, t in tensors.items():
        t = t.contiguous()
        raw = t.view(torch.int16).numpy().tobytes() if t.element_size() == 2 else t.numpy().tobytes()
        header[name] = {"dtype": codes[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def make(name, cfg, dtype, lengths, seed, extra=None):
    g = torch.Generator().manual_seed(seed)
    cfg = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2, **cfg}
    heads, kv, hidden, inter = (cfg[k] for k in ("num_attention_heads", "num_key_value_heads", "hidden_size", "intermediate_size"))
    hd = cfg.get("head_dim") or hidden // heads
    w = {}

    def rand(name, *shape, std=0.3, mean=0.0):
        w[name] = (torch.randn(*shape, generator=g) * std + mean).to(dtype)

    def lin(name, n, k, bias):
        rand(name + ".weight", n, k)
        if bias:
            rand(name + ".bias", n)

    rand("model.embed_tokens.weight", cfg["vocab_size"], hidden, std=1)
    for l in range(cfg["num_hidden_layers"]):
        p = f"model.layers.{l}."
        rand(p + "input_layernorm.weight", hidden, mean=1)
        for m, n in (("q", heads), ("k", kv), ("v", kv)):
            lin(p + f"self_attn.{m}_proj", n * hd, hidden, cfg["attention_bias"])
        lin(p + "self_attn.o_proj", hidden, heads * hd, cfg["attention_bias"])
        rand(p + "post_attention_layernorm.weight", hidden, mean=1)
        lin(p + "mlp.gate_proj", inter, hidden, cfg["mlp_bias"])
        lin(p + "mlp.up_proj", inter, hidden, cfg["mlp_bias"])
        lin(p + "mlp.down_proj", hidden, inter, cfg["mlp_bias"])
    rand("model.norm.weight", hidden, mean=1)
    if not cfg["tie_word_embeddings"]:
        lin("lm_head", cfg["vocab_size"], hidden, False)
    golden = {}
    for i, n in enumerate(lengths):
        ids = torch.randint(0, cfg["vocab_size"], (n,), generator=g)
        golden[f"seq{i}.ids"] = ids.int()
        golden[f"seq{i}.logits"] = forward(cfg, w, ids).float()
    os.makedirs(f"{ROOT}/{name}", exist_ok=True)
    with open(f"{ROOT}/{name}/config.json", "w") as f:
        json.dump(cfg, f, indent=1)
        f.write("\n")
    write(f"{ROOT}/{name}/model.safetensors", {**w, **(extra or {})})
    write(f"{ROOT}/{name}/golden.safetensors", golden)


make("llama3-bias-untied", {
    "vocab_size": 61, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "hidden_act": "silu", "rope_theta": 500.0,
    "rope_scaling": {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 64, "rope_type": "llama3"},
    "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}, torch.bfloat16, [40, 7], 1)

make("dynamic-tied", {
    "vocab_size": 50, "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 2, "max_position_embeddings": 16, "hidden_act": "gelu", "rope_theta": 10000.0,
    "rope_scaling": {"type": "dynamic", "factor": 2.0},
    "attention_bias": True, "mlp_bias": False, "tie_word_embeddings": True, "torch_dtype": "float16",
}, torch.float16, [8, 16, 25], 2)

make("linear-mha", {
    "vocab_size": 33, "hidden_size": 20, "intermediate_size": 28, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "hidden_act": "gelu_pytorch_tanh",
    "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0},
    "attention_bias": False, "mlp_bias": True, "tie_word_embeddings": True, "dtype": "float32",
}, torch.float32, [30, 1], 3, {"model.layers.0.self_attn.rotary_emb.inv_freq": inv_freq(10, 10000.0, None, 64, 1)})

llama31 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
cases = {
    "default-128": (128, 10000.0, None, 4096, 1),
    "llama3-8B": (128, 500000.0, None, 8192, 1),
    "llama3.1-8B": (128, 500000.0, llama31, 131072, 1),
    "llama3.2-1B": (64, 500000.0, {**llama31, "factor": 32.0}, 131072, 1),
    "linear-4": (128, 10000.0, {"type": "linear", "factor": 4.0}, 2048, 1),
    "dynamic-2 at 2048": (128, 10000.0, {"type": "dynamic", "factor": 2.0}, 2048, 2048),
    "dynamic-2 at 2049": (128, 10000.0, {"type": "dynamic", "factor": 2.0}, 2048, 2049),
    "dynamic-2 at 8000": (128, 10000.0, {"type": "dynamic", "factor": 2.0}, 2048, 8000),
}
with open(f"{ROOT}/rope.json", "w") as f:
    json.dump({k: [float(f"{x:.9g}") for x in inv_freq(*v).tolist()] for k, v in cases.items()}, f)
    f.write("\n")
