"""Pictures and what Pillow and transformers make of them, for testdata/pictures.

    python pictures.py OUT

Writes a.png, gray.png, b.jpg (4:2:0), c.jpg (4:4:4), exif*.png and exif.jpg (which lie otherwise than they are to be seen) and golden.safetensors: NAME.FILTER-WxH, U8 [H, W, 3], resized and cut as the test says. Needs Pillow, numpy, safetensors.
"""
import sys
import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

out = sys.argv[1]
rng = np.random.default_rng(3)
y, x = np.mgrid[:45, :60]
base = np.stack([128 + 100 * np.sin(x / 7 + y / 11), 3 * y + x, 255 - 4 * x], -1)
a = np.clip(base + rng.normal(0, 12, base.shape), 0, 255).astype(np.uint8)
Image.fromarray(a).save(f"{out}/a.png")
Image.fromarray(a[:, :, 0]).save(f"{out}/gray.png")
smooth = Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))
smooth.save(f"{out}/b.jpg", quality=90, subsampling=2)
smooth.save(f"{out}/c.jpg", quality=90, subsampling=0)
golden = {}
small = smooth.resize((9, 6), 2)
for o in range(1, 9):  # as the Exif data says, upright
    e = Image.Exif()
    e[274] = o
    small.save(f"{out}/exif{o}.png", exif=e)
    golden[f"exif{o}.png.as-is"] = np.asarray(ImageOps.exif_transpose(Image.open(f"{out}/exif{o}.png"))).copy()
e[274] = 6
smooth.save(f"{out}/exif.jpg", quality=90, exif=e)
golden["exif.jpg.as-is"] = np.asarray(ImageOps.exif_transpose(Image.open(f"{out}/exif.jpg"))).copy()
for name in ("a.png", "gray.png", "b.jpg", "c.jpg"):
    im = Image.open(f"{out}/{name}").convert("RGB")
    golden[f"{name}.as-is"] = np.asarray(im).copy()
    for filt, code in (("bilinear", 2), ("bicubic", 3)):
        for w, h in ((32, 24), (80, 60)):
            golden[f"{name}.{filt}-{w}x{h}"] = np.asarray(im.resize((w, h), code)).copy()
    # the shorter edge 32, then the middle 28 x 28
    im = im.resize((32 * 60 // 45, 32), 2)
    left, top = (im.width - 28) // 2, (im.height - 28) // 2
    golden[f"{name}.crop"] = np.asarray(im.crop((left, top, left + 28, top + 28))).copy()
save_file(golden, f"{out}/golden.safetensors")
