"""Writes splits.json.gz: the pieces into which pre-tokenizers of the library
cut texts. Needs tokenizers 0.23.3; see README.md.

    python make_splits.py
"""
import gzip, json, os, random
from tokenizers import Tokenizer, models

here = os.path.dirname(os.path.abspath(__file__))
random.seed(1)
CHARS = "  \t\n\r\u00a0\u3000aAbBzZ\u00e9\u00df\u4f60e\u0301''\u24d01239\u00b2\u2167,.!?-_()[]{}|<>\U0001f600\U0001f131\u200d"
TEXTS = ["", "a", "x.y, z!! \n ", "\n", "a \n b\n", " a  ", "\n\n", "a\n\n b \n\n", "aaab aaaa b", "foo123bar4567", "It's IT'S we'Ll", "(a)[b]{c} d|e", "\u4f60\u597d, caf\u00e9 na\u00efve_x"] + [
    "".join(random.choice(CHARS) for _ in range(random.randint(1, 24))) for _ in range(90)]
PATTERNS = [
    r"\s+$", r"^\s+", r"^", r"$", r"\A\s|\s\z", r"a++b?", r"a*+", r"\s?+\w", r"a{2}+", r"a{1,2}+", r"a{2}?", r"a{1,3}?", r"a{,2}b", r"(?>a+)b", r"(?<=a)b|(?<!b) ", r"\w+", r"\W+", r"[\w.]+", r"[^\w]+",
    r"[a[bz]]+", r"[^(\s|[.,!?])]+", r"[]a]+", r"\x41|\x{1f600}|\u00e9", r"(?:a|aa)*b", r"(x|a|\d+)+", r"(?=\d)", r"\d(?=(?:\d{3})*(?!\d))", r".", r"a|", r"(?:^|\s)\S",
    r"\p{P}+", r"\p{N}{1,3}", r"[\r\n]", r"\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba]+", r"\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", r"[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r" ?[^(\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+", r"[0-9][0-9][0-9]", r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s*[\r\n]|\s+(?!\S)|\s+",
]
behaviors = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
steps = [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in PATTERNS]
for p in (r"\s+$", "^", "(?=\\d)", r"\w+", "a*+"):
    steps += [{"type": "Split", "pattern": {"Regex": p}, "behavior": b, "invert": i} for b in behaviors for i in (False, True)]
steps += [{"type": "Punctuation", "behavior": b} for b in behaviors] + [{"type": "Punctuation"}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "BertPreTokenizer"},
    {"type": "CharDelimiterSplit", "delimiter": "a"}, {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False},
    {"type": "Sequence", "pretokenizers": [{"type": "Punctuation", "behavior": "Contiguous"}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        {"type": "Digits", "individual_digits": False}, {"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated", "invert": False}]}]
out = []
for step in steps:
    t = json.loads(Tokenizer(models.BPE()).to_str())
    t["pre_tokenizer"] = step
    try:
        pre = Tokenizer.from_str(json.dumps(t)).pre_tokenizer
    except Exception as e:
        print(json.dumps(step), e)
        continue
    out.append({"step": step, "pieces": [[p for p, _ in pre.pre_tokenize_str(s) if p] for s in TEXTS]})
with gzip.GzipFile(os.path.join(here, "splits.json.gz"), "wb", mtime=0) as f:
    f.write(json.dumps({"texts": TEXTS, "splits": out}, ensure_ascii=False, separators=(",", ":")).encode())
