#!/usr/bin/env python3
"""Adds modules that optimum-quanto 0.2.7 itself quantizes to those of cut.py.

    python3 quanto.py ..        # after cut.py; needs optimum-quanto, torch and safetensors
"""
import hashlib, json, sys

import torch
from optimum.quanto import freeze, qfloat8_e4m3fn, qint2, qint4, qint8, quantization_map, quantize
from safetensors.torch import save_file

out, name = sys.argv[1], 'k_proj'
index = json.load(open(out + '/modules/index.json'))
for label, n, k, kind, dtype in [('quanto-int8', 16, 96, qint8, torch.float32), ('quanto-fp8', 16, 96, qfloat8_e4m3fn, torch.float32), ('quanto-int4', 15, 96, qint4, torch.float32),
                                 ('quanto-int4-groups', 16, 160, qint4, torch.float32), ('quanto-int2-groups', 17, 256, qint2, torch.float32), ('quanto-int4-half', 16, 96, qint4, torch.float16)]:
    torch.manual_seed(len(label))
    model = torch.nn.Module()
    model.self_attn = torch.nn.Module()
    model.self_attn.k_proj = torch.nn.Linear(k, n, bias=False).to(dtype)
    quantize(model, weights=kind)
    freeze(model)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, f'{out}/modules/{label}.safetensors', metadata={'format': 'pt'})
    weight = model.self_attn.k_proj.weight
    for scale in ('_scale', '_shift'):  # values in float32, whatever the scales are
        if hasattr(weight, scale):
            setattr(weight, scale, getattr(weight, scale).float())
    value = weight.dequantize().detach().float().numpy()
    index[label] = {'qmap': quantization_map(model), 'weights': {'self_attn.k_proj.weight': {'shape': [n, k], 'sha256': hashlib.sha256(value.tobytes()).hexdigest()}}}
with open(out + '/modules/index.json', 'w') as f:
    json.dump(index, f, indent=1)
    f.write('\n')
