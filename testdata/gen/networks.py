"""Networks of torchvision, transformers and diffusers with random weights as bench/vision reads them.

    python networks.py OUT [NAME..]     # python networks.py --list

Writes NAME.pt2, NAME.golden.safetensors (input.I, output.I: one row) and manifest.json: for each output how far FP32 is from FP64 at most.
torchvision's are of full size; the others have their classes and few layers. Statistics of batch norms come from the picture, so activations keep sane ranges.
"""
import copy, json, os, sys, warnings

warnings.filterwarnings("ignore")
import torch, torch.nn as nn, torch.nn.functional as F
from safetensors.torch import save_file

NETS = {}


def net(name, *shapes):
    def wrap(build):
        NETS[name] = (build, shapes)
        return build
    return wrap


class Out(nn.Module):
    """A module of transformers or diffusers, of whose result these fields are given."""
    def __init__(self, m, *fields, call=None):
        super().__init__()
        self.m, self.fields, self.call = m, fields, call

    def forward(self, *x):
        y = (self.call or self.m)(*x)
        return tuple(getattr(y, f) for f in self.fields) if self.fields else y


def vision(name, size=224):
    @net("tv_" + name, (3, size, size))
    def _():
        import torchvision.models as M
        kw = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        return getattr(M, name)(weights=None, **kw)


for n in ("squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small", "mobilenet_v2", "mnasnet0_5", "regnet_y_400mf", "efficientnet_b0", "googlenet", "resnet18", "densenet121", "resnet50",
          "resnext50_32x4d", "efficientnet_v2_s", "convnext_tiny", "swin_t", "swin_v2_t", "vit_b_16", "alexnet", "vgg11", "vgg11_bn"):
    vision(n)
vision("inception_v3", 299)


@net("tv_lraspp", (3, 96, 96))
def _():
    import torchvision.models.segmentation as S
    return S.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)


@net("tv_deeplabv3", (3, 65, 65))
def _():
    import torchvision.models.segmentation as S
    return S.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None)


@net("tv_maxvit", (3, 64, 64))
def _():
    from torchvision.models.maxvit import MaxVit
    return MaxVit((64, 64), 16, 2, [16, 32], [2, 1], 8, 0.0, num_classes=10)


def small(name, *shape, **kw):
    """A network of torchvision, whatever it is for, on small pictures."""
    @net("all_" + name, shape)
    def _():
        import torchvision.models as M
        known = {"weights_backbone": None} if name.startswith(("fcn", "deeplab", "lraspp", "retinanet", "ssd", "fasterrcnn", "fcos", "maskrcnn", "keypointrcnn")) else {}
        return M.get_model(name, weights=None, **known, **kw)


for n in ("convnext_small", "densenet161", "densenet169", "densenet201", "efficientnet_b1", "efficientnet_b3", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3", "mobilenet_v3_large", "regnet_x_400mf", "regnet_x_3_2gf", "regnet_y_1_6gf", "resnet34", "resnet101", "resnext101_64x4d",
          "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "squeezenet1_0", "swin_s", "vgg13_bn", "vgg16", "vgg19", "wide_resnet50_2", "fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50"):
    small(n, 3, 64, 64)
small("vit_b_32", 3, 224, 224)
small("maxvit_t", 3, 224, 224)
for n in ("r3d_18", "mc3_18", "r2plus1d_18"):
    small(n, 3, 8, 32, 32)
small("s3d", 3, 16, 64, 64)
small("mvit_v1_b", 3, 16, 224, 224)
small("mvit_v2_s", 3, 16, 224, 224)
small("swin3d_t", 3, 8, 64, 64)
for n in ("retinanet_resnet50_fpn", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"):
    @net("det_" + n, (3, 96, 96))
    def _(name=n):
        import torchvision.models as M

        class Whole(nn.Module):
            def __init__(self):
                super().__init__()
                self.m = M.get_model(name, weights=None, weights_backbone=None)

            def forward(self, x):
                y = self.m([x[0]])[0]
                return y["boxes"], y["scores"], y["labels"]
        return Whole()

    @net("heads_" + n, (3, 96, 96))
    def _(name=n):
        import torchvision.models as M

        class Heads(nn.Module):
            """What such a network computes before its boxes are chosen: features, and of one-stage ones scores and regressions."""
            def __init__(self):
                super().__init__()
                self.m = M.get_model(name, weights=None, weights_backbone=None)

            def forward(self, x):
                f = list(self.m.backbone(x).values())
                if hasattr(self.m, "rpn"):
                    return tuple(f) + tuple(t for l in self.m.rpn.head(f) for t in l)
                return tuple(v for k, v in self.m.head(f).items())
        return Heads()


@net("flow_raft_small", (3, 128, 128), (3, 128, 128))
def _():
    import torchvision.models as M
    m = M.optical_flow.raft_small(weights=None)
    return Out(m, call=lambda a, b: tuple(m(a, b, num_flow_updates=2)))


@net("hand_espcn", (1, 24, 32))
def _():
    return nn.Sequential(nn.Conv2d(1, 64, 5, padding=2), nn.Tanh(), nn.Conv2d(64, 32, 3, padding=1), nn.PReLU(), nn.Conv2d(32, 9, 3, padding=1), nn.PixelShuffle(3), nn.Sigmoid())


@net("hand_esrgan", (3, 16, 16))
def _():
    class Dense(nn.Module):
        def __init__(self, f=16, g=8):
            super().__init__()
            self.c = nn.ModuleList([nn.Conv2d(f + i * g, g if i < 4 else f, 3, 1, 1) for i in range(5)])
            self.act = nn.LeakyReLU(0.2, inplace=True)

        def forward(self, x):
            f = [x]
            for i in range(4):
                f.append(self.act(self.c[i](torch.cat(f, 1))))
            return self.c[4](torch.cat(f, 1)) * 0.2 + x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.d, self.b, self.u, self.o = nn.Conv2d(3, 16, 3, 1, 1), Dense(), nn.Conv2d(16, 16, 3, 1, 1), nn.Conv2d(16, 16, 3, 1, 1), nn.Conv2d(16, 3, 3, 1, 1)
            self.act = nn.LeakyReLU(0.2, inplace=True)

        def forward(self, x):
            y = self.a(x)
            y = y + self.b(self.d(y))
            return self.o(self.act(self.u(F.interpolate(y, scale_factor=2, mode="nearest"))))
    return Net()


@net("hand_unet", (3, 32, 32))
def _():
    class Block(nn.Module):
        def __init__(self, i, o):
            super().__init__()
            self.n = nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(True), nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(True))

        def forward(self, x):
            return self.n(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d, self.e = Block(3, 16), Block(16, 32), Block(32, 64), Block(64, 32), Block(32, 16)
            self.u, self.o = nn.ConvTranspose2d(64, 32, 2, 2), nn.Conv2d(16, 2, 1)
            self.up = nn.Conv2d(32, 16, 1)

        def forward(self, x):
            a = self.a(x); b = self.b(F.max_pool2d(a, 2)); y = self.c(F.max_pool2d(b, 2))
            y = self.d(torch.cat([self.u(y), b], 1))
            y = self.up(F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True))
            return self.o(self.e(torch.cat([y, a], 1)))
    return Net()


def hf(name, *shapes):
    def wrap(build):
        @net("hf_" + name, *shapes)
        def _():
            import transformers
            m = build(transformers)
            for p in m.modules():
                if hasattr(p, "config") and hasattr(p.config, "return_dict"):
                    p.config.return_dict = True
            return m
        return build
    return wrap


@hf("bert-tiny", ("int", 512, 12))
def _(t):
    return Out(t.BertModel(t.BertConfig(vocab_size=512, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512)), "last_hidden_state", "pooler_output")


@hf("clip", ("int", 99, 8), (3, 64, 64))
def _(t):
    c = t.CLIPConfig(text_config=dict(vocab_size=99, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=16, eos_token_id=98, bos_token_id=97, pad_token_id=1),
                     vision_config=dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=64, patch_size=16), projection_dim=32)
    return Out(t.CLIPModel(c), "logits_per_image", "text_embeds", "image_embeds")


@hf("clip-vision", (3, 64, 64))
def _(t):
    return Out(t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=64, patch_size=16, projection_dim=32)), "image_embeds")


@hf("convnextv2", (3, 64, 64))
def _(t):
    return Out(t.ConvNextV2ForImageClassification(t.ConvNextV2Config(hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1], num_labels=10)), "logits")


@hf("depth-anything", (3, 70, 84))
def _(t):
    c = t.DepthAnythingConfig(backbone_config=t.Dinov2Config(hidden_size=64, num_hidden_layers=4, num_attention_heads=4, image_size=70, patch_size=14, out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False),
                              reassemble_hidden_size=64, neck_hidden_sizes=[16, 24, 32, 40], fusion_hidden_size=16, patch_size=14)
    return Out(t.DepthAnythingForDepthEstimation(c), "predicted_depth")


@hf("detr", (3, 64, 96))
def _(t):
    b = t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"])
    c = t.DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=b, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
                     encoder_ffn_dim=128, decoder_ffn_dim=128, num_queries=10, num_labels=5)
    return Out(t.DetrForObjectDetection(c), "logits", "pred_boxes")


@hf("dinov2", (3, 56, 56))
def _(t):
    return Out(t.Dinov2ForImageClassification(t.Dinov2Config(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14, num_labels=10)), "logits")


@hf("mobilenet_v1", (3, 96, 96))
def _(t):
    return Out(t.MobileNetV1ForImageClassification(t.MobileNetV1Config(depth_multiplier=0.25, num_labels=10)), "logits")


@hf("mobilenet_v2", (3, 96, 96))
def _(t):
    return Out(t.MobileNetV2ForImageClassification(t.MobileNetV2Config(depth_multiplier=0.35, num_labels=10)), "logits")


@hf("resnet", (3, 64, 64))
def _(t):
    return Out(t.ResNetForImageClassification(t.ResNetConfig(embedding_size=16, hidden_sizes=[32, 64, 96, 128], depths=[1, 2, 1, 1], num_labels=10)), "logits")


@hf("sam-vision", (3, 64, 64))
def _(t):
    return Out(t.SamVisionModel(t.SamVisionConfig(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=64, patch_size=8, output_channels=16, window_size=3, global_attn_indexes=[1], mlp_dim=64)), "last_hidden_state")


@hf("segformer", (3, 64, 64))
def _(t):
    return Out(t.SegformerForSemanticSegmentation(t.SegformerConfig(hidden_sizes=[16, 32, 40, 64], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 5, 8], decoder_hidden_size=32, num_labels=7)), "logits")


@hf("vit", (3, 64, 64))
def _(t):
    return Out(t.ViTForImageClassification(t.ViTConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, image_size=64, num_labels=10)), "logits")


@hf("yolos", (3, 64, 96))
def _(t):
    return Out(t.YolosForObjectDetection(t.YolosConfig(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128, image_size=[48, 64], patch_size=16, num_detection_tokens=5, num_labels=4)), "logits", "pred_boxes")


@hf("swin", (3, 64, 64))
def _(t):
    return Out(t.SwinForImageClassification(t.SwinConfig(embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, image_size=64, num_labels=10)), "logits")


@hf("deit", (3, 64, 64))
def _(t):
    return Out(t.DeiTForImageClassification(t.DeiTConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, image_size=64, num_labels=10)), "logits")


@hf("beit", (3, 64, 64))
def _(t):
    return Out(t.BeitForImageClassification(t.BeitConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, image_size=64, num_labels=10)), "logits")


@net("df_vae-encoder", (3, 32, 32))
def _():
    import diffusers
    m = diffusers.AutoencoderKL(block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2, layers_per_block=1, norm_num_groups=8)
    return Out(m, "mean", "std", call=lambda x: m.encode(x).latent_dist)


@net("df_vae-decoder", (4, 16, 16))
def _():
    import diffusers
    m = diffusers.AutoencoderKL(block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2, layers_per_block=1, norm_num_groups=8)
    return Out(m, "sample", call=m.decode)


@net("df_unet2dcond", (4, 16, 16), (7, 32))
def _():
    import diffusers
    m = diffusers.UNet2DConditionModel(sample_size=16, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32, attention_head_dim=8, norm_num_groups=8,
                                       down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    return Out(m, "sample", call=lambda x, c: m(x, 7, c))


def timm_net(name, size=64, **kw):
    @net("timm_" + name, (3, size, size))
    def _():
        import timm
        return timm.create_model(name, pretrained=False, num_classes=10, **kw)


for n in ("efficientnet_lite0", "ghostnet_100", "hrnet_w18_small", "repvgg_a0", "mobilevit_xxs", "edgenext_xx_small", "poolformer_s12", "mixer_s32_224", "res2net50_14w_8s", "resnest14d", "ese_vovnet19b_dw",
          "regnetx_002", "regnety_002", "rexnet_100", "tf_mixnet_s", "fbnetc_100", "hardcorenas_a", "lcnet_050", "mobileone_s0", "fastvit_t8", "efficientformer_l1", "levit_128s", "skresnet18", "dla34", "cspresnet50", "nf_resnet50", "xception41", "convmixer_768_32"):
    timm_net(n, **({"img_size": 64} if n.startswith("mixer") else {}), size=224 if n in ("efficientformer_l1", "levit_128s") else 64)


def leaves(y):
    if isinstance(y, torch.Tensor):
        return [y]
    if isinstance(y, dict):
        y = list(y.values())
    return [t for k in y for t in leaves(k)] if isinstance(y, (list, tuple)) else []


def inputs(shapes):
    for s in shapes:
        if s[0] == "int":
            x = torch.randint(0, s[1], (1, *s[2:]))
            x[:, -1] = s[1] - 1
            yield x
        elif len(s) == 4:
            yield torch.randn(1, *s)
        elif len(s) == 3:
            yield F.interpolate(torch.randn(1, s[0], max(s[1] // 8, 2), max(s[2] // 8, 2)), size=s[1:], mode="bilinear") + 0.2 * torch.randn(1, *s)
        else:
            yield torch.randn(1, *s)


def one(name, out):
    build, shapes = NETS[name]
    torch.manual_seed(3)
    m = build().eval()
    x = tuple(inputs(shapes))
    with torch.no_grad():
        for k in m.modules():
            if isinstance(k, nn.modules.batchnorm._BatchNorm):
                k.train()
                k.momentum = None
                k.reset_running_stats()
        try:
            m(*(torch.cat([t, t.flip(-1) * 0.9, t + 0.1]) if t.is_floating_point() else t.repeat(3, 1) for t in x))
        except Exception as e:
            print(name, "statistics:", e, file=sys.stderr)
        m.eval()
        want = leaves(m(*x))
        try:
            exact = leaves(copy.deepcopy(m).double()(*(t.double() if t.is_floating_point() else t for t in x)))
            away = [float((a.double() - b).abs().max()) for a, b in zip(want, exact)]
        except Exception as e:
            print(name, "in double:", str(e)[:200], file=sys.stderr)
            away = [1e-6 * float(w.abs().max()) for w in want]
        ep = torch.export.export(m, x)
        for n in ep.graph.nodes:
            n.meta.pop("stack_trace", None)
        torch.export.save(ep, os.path.join(out, name + ".pt2"))
    save_file({**{f"input.{i}": t for i, t in enumerate(x)}, **{f"output.{i}": t.contiguous().clone() for i, t in enumerate(want)}}, os.path.join(out, name + ".golden.safetensors"))
    return {"name": name, "f32_vs_f64_max_abs": away}


def main():
    if sys.argv[1] == "--list":
        print("\n".join(NETS))
        return
    out, names = sys.argv[1], sys.argv[2:] or list(NETS)
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, "manifest.json")
    done = {c["name"]: c for c in (json.load(open(path)) if os.path.exists(path) else [])}
    for name in names:
        try:
            done[name] = one(name, out)
            print(name, flush=True)
        except Exception as e:
            print(f"{name}: {type(e).__name__}: {str(e)[:300]}", file=sys.stderr, flush=True)
        json.dump(list(done.values()), open(path, "w"), indent=1)


main()
