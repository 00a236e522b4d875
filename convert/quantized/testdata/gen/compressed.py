#!/usr/bin/env python3
"""Adds modules that compressed-tensors 0.20 itself compresses to those of cut.py: formats that the import oracle lacks.

    python3 compressed.py ..        # after cut.py; needs compressed-tensors, torch and safetensors
"""
import hashlib, json, sys

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationScheme
from safetensors.torch import save_file

out, name = sys.argv[1], 'model.layers.0.self_attn.k_proj'
index = json.load(open(out + '/modules/index.json'))
for label, form, weights in [
    ('ct-fp8-g32', 'naive-quantized', dict(num_bits=8, type='float', strategy='group', group_size=32)),
    ('ct-mxfp8', 'mxfp8-quantized', dict(num_bits=8, type='float', strategy='group', group_size=32, scale_dtype='torch.uint8')),
    ('ct-mxfp6', 'mxfp6-pack-quantized', dict(num_bits=6, type='float', strategy='group', group_size=32, scale_dtype='torch.uint8')),
]:
    torch.manual_seed(len(label))
    weight = torch.randn(16, 96)
    scheme = QuantizationScheme(targets=['Linear'], weights=weights)
    scale = weight.reshape(16, 3, 32).abs().amax(2) / (448 if weights['num_bits'] == 8 else 7.5)
    if 'scale_dtype' in weights:
        scale = 2 ** torch.ceil(torch.log2(scale))
    how = BaseCompressor.get_value_from_registry(form)
    packed = how.compress({'weight': weight, 'weight_scale': scale}, scheme)
    save_file({f'{name}.{k}': v.contiguous() for k, v in packed.items()}, f'{out}/modules/{label}.safetensors', metadata={'format': 'pt'})
    golden = how.decompress(packed, scheme)['weight'].float().numpy()
    config = dict(quant_method='compressed-tensors', format=form, config_groups={'group_0': json.loads(scheme.model_dump_json())}, ignore=['lm_head'])
    index[label] = {'config': config, 'weights': {name + '.weight': {'shape': [16, 96], 'sha256': hashlib.sha256(golden.tobytes()).hexdigest()}}}
with open(out + '/modules/index.json', 'w') as f:
    json.dump(index, f, indent=1)
    f.write('\n')
