"""Writes sparse.json beside config.json of each folder of OUT: without the keys whose values the configuration class of
transformers 5.24 has by itself, but for sizes. Both must mean one model.

    python sparse.py OUT
"""
import json, pathlib, sys

import transformers

for path in sorted(pathlib.Path(sys.argv[1]).glob("*/config.json")):
    config = json.loads(path.read_text())
    default = json.loads(transformers.AutoConfig.for_model(config["model_type"]).to_json_string(use_diff=False))
    sparse = {k: v for k, v in config.items() if k in ("model_type", "vocab_size", "hidden_size", "n_layer", "n_head", "num_attention_heads") or k not in default or default[k] != v}
    path.with_name("sparse.json").write_text(json.dumps(sparse, indent=1, sort_keys=True) + "\n")
    print(path.parent.name, len(config), len(sparse))
