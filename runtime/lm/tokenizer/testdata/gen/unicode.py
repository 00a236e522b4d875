"""Writes ../../unicode.txt: sets of characters as the official library has them.
It mixes tables of Unicode 8, 9 and its compiler's. Needs tokenizers 0.23.3,
unicodedata2 (Unicode 18) and, in a folder of its own, unicodedata2==15.0.0, whose tables are Go's.

    pip install --target OLD unicodedata2==15.0.0
    python unicode.py OLD
"""
import os, subprocess, sys, tempfile
import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb
import unicodedata2 as U
from tokenizers import Regex
from tokenizers import normalizers as N, pre_tokenizers as P

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
BERT = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)


def between(normalizer, c):
    return normalizer.normalize_str("a" + chr(c) + "b")[1:-1]


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return " ".join("%x" % a if a == b else "%x-%x" % (a, b) for a, b in out)


clean, strip = N.BertNormalizer(**{**BERT, "clean_text": True}), N.BertNormalizer(**{**BERT, "strip_accents": True})
nfd, nfkd, lower = N.NFD(), N.NFKD(), N.Lowercase()
decomposed = {c: between(nfd, c) for c in POINTS}


def moves(c):
    """whether c has a combining class: a mark of a higher or lower one changes places with it"""
    if decomposed[c] != chr(c):
        return True
    return any(nfd.normalize_str(a + b) != a + b for o in "\u0345\u0334" for a, b in ((o, chr(c)), (chr(c), o)))


def newest_acts(c):
    return U.combining(chr(c)) != 0 or U.decomposition(chr(c)) != ""


# a map of "a" to "X" alone, by which clusters of "a" and a mark are known
with tempfile.TemporaryDirectory() as d:
    open(d + "/c.txt", "w").write("hello world\nthis is a test\n" * 50)
    open(d + "/rule.tsv", "w").write("61\t58\n")
    spm.SentencePieceTrainer.train(input=d + "/c.txt", model_prefix=d + "/m", vocab_size=20, normalization_rule_tsv=d + "/rule.tsv", hard_vocab_limit=False, minloglevel=5)
    proto = pb.ModelProto()
    proto.ParseFromString(open(d + "/m.model", "rb").read())
    joined = N.Precompiled(proto.normalizer_spec.precompiled_charsmap)

acts = {c for c in POINTS if newest_acts(c)}
later = {c for c in acts if not moves(c) and between(nfkd, c) == chr(c)}
for c in list(later):  # the second of a pair that only newer tables join
    if U.decomposition(chr(c)) and not U.decomposition(chr(c)).startswith("<"):
        later.add(int(U.decomposition(chr(c)).split()[1], 16))
later = {c for c in later if not moves(c)}

everything = "".join(map(chr, POINTS))
old = subprocess.run([sys.executable, "-c", "import unicodedata2 as U; assert U.unidata_version == '15.0.0'\nfor c in range(0x110000): print(U.category(chr(c)))"],
    env={**os.environ, "PYTHONPATH": sys.argv[1]}, capture_output=True, text=True, check=True).stdout.split()


def matched(regex):
    """the characters that Oniguruma finds"""
    rest = P.Split(Regex(regex), "removed").pre_tokenize_str(everything)
    between = {i for _, (a, b) in rest for i in range(a, b)}
    return [c for i, c in enumerate(POINTS) if i not in between]


categories = {}
for k in "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Cf".split():
    changed = [c for c in matched("\\p{%s}" % k) if old[c] != k]
    if changed:
        categories["later." + k] = changed

sets = {
    "punctuation": [c for c in POINTS if len(P.Punctuation().pre_tokenize_str("a" + chr(c) + "b")) > 1],
    "number": [c for c in POINTS if len(P.Digits().pre_tokenize_str("a" + chr(c) + "b")) > 1],
    "control": [c for c in POINTS if between(clean, c) == ""],
    "nonspacing": [c for c in POINTS if decomposed[c] == chr(c) and between(strip, c) == ""],
    "mark": [c for c in POINTS if between(N.StripAccents(), c) == ""],
    "later": later,
    "joins": [c for c in POINTS if joined.normalize_str("a" + chr(c)) == "X"],
    **categories,
}
out = ["%s %s" % (name, ranges(points)) for name, points in sets.items()]
# capital letters that Go 1.26 (Unicode 15) does not know
capitals = [0x1c89, 0xa7cb, 0xa7cc, 0xa7ce, 0xa7d2, 0xa7d4, 0xa7da, 0xa7dc, *range(0x10d50, 0x10d66), *range(0x16ea0, 0x16eb9)]
out.append("lower " + " ".join("%x-%x" % (c, ord(between(lower, c))) for c in capitals))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../unicode.txt"), "w") as f:
    f.write("\n".join(out) + "\n")
