#!/usr/bin/env python3
"""Texts for bench/encoders, cut from one long text: lines.py TOKENIZER.json TEXT OUT

OUT/128.txt has 128 lines of 128 tokens with the model's own two; OUT/mixed.txt has 512 lines of 5 to 60 tokens, most of them short, in
no order.
"""
import random, sys
from tokenizers import Tokenizer

tokenizer, text, out = Tokenizer.from_file(sys.argv[1]), open(sys.argv[2], encoding="utf-8").read(), sys.argv[3]
tokenizer.no_truncation()
tokenizer.no_padding()
text = " ".join(text.split())
spans = tokenizer.encode(text, add_special_tokens=False).offsets
rng = random.Random(1)


def write(name, lengths):
    at = 0
    with open(f"{out}/{name}", "w", encoding="utf-8") as f:
        for n in lengths:
            if at + n > len(spans):
                at = 0
            print(text[spans[at][0]:spans[at + n - 1][1]], file=f)
            at += n


write("128.txt", [126] * 128)
write("mixed.txt", [min(58, 3 + int(rng.expovariate(1 / 15))) for _ in range(512)])
