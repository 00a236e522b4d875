"""Pictures of many kinds and sizes as transformers' image processors make inputs of them, for QPT_PICTURES of TestProcessors in convert.

    python processors.py OUT [--cases N] [--seed S] [--pil] [--small]

Nearest, box and Hamming are Pillow's (torchvision rounds ties of places otherwise, and has no others); the rest torchvision's, which like Pillow before
version 13 resizes along rows first, and cuts pictures that are too small with the odd line behind, where the other backend has it in front.

Writes OUT/pictures and OUT/CASE: config.json, preprocessor_config.json (keys left out, null and of every kind by chance), golden.safetensors: NAME of a
picture, [1, 3, H, W]. Needs torch, torchvision, transformers, Pillow, numpy, safetensors.
"""
import argparse, json, os, random, shutil, warnings
warnings.filterwarnings("ignore")
import numpy as np, torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoImageProcessor
from transformers.image_utils import load_image

SIZES = [(1, 1), (1, 7), (9, 2), (3, 200), (200, 3), (31, 33), (32, 32), (33, 31), (64, 48), (47, 63), (100, 37), (53, 211), (225, 224), (640, 480), (601, 800), (1500, 333)]
MODELS = {"resnet": {"embedding_size": 8, "hidden_sizes": [8], "depths": [1], "layer_type": "basic"}, "vit": {}, "deit": {}, "dinov2": {}, "mobilenet_v1": {}, "mobilenet_v2": {}, "efficientnet": {}, "convnext": {}}
KINDS = ["ViT", "DeiT", "Bit", "CLIP", "ConvNext", "MobileNetV1", "MobileNetV2", "EfficientNet", "Siglip", "Beit", "Blip", "Pvt"]
HALF, NETS, CLIP = ([.5] * 3, [.5] * 3), ([.485, .456, .406], [.229, .224, .225]), ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])


def pictures(out, rng, sizes):
    os.makedirs(out, exist_ok=True)
    names = []
    for i, (w, h) in enumerate(sizes):
        y, x = np.mgrid[:h, :w]
        f = rng.uniform(0.02, 0.4, 6)
        base = np.stack([127 + 120 * np.sin(x * f[0] + y * f[1]), 127 + 127 * np.cos(x * f[2]) * np.sin(y * f[3]), 255 * ((x * f[4] + y * f[5]) % 1)], -1)
        a = np.clip(base + rng.normal(0, 25, base.shape), 0, 255).astype(np.uint8)
        smooth = Image.fromarray(np.clip(base * [1, 1, 0] + 60, 0, 255).astype(np.uint8))
        im = Image.fromarray(a)

        def put(name, picture, **kw):
            picture.save(os.path.join(out, name), **kw)
            names.append(name)
        exif = Image.Exif()
        exif[274] = i % 8 + 1
        kinds = {"rgb.png": lambda n: put(n, im), "gray.png": lambda n: put(n, im.convert("L")), "rgba.png": lambda n: put(n, Image.merge("RGBA", (*im.split(), im.getchannel(2)))), "la.png": lambda n: put(n, Image.merge("LA", (im.getchannel(0), im.getchannel(1)))),
                 "palette.png": lambda n: put(n, im.quantize(37)), "bits.png": lambda n: put(n, im.convert("1")), "web.png": lambda n: put(n, im.convert("P"), bits=8),
                 "exif.png": lambda n: put(n, im, exif=exif), "exif.jpg": lambda n: put(n, smooth, exif=exif, quality=95), "s420.jpg": lambda n: put(n, smooth, quality=85), "s444.jpg": lambda n: put(n, smooth, quality=95, subsampling=0), "s422.jpg": lambda n: put(n, smooth, quality=90, subsampling=1),
                 "prog.jpg": lambda n: put(n, smooth, progressive=True, quality=80), "gray.jpg": lambda n: put(n, smooth.convert("L")), "cmyk.jpg": lambda n: put(n, smooth.convert("CMYK"), quality=92)}
        for kind in [list(kinds)[(3 * i + k) % len(kinds)] for k in range(6)]:
            kinds[kind](f"{w}x{h}.{kind}")
    return names


def config(r, pil):
    kind, model = r.choice(KINDS), r.choice(list(MODELS))
    n = r.choice([32, 33, 40, 48, 64])
    square = {"height": n, "width": r.choice([n, n, n + 8, 32])}
    c = {"image_processor_type": kind + r.choice(["ImageProcessor", "ImageProcessorFast", "FeatureExtractor"] if kind in ("ViT", "DeiT", "CLIP", "ConvNext", "MobileNetV1") else ["ImageProcessor"])}
    if r.random() < 0.15:
        c, model = {}, r.choice(["vit", "deit", "dinov2", "mobilenet_v1", "mobilenet_v2", "efficientnet", "convnext", "resnet"])
        kind = {"vit": "ViT", "deit": "DeiT", "dinov2": "Bit", "mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2", "efficientnet": "EfficientNet"}.get(model, "ConvNext")
    if c.get("image_processor_type", "").endswith("FeatureExtractor"):
        c = {"feature_extractor_type": c["image_processor_type"]}
    if kind == "ConvNext":
        c["size"] = r.choice([{"shortest_edge": n}, n, {"shortest_edge": 400}])
        if r.random() < 0.5:
            c["crop_pct"] = r.choice([0.875, 0.9, 1.0, 0.95])
    elif r.random() < 0.85:
        cuts = r.random() < 0.6
        c["do_center_crop"] = cuts
        c["size"] = r.choice([square, n, {"shortest_edge": n}]) if cuts else r.choice([square, n] if kind in ("ViT", "DeiT", "EfficientNet", "Beit", "Blip", "Pvt") else [square])
        if cuts and r.random() < 0.9:
            m = n + r.choice([0, 0, -1, -4 if n > 40 else 0, -7 if n > 40 else 0] + [1, 5, 12] * (not pil))
            c["crop_size"] = r.choice([m, {"height": m, "width": m}, {"height": m - 3 if m > 40 else m, "width": m}])
        elif cuts and kind not in ("DeiT", "Bit", "CLIP", "MobileNetV1", "MobileNetV2", "EfficientNet", "Beit"):
            c["crop_size"] = n
    if pil or r.random() < 0.8:
        c["resample"] = r.choice([0, 4, 5] if pil else [1, 2, 3])
    if r.random() < 0.6:
        c["image_mean"], c["image_std"] = r.choice([HALF, NETS, CLIP])
    for k in ("do_resize", "do_normalize", "do_rescale", "do_convert_rgb"):
        if r.random() < 0.3:
            c[k] = None if r.random() < 0.3 and k != "do_resize" else True
    if r.random() < 0.1:
        c["do_normalize"] = False
    if r.random() < 0.2:
        c["rescale_factor"] = r.choice([1 / 255, 1 / 127.5, 1.0])
    return {"model_type": model, **MODELS[model]}, c


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out")
    a.add_argument("--cases", type=int, default=60)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--pil", action="store_true", help="nearest, box, Hamming, by Pillow")
    a.add_argument("--small", action="store_true", help="only what is small, for testdata/processors")
    o = a.parse_args()
    torch.set_num_threads(1)
    r = random.Random(o.seed)
    names = pictures(os.path.join(o.out, "pictures"), np.random.default_rng(o.seed), [(w, h) for w, h in SIZES if not o.small or 2000 > w * h])
    for i in range(o.cases):
        model, c = config(r, o.pil)
        d = os.path.join(o.out, f"{i:03d}")
        os.makedirs(d, exist_ok=True)
        json.dump(c, open(os.path.join(d, "preprocessor_config.json"), "w"))
        json.dump(model, open(os.path.join(d, "config.json"), "w"))
        try:
            p = AutoImageProcessor.from_pretrained(d, backend="pil" if o.pil else "torchvision")
            gold, size = {}, None
            for n in r.sample(names, 2 if o.small else 12):
                y = p(load_image(os.path.join(o.out, "pictures", n)), return_tensors="pt")["pixel_values"].float().contiguous()
                gold[n] = y
            size = list(y.shape[2:])
            if o.small and max(size) > 33:
                shutil.rmtree(d)
                continue
            if model["model_type"] in ("vit", "deit", "dinov2"):
                model["patch_size"] = 1
                model["image_size"] = size if size[0] != size[1] else size[0]
            elif model["model_type"] != "resnet":
                model["image_size"] = size[0] if size[0] == size[1] else size
            json.dump(model, open(os.path.join(d, "config.json"), "w"))
            save_file(gold, os.path.join(d, "golden.safetensors"))
        except Exception as e:
            print(i, c, type(e).__name__, str(e)[:200])


main()
