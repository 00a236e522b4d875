#!/usr/bin/env python3
"""Adds modules of small Llamas that AMD Quark 0.13 quantizes and exports to those of cut.py, with the weights that it computes with.

    python3 amd.py ..        # after cut.py; needs amd-quark, onnxslim, torch, transformers and safetensors
"""
import hashlib, json, os, sys, tempfile

import torch
from quark.torch import ModelQuantizer, export_safetensors
from quark.torch.quantization.config import config as c
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

out, name = sys.argv[1], 'model.layers.0.self_attn.k_proj'
index = json.load(open(out + '/modules/index.json'))
fixed, plain = dict(is_dynamic=False), dict(is_dynamic=False, scale_type='float')
kinds = {
    'quark-fp8': (c.FP8E4M3PerTensorSpec(observer_method='min_max', **fixed), c.FP8E4M3PerTensorSpec(observer_method='min_max', **fixed)),
    'quark-fp8-rows': (c.FP8E4M3PerChannelSpec(ch_axis=0, **fixed), c.FP8E4M3PerChannelSpec(ch_axis=1, is_dynamic=True)),
    'quark-uint4': (c.Uint4PerGroupSpec(ch_axis=-1, group_size=32, **plain), None),
    'quark-int4': (c.Int4PerGroupSpec(ch_axis=-1, group_size=32, **plain), None),
    'quark-int8': (c.Int8PerTensorSpec(observer_method='min_max', symmetric=True, round_method='half_even', **plain), None),
    'quark-int8-rows': (c.Int8PerChannelSpec(symmetric=False, round_method='half_even', ch_axis=0, **plain), None),
    'quark-mxfp4': (c.OCP_MXFP4Spec(ch_axis=-1, **fixed), c.OCP_MXFP4Spec(ch_axis=-1, is_dynamic=True)),
}
for label, (weight, inputs) in kinds.items():
    torch.manual_seed(len(label))
    model = LlamaForCausalLM(LlamaConfig(hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, head_dim=16, vocab_size=32))
    model.name_or_path = ''
    spec = c.QLayerConfig(weight=weight.to_quantization_spec(), input_tensors=inputs.to_quantization_spec() if inputs else None)
    quantizer = ModelQuantizer(c.QConfig(global_quant_config=spec, exclude=['lm_head']))
    model = quantizer.freeze(quantizer.quantize_model(model, torch.utils.data.DataLoader([torch.randint(3, 30, (16,))], batch_size=1)))
    module = model.get_submodule(name)
    value = module.get_quant_weight(module.weight).detach().float().clone().numpy()
    with tempfile.TemporaryDirectory() as d, torch.no_grad():
        export_safetensors(model=model, output_dir=d)
        tensors = {k: v for k, v in load_file(d + '/model.safetensors').items() if k.startswith(name + '.')}
        config = json.load(open(d + '/config.json'))['quantization_config']
    save_file(tensors, f'{out}/modules/{label}.safetensors', metadata={'format': 'pt'})
    os.chmod(f'{out}/modules/{label}.safetensors', 0o644)
    index[label] = {'config': config, 'weights': {name + '.weight': {'shape': list(value.shape), 'sha256': hashlib.sha256(value.tobytes()).hexdigest()}}}
with open(out + '/modules/index.json', 'w') as f:
    json.dump(index, f, indent=1)
    f.write('\n')
