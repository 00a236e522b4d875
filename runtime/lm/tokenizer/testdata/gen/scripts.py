"""Writes ../../scripts.txt: the scripts that the pre-tokenizer UnicodeScripts of the official library tells apart, a line of
ranges each; characters that are in none belong to what is before them. Needs tokenizers 0.23.3.

    python scripts.py
"""
import os
from tokenizers import pre_tokenizers as P

split = P.UnicodeScripts().pre_tokenize_str
points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and split(chr(c))]  # a text of others alone has no pieces
classes = []  # [a character, ranges]
at = 0
for _, (a, b) in split("".join(map(chr, points))):
    run, at = points[a:b], b
    for c in classes:
        if len(split(c[0] + chr(run[0]))) == 1:
            break
    else:
        c = [chr(run[0]), []]
        classes.append(c)
    for p in run:
        if c[1] and c[1][-1][1] == p - 1:
            c[1][-1][1] = p
        else:
            c[1].append([p, p])
assert at == len(points)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts.txt"), "w") as f:
    for _, ranges in classes:
        f.write(" ".join("%x" % a if a == b else "%x-%x" % (a, b) for a, b in ranges) + "\n")
print(len(points), "characters,", len(classes), "scripts,", sum(len(c[1]) for c in classes), "ranges")
