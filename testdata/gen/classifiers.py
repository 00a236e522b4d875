"""Tiny checkpoints of classifiers of images and of networks without a head, as transformers saves them, with its results.

    python classifiers.py OUT [NAME..]

Writes OUT/NAME: config.json, preprocessor_config.json, model.safetensors, golden.safetensors (pixel_values [2, C, H, W] and logits, or
last_hidden_state and pooler_output or image_embeds; "picture", logits or pooler_output of testdata/pictures/a.png through the preprocessor). OUT/NAME.2 and so on are further configurations of a family, for
trials; testdata/classifiers has the first of each.
Needs torch, transformers, safetensors.
"""
import json, os, sys
import torch, transformers as t
from PIL import Image
from safetensors.torch import save_file

labels = lambda n: dict(id2label={i: f"thing {i}" for i in range(n)}, label2id={f"thing {i}": i for i in range(n)})
MODELS = {
    "convnext": (t.ConvNextForImageClassification, lambda: t.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1], image_size=32, **labels(5)), lambda: t.ConvNextImageProcessor(size={"shortest_edge": 32})),
    "convnext.2": (t.ConvNextForImageClassification, lambda: t.ConvNextConfig(hidden_sizes=[12, 20], depths=[2, 1], num_stages=2, patch_size=2, layer_scale_init_value=0.0, hidden_act="relu", layer_norm_eps=1e-5, image_size=24, **labels(3)), None),
    "convnextv2": (t.ConvNextV2ForImageClassification, lambda: t.ConvNextV2Config(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1], image_size=32, **labels(5)), lambda: t.ConvNextImageProcessor(size={"shortest_edge": 32})),
    "efficientnet": (t.EfficientNetForImageClassification, lambda: t.EfficientNetConfig(width_coefficient=0.125, depth_coefficient=0.6, hidden_dim=160, image_size=37, in_channels=[32, 16, 24, 40], out_channels=[16, 24, 40, 80], strides=[1, 2, 2, 1], kernel_sizes=[3, 5, 3, 5], depthwise_padding=[2], num_block_repeats=[1, 2, 3, 1], expand_ratios=[1, 6, 4, 6], **labels(5)), lambda: t.EfficientNetImageProcessor(size={"height": 37, "width": 37})),
    "efficientnet.3": (t.EfficientNetForImageClassification, lambda: t.EfficientNetConfig(width_coefficient=0.25, depth_coefficient=0.3, hidden_dim=320, image_size=37, depthwise_padding=[2], num_block_repeats=[1, 2, 4, 1, 1, 1, 1], **labels(5)), None),
    "efficientnet.2": (t.EfficientNetForImageClassification, lambda: t.EfficientNetConfig(width_coefficient=0.5, depth_coefficient=1.1, hidden_dim=640, image_size=64, hidden_act="relu", pooling_type="max", depthwise_padding=[1, 3, 5], batch_norm_eps=1e-5, in_channels=[32, 16, 24], out_channels=[16, 24, 40], strides=[1, 2, 2], kernel_sizes=[3, 5, 3], num_block_repeats=[1, 2, 2], expand_ratios=[1, 4, 6], **labels(4)), None),
    "regnet": (t.RegNetForImageClassification, lambda: t.RegNetConfig(embedding_size=8, hidden_sizes=[16, 24, 32], depths=[1, 2, 1], groups_width=8, **labels(5)), lambda: t.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875)),
    "regnet.2": (t.RegNetForImageClassification, lambda: t.RegNetConfig(embedding_size=12, hidden_sizes=[16, 40], depths=[2, 1], groups_width=16, layer_type="x", downsample_in_first_stage=False, hidden_act="silu", num_channels=1, **labels(3)), lambda: t.ConvNextImageProcessor(size={"shortest_edge": 32}, image_mean=[0.5], image_std=[0.25])),
    "vit": (t.ViTForImageClassification, lambda: t.ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32, patch_size=8, **labels(5)), lambda: t.ViTImageProcessor(size={"height": 32, "width": 32})),
    "vit.2": (t.ViTForImageClassification, lambda: t.ViTConfig(hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40, image_size=28, patch_size=14, qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-6, num_channels=1, **labels(3)), None),
    "deit": (t.DeiTForImageClassification, lambda: t.DeiTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32, patch_size=8, **labels(5)), lambda: t.DeiTImageProcessor(size={"height": 36, "width": 36}, crop_size={"height": 32, "width": 32})),
    "deit.2": (t.DeiTForImageClassificationWithTeacher, lambda: t.DeiTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, image_size=24, patch_size=8, **labels(4)), None),
    "dinov2": (t.Dinov2ForImageClassification, lambda: t.Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=28, patch_size=14, **labels(5)), lambda: t.BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28})),
    "vit-bare": (t.ViTModel, lambda: t.ViTConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=40, image_size=32, patch_size=16, pooler_output_size=20), lambda: t.ViTImageProcessor(size={"height": 32, "width": 32})),
    "vit-bare.2": (t.ViTModel, lambda: t.ViTConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=40, image_size=[16, 32], patch_size=16, pooler_act="gelu"), None),
    "deit-bare.2": (t.DeiTModel, lambda: t.DeiTConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=40, image_size=32, patch_size=16), None),
    "dinov2-bare": (t.Dinov2Model, lambda: t.Dinov2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=2, image_size=42, patch_size=7), lambda: t.BitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 35, "width": 28})),
    "dinov2-bare.2": (t.Dinov2Model, lambda: t.Dinov2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=7), lambda: t.BitImageProcessor(size={"shortest_edge": 60}, crop_size={"height": 58, "width": 44})),
    "dinov2.3": (t.Dinov2ForImageClassification, lambda: t.Dinov2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=2, image_size=70, patch_size=14, **labels(3)), lambda: t.BitImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 42, "width": 42})),
    "clip-vision": (t.CLIPVisionModelWithProjection, lambda: t.CLIPVisionConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, image_size=32, patch_size=8, projection_dim=20, layer_norm_eps=1e-3), lambda: t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})),
    "clip-vision.2": (t.CLIPVisionModel, lambda: t.CLIPVisionConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=40, image_size=35, patch_size=8, hidden_act="gelu", num_channels=1), None),
    "clip-vision.3": (t.CLIPModel, lambda: t.CLIPConfig(vision_config=dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40, image_size=28, patch_size=14), projection_dim=20,
        text_config=dict(vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)), None),
    "siglip-vision": (t.SiglipVisionModel, lambda: t.SiglipVisionConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, image_size=32, patch_size=8, layer_norm_eps=1e-3), lambda: t.SiglipImageProcessor(size={"height": 32, "width": 32})),
    "siglip-vision.2": (t.SiglipVisionModel, lambda: t.SiglipVisionConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=40, image_size=35, patch_size=8, hidden_act="relu", vision_use_head=False), None),
    "siglip-vision.3": (t.SiglipModel, lambda: t.SiglipConfig(vision_config=dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40, image_size=28, patch_size=14),
        text_config=dict(vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, projection_size=24)), None),
    "dinov2.2": (t.Dinov2ForImageClassification, lambda: t.Dinov2Config(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=4, use_swiglu_ffn=True, qkv_bias=False, image_size=28, patch_size=7, **labels(3)), None),
}


def one(name, out):
    cls, config, processor = MODELS[name]
    torch.manual_seed(sum(map(ord, name)))
    cfg = config()
    whole = m = cls(cfg).eval()
    if hasattr(cfg, "vision_config"):  # of pictures and text: its part for pictures
        cfg, m = cfg.vision_config, m.vision_model
    size = getattr(cfg, "image_size", 32)
    h, w = size if isinstance(size, (list, tuple)) else (size, size)
    crop = getattr(processor(), "crop_size", None) if processor and "dinov2" in name else None
    if crop:
        h, w = crop["height"], crop["width"]
    with torch.no_grad():
        for k, p in m.named_parameters():
            if p.dim() > 1:
                p.copy_(torch.randn(p.shape) * (1.6 / p[0].numel()) ** 0.5 if p.shape[0] > 1 else torch.randn(p.shape) * 0.3)
            else:
                p.copy_(torch.randn(p.shape) * 0.2 + (1.0 if k.endswith("weight") or "layer_scale" in k or "lambda" in k else 0))
        x = torch.nn.functional.interpolate(torch.randn(6, cfg.num_channels, 5, 5), size=(h, w), mode="bilinear") + 0.2 * torch.randn(6, cfg.num_channels, h, w)
        for k in m.modules():
            if isinstance(k, torch.nn.BatchNorm2d):
                k.momentum = None
                k.train()
        m(x)
        m.eval()
        y = m(x[:2])
        y = {k: y[k].contiguous() for k in ("logits", "last_hidden_state", "pooler_output", "image_embeds") if k in y and y[k] is not None}
        if hasattr(whole, "visual_projection") and m is not whole:
            y = {"last_hidden_state": y["last_hidden_state"], "image_embeds": whole.visual_projection(y["pooler_output"])}
    d = os.path.join(out, name)
    whole.save_pretrained(d)
    if name.startswith("clip") and m is not whole:  # whose text part is taken otherwise
        c = json.load(open(os.path.join(d, "config.json")))
        json.dump(c | {"architectures": ["CLIPVisionModelWithProjection"]}, open(os.path.join(d, "config.json"), "w"), indent=2)
    if processor:
        processor().save_pretrained(d)
    gold = {"pixel_values": x[:2].contiguous(), **y}
    if processor and cfg.num_channels == 3:
        with torch.no_grad():
            gold["picture"] = m(**processor()(Image.open(os.path.join(os.path.dirname(__file__), "../pictures/a.png")).convert("RGB"), return_tensors="pt"))[list(y)[-1]].contiguous()
    save_file(gold, os.path.join(d, "golden.safetensors"))


for name in sys.argv[2:] or MODELS:
    one(name, sys.argv[1])
    print(name)
