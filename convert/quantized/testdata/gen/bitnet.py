#!/usr/bin/env python3
"""Adds modules of BitNet to those of cut.py, packed and unpacked by transformers 5.24.

    python3 bitnet.py ..        # after cut.py; needs transformers, torch and safetensors
"""
import hashlib, json, sys

import torch

torch.compile = lambda f=None, **_: f  # unpacking needs no compiler
from safetensors.torch import save_file
from transformers.integrations.bitnet import pack_weights, unpack_weights

out, name = sys.argv[1], 'model.layers.0.self_attn.k_proj'
index = json.load(open(out + '/modules/index.json'))
for label, linear, dtype in [('bitnet', None, torch.float32), ('bitnet-auto', 'autobitlinear', torch.bfloat16)]:
    torch.manual_seed(len(label))
    scale = (torch.rand(1) + .5).to(dtype)
    packed = pack_weights(torch.randint(-1, 2, (24, 96)).float())
    save_file({name + '.weight': packed, name + '.weight_scale': scale}, f'{out}/modules/{label}.safetensors', metadata={'format': 'pt'})
    codes = unpack_weights(packed, torch.float32)
    value = codes * scale.float() if linear else codes / scale
    config = dict(quant_method='bitnet', modules_to_not_convert=None, **(dict(linear_class=linear, quantization_mode='offline') if linear else {}))
    index[label] = {'config': config, 'weights': {name + '.weight': {'shape': [24, 96], 'sha256': hashlib.sha256((value + 0.).numpy().tobytes()).hexdigest()}}}
with open(out + '/modules/index.json', 'w') as f:
    json.dump(index, f, indent=1)
    f.write('\n')
