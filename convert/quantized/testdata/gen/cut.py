#!/usr/bin/env python3
"""Cuts modules out of the checkpoints of the import oracle, which the tools themselves wrote.

    python3 cut.py ../../../../../shared/oracle/import ..

For each checkpoint one or two quantized modules: modules/NAME.safetensors as stored (with the header's metadata) and in
modules/index.json the quantization's config and, for each weight, shape and SHA-256 of its float32 values in the oracle's
dequant.safetensors. A few checkpoints are taken whole, with the ids and logits of one prompt, into whole/NAME.
"""
import gzip, hashlib, json, os, shutil, struct, sys

src, out = sys.argv[1], sys.argv[2]
TAILS = {'gptq-4b-g128-tail', 'fp8-block128-tail', 'ct-fp8-block', 'gptq-4b-g128-descact-asym', 'mlx-mixed_3_6'}
WHOLE = ['gptq-4b-g32-descact', 'awq-gemm-g128', 'ct-w4a16-g32-asym', 'bnb-nf4-dq', 'mlx-4b-g64', 'mxfp4-gpt-oss', 'bnb-int8', 'hqq-4b-g64-axis0']


def load(b):
    n = struct.unpack('<Q', b[:8])[0]
    h = json.loads(b[8:8 + n])
    meta = h.pop('__metadata__', {})
    return {k: (v['dtype'], v['shape'], b[8 + n + v['data_offsets'][0]:8 + n + v['data_offsets'][1]]) for k, v in h.items()}, meta


def save(path, tensors, meta):
    h, off = {'__metadata__': meta}, 0
    for k, (dtype, shape, b) in tensors.items():
        h[k] = {'dtype': dtype, 'shape': shape, 'data_offsets': [off, off + len(b)]}
        off += len(b)
    text = json.dumps(h, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + b''.join(b for _, _, b in tensors.values()))


index = {}
for name in sorted(os.listdir(src)):
    d = os.path.join(src, name)
    if not os.path.exists(d + '/model.safetensors'):
        continue
    tensors, meta = load(open(d + '/model.safetensors', 'rb').read())
    golden = d + '/dequant.safetensors.gz'
    if name == 'ct-w8a8-dyn-asym':
        golden = src + '/ct-w8a8-dyn/dequant.safetensors.gz'
    want, _ = load(gzip.open(golden).read())
    pick = [k for k in want if 'layers.0.self_attn.k_proj' in k or name in TAILS and 'layers.0.mlp.down_proj' in k or 'layers.0.mlp.experts.down_proj' in k]
    mods = [k.removesuffix('.weight') for k in pick]
    part = {k: v for k, v in tensors.items() if any(k.startswith(m + '.') or k.startswith(m + '_') for m in mods)}
    config = json.load(open(d + '/config.json'))
    key = 'quantization_config' if 'quantization_config' in config else 'quantization'
    meta = {k: v for k, v in meta.items() if k == 'format' or any(k.startswith(m) for m in mods)}
    save(f'{out}/modules/{name}.safetensors', dict(sorted(part.items())), meta)
    index[name] = {'config': config[key], 'weights': {k: {'shape': want[k][1], 'sha256': hashlib.sha256(want[k][2]).hexdigest()} for k in pick}}
    if name in WHOLE:
        to = f'{out}/whole/{name}'
        os.makedirs(to, exist_ok=True)
        for f in ('config.json', 'model.safetensors'):
            shutil.copyfile(f'{d}/{f}', f'{to}/{f}')
        g, _ = load(open(d + '/goldens.safetensors', 'rb').read())
        save(to + '/goldens.safetensors', {k.replace('prompt0', 'prompt'): v for k, v in g.items() if k in ('prompt0.ids', 'prompt0.logits')}, {})
with open(out + '/modules/index.json', 'w') as f:
    json.dump(index, f, indent=1)
    f.write('\n')
