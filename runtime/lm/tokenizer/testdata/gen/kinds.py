"""Writes what the official library makes of many texts with tokenizers of every
kind: WordPiece, Unigram, WordLevel, BPE, with the pipelines of real families.
Needs tokenizers 0.23.3 and sentencepiece 0.2.3; see ../README.md.

    python kinds.py                                   # ../kinds.json.gz and ../nmt_nfkc.bin.gz
    python kinds.py --lines 100000 --seed 7 --out DIR # the long form: DIR/NAME.json.gz

With --only NAME,NAME.. some of them. With --random N, and --out, N tokenizers put together by chance from all parts.
"""
import argparse, base64, gzip, json, os, random, tempfile

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, "../../../../../testdata")
arg = argparse.ArgumentParser()
arg.add_argument("--lines", type=int, default=100)
arg.add_argument("--seed", type=int, default=1)
arg.add_argument("--out")
arg.add_argument("--only")
arg.add_argument("--random", type=int, default=0)
arg = arg.parse_args()
rnd = random.Random(arg.seed)

# ---- texts

PROSE = open(os.path.join(root, "text/tinystories_calib.txt"), encoding="utf-8").read().split("\n")
PROSE = [s for s in PROSE if s.strip()]
POLY = """Größe über naïve café façade señor año où déjà élève Straße ẞ İstanbul ıǅ ŉ ﬁne ﬀ
Привет мир, это тест. Добрый день! ЁЖИК объём ЙЦУКЕН Україна ї є ґ
你好世界,今天天气很好。東京は日本の首都です。ありがとうございます。ﾊﾝｶｸ ｶﾞｷﾞ ﾊﾟ ㍿ ㌔ ①②③ ⅷ
안녕하세요 세계 좋은 아침입니다 한글 조합 각
مرحبا بالعالم السَّلامُ عليكم ﷺ ﷲ שָׁלוֹם עולם नमस्ते दुनिया क़ ज़ த தமிழ் ไทยภาษา ກຳ ខ្មែរ မြန်မာ አማርኛ ქართული Ελληνικά ΌΣΟΣ Άλφα
1234567890 2024-01-02 3.14159 100,000 007 1999 ½ ² ٣٤٥ ४५ Ⅻ
I'm you're he's we've they'll I'd don't I'M YOU'RE HE'S do not can not ``quoted'' ''
for (int i = 0; i < n; i++) {\treturn x[i] += 1; } if (a == b) { c(); } def f(x): return x**2  # comment
SELECT * FROM t WHERE a != 'b' AND c >= 10; <div class="x">&nbsp;</div> https://example.com/a?b=c&d=e#f user@host.org C:\\path\\file.txt {"k": [1, 2.5e-3, null]}
😀 😀😀 👨‍👩‍👧‍👦 ❤️ 🇩🇪 👍🏽 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ... !!! ??? --- === *** ### « » „ “ ” ‘ ’ – — … ‰ № ™ © ® ° § ¶""".split("\n")
BLOCKS = [(0x20, 0x7f, 8), (0xa0, 0x180, 4), (0x180, 0x250, 1), (0x250, 0x370, 2), (0x370, 0x400, 2), (0x400, 0x530, 3), (0x531, 0x590, 1), (0x590, 0x600, 2), (0x600, 0x700, 3), (0x700, 0x900, 1),
    (0x900, 0xe00, 4), (0xe00, 0x1100, 2), (0x1100, 0x1200, 1), (0x1200, 0x1e00, 2), (0x1e00, 0x2000, 2), (0x2000, 0x2070, 4), (0x2070, 0x2c00, 3), (0x2c00, 0x2e80, 1), (0x2e80, 0x3040, 1), (0x3040, 0x3100, 3),
    (0x3100, 0x3400, 1), (0x3400, 0x4e00, 1), (0x4e00, 0xa000, 4), (0xa000, 0xac00, 1), (0xac00, 0xd7ff, 2), (0xe000, 0xf900, 1), (0xf900, 0xfb00, 1), (0xfb00, 0xfe00, 1), (0xfe00, 0xffff, 2),
    (0x10000, 0x11000, 1), (0x11000, 0x12000, 1), (0x1d100, 0x1d800, 1), (0x1e000, 0x1f000, 1), (0x1f000, 0x1fb00, 3), (0x20000, 0x323b0, 1), (0xe0000, 0xe0200, 1)]
MARKS = "\u0300\u0301\u0302\u0303\u0308\u030a\u0323\u0327\u0328\u0338\u0345\u05b4\u064e\u0651\u093c\u094d\u0e33\u0e38\u3099\u309a\u200d\ufe0f\u20e3\u0600\u0903\u1abf\u0897"
SPACES = " \t\n\r\v\f\u0085\u00a0\u1680\u2003\u2028\u202f\u3000\u200b\u200e\ufeff\u2581\u00ad\x00\x1b\x7f\u009f\ufffd"
SPECIAL = ["[CLS]", "[SEP]", "[MASK]", "[UNK]", "<s>", "</s>", "<mask>", "<unk>", "<pad>", "<|endoftext|>", "<extra_id_0>", "WORD", "word", "Wörd", "<0x41>", "##ing", "<|startoftext|>"]


def plain_char():
    lo, hi, _ = rnd.choices(BLOCKS, [b[2] for b in BLOCKS])[0]
    return chr(rnd.randrange(lo, hi))


def word():
    kind = rnd.randrange(10)
    if kind < 4:
        return rnd.choice(rnd.choice(PROSE).split() or ["x"])
    if kind < 7:
        return rnd.choice(rnd.choice(POLY).split())
    if kind == 7:  # of one block, or two
        lo, hi, _ = rnd.choices(BLOCKS, [b[2] for b in BLOCKS])[0]
        return "".join(chr(rnd.randrange(lo, hi)) for _ in range(rnd.randint(1, 8)))
    if kind == 8:  # marks
        return "".join(rnd.choice("aeoAEONnIiу你がकﾊ각1.") + "".join(rnd.choice(MARKS) for _ in range(rnd.choice([0, 1, 1, 2, 2, 3, 9]))) for _ in range(rnd.randint(1, 4)))
    return "".join(rnd.choice("abcXYZ019_-.,'!?()[]{}#@/\\") for _ in range(rnd.randint(1, 10)))


def line():
    kind = rnd.randrange(20)
    if kind == 0:
        return rnd.choice(PROSE)[: rnd.randint(1, 400)]
    if kind == 1:
        return rnd.choice(POLY)
    if kind == 2:  # long runs
        unit = rnd.choice(["a", "ab", " ", "  ", ".", "1", "é", "e\u0301", "\u0301", "你", "가", "😀", "the ", "-", "_", "\u2581", "\n", "A", "ﷺ", "x" * 99 + " "])
        return unit * rnd.choice([1, 2, 3, 10, 33, 60, 99, 100, 101, 130])
    if kind == 3:
        return "".join(plain_char() for _ in range(rnd.randint(1, 30)))
    if kind == 4:  # broken UTF-8
        b = bytearray(" ".join(word() for _ in range(rnd.randint(1, 6))).encode("utf-8", "replace"))
        for _ in range(rnd.randint(1, 4)):
            b[rnd.randrange(len(b))] = rnd.randrange(128, 256) if rnd.randrange(3) else rnd.randrange(256)
        return bytes(b)
    if kind == 5:
        return "".join(rnd.choice([word(), rnd.choice(SPACES), rnd.choice(SPACES)]) for _ in range(rnd.randint(1, 14)))
    if kind == 6:
        return "".join(rnd.choice([word(), rnd.choice(SPECIAL), rnd.choice(SPECIAL), " "]) for _ in range(rnd.randint(1, 8)))
    sep = rnd.choice([" ", " ", " ", " ", "", "  ", "\n"])
    return sep.join(word() for _ in range(rnd.randint(1, 14)))


FIRST = ["", " ", "  ", "a", "Hello world", " leading", "trailing ", "\n", "\u2581", "\u2581 \u2581a", "x" * 100, "x" * 101, "a" * 300, "\r\n", "a\r\nb", "\u0301", "\u00c5\u0301", "ﬁ ﬂ ﷺ", "\x00", "İI\u0307 ΣΑΣ"]
lines, texts = [], []
while len(lines) < arg.lines:
    s = FIRST[len(lines)] if len(lines) < len(FIRST) else line()
    b = s if isinstance(s, bytes) else s.encode("utf-8", "surrogatepass")
    if len(b) > 2000:
        continue
    lines.append(b)
    texts.append(b.decode("utf-8", "replace"))
CORPUS = PROSE[:400] + POLY * 12

# ---- tokenizers


def tok(content, **kw):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **kw}


def charsmap(rule):
    import sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2 as pb
    with tempfile.TemporaryDirectory() as d:
        open(d + "/c.txt", "w").write("hello world\nthis is a test\n" * 50)
        spm.SentencePieceTrainer.train(input=d + "/c.txt", model_prefix=d + "/m", vocab_size=30, normalization_rule_name=rule, hard_vocab_limit=False, minloglevel=5)
        m = pb.ModelProto()
        m.ParseFromString(open(d + "/m.model", "rb").read())
        return m.normalizer_spec.precompiled_charsmap


CHARSMAP = charsmap("nmt_nfkc")
PRECOMPILED = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(CHARSMAP).decode()}


def pieces(kind, norm=None, pre=None, size=900, special=()):
    """the model part of a tokenizer trained on the corpus"""
    t = Tokenizer({"WordPiece": lambda: models.WordPiece(unk_token="[UNK]"), "Unigram": models.Unigram, "BPE": models.BPE, "WordLevel": lambda: models.WordLevel(unk_token="[UNK]")}[kind]())
    whole = json.loads(t.to_str())
    whole["normalizer"], whole["pre_tokenizer"] = norm, pre
    t = Tokenizer.from_str(json.dumps(whole))
    special = list(special)
    trainer = {"WordPiece": lambda: trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, limit_alphabet=300, show_progress=False),
        "Unigram": lambda: trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False),
        "BPE": lambda: trainers.BpeTrainer(vocab_size=size, special_tokens=special, limit_alphabet=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if "ByteLevel" in json.dumps(pre) else [], show_progress=False),
        "WordLevel": lambda: trainers.WordLevelTrainer(vocab_size=size, special_tokens=special, show_progress=False)}[kind]()
    t.train_from_iterator(CORPUS, trainer)
    return json.loads(t.to_str())["model"]


def seq(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


BERT = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
BERTPRE = {"type": "BertPreTokenizer"}
WPDEC = {"type": "WordPiece", "prefix": "##", "cleanup": True}
META = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
WS = {"type": "WhitespaceSplit"}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PLAINBYTES = {**BYTES, "use_regex": False}


def split(regex, behavior="Isolated", invert=False, string=False):
    return {"type": "Split", "pattern": {"String" if string else "Regex": regex}, "behavior": behavior, "invert": invert}


def around(t, first, last, types=True):
    """TemplateProcessing as BERT has it, or as RoBERTa"""
    ids = {}
    for s in {first, last} - {""}:
        ids[s] = {"id": s, "ids": [t.index(s)], "tokens": [s]}
    sp = lambda s, k=0: [{"SpecialToken": {"id": s, "type_id": k}}] if s else []
    a, b = [{"Sequence": {"id": "A", "type_id": 0}}], [{"Sequence": {"id": "B", "type_id": int(types)}}]
    pair = sp(first) + a + sp(last) + ([] if types else sp(last)) + b + sp(last, int(types))
    return {"type": "TemplateProcessing", "single": sp(first) + a + sp(last), "pair": pair, "special_tokens": ids}


def tokenizer(model, norm, pre, dec, post=None, special=(), **kw):
    vocab = model["vocab"]
    names = [p[0] for p in vocab] if isinstance(vocab, list) else vocab
    next_id, added = len(vocab), []
    for s in special:
        s = tok(s) if isinstance(s, str) else s
        i = names.index(s["content"]) if isinstance(names, list) and s["content"] in names else names[s["content"]] if not isinstance(names, list) and s["content"] in names else None
        if i is None:
            i, next_id = next_id, next_id + 1
        added.append({"id": i, **s})
    return {"version": "1.0", "truncation": kw.get("truncation"), "padding": kw.get("padding"), "added_tokens": sorted(added, key=lambda a: a["id"]), "normalizer": norm, "pre_tokenizer": pre, "post_processor": post, "decoder": dec, "model": model}


BERTSP = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
XLMSP = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
cache = {}


def trained(kind, norm, pre, special, size=900):
    key = json.dumps([kind, norm, pre, special, size], default=str)
    if key not in cache:
        cache[key] = json.dumps(pieces(kind, norm, pre, size, special))
    return json.loads(cache[key])


def pad(**kw):
    return {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]", **kw}


def cut(n, strategy="LongestFirst", direction="Right"):
    return {"direction": direction, "max_length": n, "strategy": strategy, "stride": 0}


def build():
    wp = lambda norm=BERT: trained("WordPiece", norm, BERTPRE, BERTSP, 1500)
    yield "bert-uncased", tokenizer(wp(), BERT, BERTPRE, WPDEC, around(BERTSP, "[CLS]", "[SEP]"), BERTSP, truncation=cut(24), padding=pad(strategy={"Fixed": 24}))
    cased = {**BERT, "lowercase": False}
    yield "bert-cased", tokenizer(wp(cased), cased, BERTPRE, {**WPDEC, "cleanup": False}, {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, BERTSP, truncation=cut(19, direction="Left"), padding=pad(direction="Left", pad_to_multiple_of=8))
    odd = {**BERT, "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False}
    yield "bert-odd", tokenizer(wp(odd) | {"max_input_chars_per_word": 9}, odd, BERTPRE, WPDEC, None, BERTSP + [tok("WORD", special=False, single_word=True, normalized=True), tok("Wörd", special=False, normalized=True, lstrip=True)])
    mp = wp()
    yield "mpnet", tokenizer(mp, BERT, BERTPRE, WPDEC, {"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2], "trim_offsets": True, "add_prefix_space": False}, BERTSP[:4] + [tok("[MASK]", lstrip=True), tok("<mask>", lstrip=True, rstrip=True)], truncation=cut(30, "OnlySecond"), padding=pad(pad_id=1, pad_type_id=1))
    yield "wordlevel", tokenizer(trained("WordLevel", None, {"type": "Whitespace"}, BERTSP), None, {"type": "Whitespace"}, None, around(BERTSP, "[CLS]", "[SEP]"), BERTSP, truncation=cut(12, "OnlyFirst"))

    runs = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    xlm = trained("Unigram", PRECOMPILED, seq("pretokenizers", WS, META), XLMSP, 1200)
    yield "xlm-roberta", tokenizer(xlm, seq("normalizers", PRECOMPILED, runs), seq("pretokenizers", WS, META), META, around(XLMSP, "<s>", "</s>", False), XLMSP[:4] + [tok("<mask>", lstrip=True, normalized=True)], truncation=cut(40), padding=pad(pad_id=1, pad_token="<pad>"))
    yield "xlm-bytes", tokenizer({**xlm, "byte_fallback": True, "vocab": xlm["vocab"] + [["<0x%02X>" % b, -20.0 - b / 7] for b in range(256)]}, PRECOMPILED, META, seq("decoders", {"type": "ByteFallback"}, META), None, XLMSP)
    t5 = trained("Unigram", PRECOMPILED, META, ["<pad>", "</s>", "<unk>"], 1200)
    yield "t5", tokenizer(t5, PRECOMPILED, META, META, around(["<pad>", "</s>", "<unk>"], "", "</s>", False), ["<pad>", "</s>", "<unk>"] + ["<extra_id_%d>" % i for i in range(3)])
    yield "t5-new", tokenizer(t5, PRECOMPILED, seq("pretokenizers", WS, META), META, around(["<pad>", "</s>", "<unk>"], "", "</s>", False), ["<pad>", "</s>", "<unk>"])
    quotes = [{"type": "Replace", "pattern": {"String": a}, "content": '"'} for a in ("``", "''")]
    albert = [*quotes, {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, PRECOMPILED]
    al = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    yield "albert", tokenizer(trained("Unigram", seq("normalizers", *albert), seq("pretokenizers", WS, META), al, 1000), seq("normalizers", *albert), seq("pretokenizers", WS, META), META, around(al, "[CLS]", "[SEP]"), al[:4] + [tok("[MASK]", lstrip=True)])
    db = ["[PAD]", "[CLS]", "[SEP]", "<unk>", "[UNK]"]
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    yield "deberta-v3", tokenizer(trained("Unigram", PRECOMPILED, META, db, 1000), seq("normalizers", strip, PRECOMPILED), META, META, around(db, "[CLS]", "[SEP]"), db + [tok("[MASK]")])
    new = [{"type": "Replace", "pattern": {"Regex": "\\s{2,}|[\\n\\r\\t]"}, "content": " "}, {"type": "NFC"}, {**strip, "strip_left": False}]
    yield "deberta-new", tokenizer(trained("Unigram", PRECOMPILED, META, db, 1000), seq("normalizers", *new), seq("pretokenizers", {"type": "Punctuation", "behavior": "Isolated"}, META), META, around(db, "[CLS]", "[SEP]"), db + [tok("[MASK]")])
    siglip = [{"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": "[!\"\\#\\$%\\&'\\(\\)\\*\\+,\\-\\.:;=\\?@\\[\\\\\\]\\^_`\\{\\|\\}\\~]"}, "content": ""}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, strip, PRECOMPILED]
    yield "siglip", tokenizer(t5, seq("normalizers", *siglip), META, META, around(["<pad>", "</s>", "<unk>"], "", "</s>", False), ["</s>", "<unk>"], truncation=cut(16), padding=pad(strategy={"Fixed": 16}, pad_id=1, pad_token="</s>"))
    yield "unigram-nowords", tokenizer(t5, seq("normalizers", {"type": "Nmt"}, {"type": "NFKC"}), None, None, None, ["<unk>"])

    rob = ["<s>", "<pad>", "</s>", "<unk>"]
    bpe = lambda norm, pre, special, size=900: trained("BPE", norm, pre, special, size)
    yield "roberta", tokenizer(bpe(None, BYTES, rob), None, {**BYTES, "add_prefix_space": True}, BYTES, {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False}, rob + [tok("<mask>", lstrip=True)], truncation=cut(21))
    mb = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    yield "modernbert", tokenizer(bpe({"type": "NFC"}, BYTES, mb), {"type": "NFC"}, BYTES, BYTES, around(mb, "[CLS]", "[SEP]", True), mb[:4] + [tok("[MASK]", lstrip=True)])
    clipre = seq("pretokenizers", split("<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+", "Removed", True), BYTES)
    clinorm = seq("normalizers", {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"})
    cl = bpe(clinorm, clipre, ["<|startoftext|>", "<|endoftext|>"], 1200)
    ends = sorted({c + "</w>" for w in cl["vocab"] for c in w if len(w) < 20})
    vocab = {**cl["vocab"]}
    merges = []
    for m in ends:
        vocab.setdefault(m, len(vocab))
    for a, b in cl["merges"]:
        merges.append([a, b])
        if b + "</w>" in vocab:
            vocab.setdefault(a + b + "</w>", len(vocab))
            merges.append([a, b + "</w>"])
    yield "clip", tokenizer({**cl, "vocab": vocab, "merges": merges, "end_of_word_suffix": "</w>", "unk_token": "<|endoftext|>"}, clinorm, clipre, BYTES, {"type": "RobertaProcessing", "sep": ["<|endoftext|>", 1], "cls": ["<|startoftext|>", 0], "trim_offsets": False, "add_prefix_space": False}, ["<|startoftext|>", tok("<|endoftext|>", normalized=True)])
    ws = bpe(None, WS, ["[UNK]"], 700)
    pre2 = {"vocab": {}, "merges": []}
    for w in ws["vocab"]:
        pre2["vocab"][w] = len(pre2["vocab"])
    for w in list(ws["vocab"]):
        pre2["vocab"].setdefault("@@" + w, len(pre2["vocab"]))
    for a, b in ws["merges"]:
        pre2["merges"] += [[a, "@@" + b], ["@@" + a, "@@" + b]]
    yield "bpe-prefix", tokenizer({**ws, **pre2, "continuing_subword_prefix": "@@", "unk_token": "[UNK]", "fuse_unk": False}, None, WS, {"type": "BPEDecoder", "suffix": "</w>"}, None, ["[UNK]"])
    falcon = seq("pretokenizers", {"type": "Punctuation", "behavior": "Contiguous"}, BYTES, {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]"))
    yield "falcon", tokenizer(bpe(None, falcon, ["<|endoftext|>"]), None, falcon, BYTES, None, ["<|endoftext|>"])
    ds = seq("pretokenizers", split("[\r\n]"), split("\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u0391-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556]+"),
        split("\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"), split("\\s+$"), split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), {"type": "Digits", "individual_digits": True}, PLAINBYTES)
    yield "deepseek-v2", tokenizer(bpe(None, ds, ["<s>"]), None, ds, BYTES, around(["<s>"], "<s>", "", True), ["<s>"])
    ds3 = seq("pretokenizers", split("\\p{N}{1,3}"), split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"), split("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"), PLAINBYTES)
    yield "deepseek-v3", tokenizer(bpe(None, ds3, ["<s>"]), None, ds3, BYTES, around(["<s>"], "<s>", "", True), ["<s>"])
    oss = seq("pretokenizers", split("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), PLAINBYTES)
    yield "gpt-oss", tokenizer({**bpe(None, oss, ["<|endoftext|>"]), "ignore_merges": True}, None, oss, BYTES, None, ["<|endoftext|>"])
    poss = seq("pretokenizers", split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"), PLAINBYTES)
    yield "possessive", tokenizer(bpe(None, poss, ["<|endoftext|>"]), None, poss, BYTES, None, ["<|endoftext|>"])
    bloom = seq("pretokenizers", split(" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"), PLAINBYTES)
    yield "bloom", tokenizer(bpe(None, bloom, ["<s>"]), None, bloom, BYTES, None, ["<s>"])
    star = seq("pretokenizers", {"type": "Digits", "individual_digits": True}, BYTES)
    yield "starcoder", tokenizer(bpe({"type": "NFC"}, star, ["<|endoftext|>"]), {"type": "NFC"}, star, BYTES, None, ["<|endoftext|>"])
    gem = split(" ", "MergedWithPrevious", string=True)
    under = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    gm = bpe(under, split("\u2581", "MergedWithNext", string=True), ["<pad>", "<eos>", "<bos>", "<unk>"] + ["<0x%02X>" % b for b in range(256)], 1400)
    yield "gemma", tokenizer({**gm, "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}, under, gem, seq("decoders", {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}), around(["<pad>", "<eos>", "<bos>"], "<bos>", "", True), ["<pad>", "<eos>", "<bos>", "<unk>"])
    yield "forms", tokenizer(bpe({"type": "NFKC"}, BYTES, ["[UNK]"]), seq("normalizers", {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"}), BYTES, BYTES, None, ["[UNK]"])
    yield "bytes-first", tokenizer(bpe({"type": "ByteLevel"}, None, [], 500), {"type": "ByteLevel"}, None, BYTES, None, [])
    script = seq("pretokenizers", {"type": "UnicodeScripts"}, META)
    yield "scripts", tokenizer(trained("Unigram", None, script, ["<unk>"], 1000), None, script, META, None, ["<unk>"])
    yield "scripts-bytes", tokenizer(bpe(None, BYTES, ["<s>"]), {"type": "NFC"}, seq("pretokenizers", {"type": "UnicodeScripts"}, BYTES), BYTES, None, ["<s>"])


def by_chance():
    """A tokenizer put together by chance, of all parts but those that are refused: expressions in a decoder's Replace."""
    one, flag = rnd.choice, lambda: rnd.random() < 0.5
    some = lambda most, parts: [p() for p in rnd.choices(parts, k=rnd.randint(0, most))]
    behaviors = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    metaspace = lambda: {"type": "Metaspace", "replacement": one(["\u2581", "\u2581", "_"]), "prepend_scheme": one(["always", "never", "first"]), "split": flag()}
    pattern = lambda: one([{"String": one([" ", "a", "the", "\u2581", "-", "\n"])}, {"Regex": one(["\\s+", "[aeiou]", "\\p{N}{1,3}", " ?\\p{L}+", "\\s+(?!\\S)|\\s+", "[^\\s\\w]", "(?i:'s|'t|n't)", "\\p{Lu}\\p{Ll}*", "^\\s", "\\s++$"])}])
    forms = [lambda f=f: {"type": f} for f in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")]
    norms = some(3, forms + [lambda: {"type": "Strip", "strip_left": flag(), "strip_right": flag()}, lambda: {"type": "Replace", "pattern": pattern(), "content": one(["", " ", "x", "\u2581", "ab"])},
        lambda: {"type": "Prepend", "prepend": one(["\u2581", " ", "x"])}, lambda: PRECOMPILED, lambda: {"type": "BertNormalizer", "clean_text": flag(), "handle_chinese_chars": flag(), "strip_accents": one([None, True, False]), "lowercase": flag()}])
    pres = some(3, [lambda t=t: {"type": t} for t in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts")] + [metaspace, lambda: {"type": "Punctuation", "behavior": one(behaviors)},
        lambda: {"type": "Digits", "individual_digits": flag()}, lambda: {"type": "CharDelimiterSplit", "delimiter": one(" -a")}, lambda: {"type": "FixedLength", "length": rnd.randint(1, 9)},
        lambda: {"type": "Split", "pattern": pattern(), "behavior": one(behaviors), "invert": flag()}])
    kind = one(["WordPiece", "Unigram", "BPE", "BPE", "BPE-bytes", "BPE-bytes", "WordLevel"])
    sp = BERTSP
    if kind == "WordPiece":
        model = {**trained("WordPiece", BERT, BERTPRE, BERTSP, 1500), "max_input_chars_per_word": one([100, 9, 20])}
    elif kind == "WordLevel":
        model = trained("WordLevel", None, {"type": "Whitespace"}, BERTSP)
    elif kind == "Unigram":
        sp = ["<pad>", "</s>", "<unk>"]
        model = trained("Unigram", PRECOMPILED, META, sp, 1200)
        if flag():
            model = {**model, "byte_fallback": True, "vocab": model["vocab"] + [["<0x%02X>" % b, -20.0 - b / 7] for b in range(256)]}
    elif kind == "BPE":
        sp = ["<pad>", "</s>", "<unk>"]
        model = {**trained("BPE", None, META, sp + ["<0x%02X>" % b for b in range(256)], 1400), "unk_token": one(["<unk>", "<unk>", None]), "fuse_unk": flag(), "byte_fallback": flag(), "ignore_merges": flag(), "dropout": one([None, 0.0])}
    else:
        sp = ["<s>", "</s>"]
        model = {**trained("BPE", None, BYTES, sp), "ignore_merges": flag()}
        if flag():
            pres.append({**BYTES, "add_prefix_space": flag(), "use_regex": flag(), "trim_offsets": flag()})
        else:
            norms.append({"type": "ByteLevel"})
    decs = some(3, [lambda: BYTES, metaspace, lambda: {"type": "WordPiece", "prefix": one(["##", "\u2581"]), "cleanup": flag()}, lambda: {"type": "ByteFallback"}, lambda: {"type": "Fuse"},
        lambda: {"type": "Strip", "content": one([" ", "a"]), "start": rnd.randint(0, 2), "stop": rnd.randint(0, 2)}, lambda: {"type": "Replace", "pattern": {"String": one([" ", "a", "\u2581", "##"])}, "content": one(["", " ", "x"])},
        lambda: {"type": "BPEDecoder", "suffix": one(["</w>", "e"])}, lambda: {"type": "CTC", "pad_token": sp[0], "word_delimiter_token": "|", "cleanup": flag()}])
    first, last = (one([sp[0], ""]), one([sp[1], ""]))
    post = one([None, around(sp, first, last, flag()) if first or last else None, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": flag(), "use_regex": True},
        {"type": "RobertaProcessing", "sep": [sp[1], 1], "cls": [sp[0], 0], "trim_offsets": flag(), "add_prefix_space": flag()}, {"type": "BertProcessing", "sep": [sp[1], 1], "cls": [sp[0], 0]}])
    added = [tok(c, single_word=flag(), lstrip=flag(), rstrip=flag(), normalized=flag(), special=flag()) for c in rnd.sample(SPECIAL + ["the", " a", "\n\n", "Lily", "ab", "\u2581", "é"], rnd.randint(0, 5))]
    known = {a["content"] for a in added}
    many = lambda key, list: None if not list else list[0] if len(list) == 1 and flag() else seq(key, *list)
    return tokenizer(model, many("normalizers", norms), many("pretokenizers", pres), many("decoders", decs), post, [s for s in sp if s not in known] + added,
        truncation=one([None, cut(rnd.randint(5, 30), one(["LongestFirst", "OnlyFirst", "OnlySecond"]), one(["Right", "Left"]))]),
        padding=one([None, pad(strategy=one(["BatchLongest", {"Fixed": rnd.randint(1, 30)}]), direction=one(["Left", "Right"]), pad_to_multiple_of=one([None, 8]), pad_id=rnd.randint(0, 3), pad_type_id=rnd.randint(0, 1))]))


def results(t, batch):
    text, skipped = [t.decode(i, skip_special_tokens=False) for i in batch], [t.decode(i, skip_special_tokens=True) for i in batch]
    return text, [0 if a == b else b for a, b in zip(text, skipped)]


def one(name, spec):
    bare = Tokenizer.from_str(json.dumps({**spec, "truncation": None, "padding": None}))
    ids = [bare.encode(s).ids for s in texts]
    text, skipped = results(bare, ids)
    full = Tokenizer.from_str(json.dumps(spec))
    pairs = []
    for k in range(min(len(texts), max(24, arg.lines // 20))):
        i, j = rnd.randrange(len(texts)), rnd.randrange(len(texts))
        for t, kind in ((bare, 0), (full, 1)):
            for second in (True, False):
                try:
                    e = t.encode(texts[i], texts[j] if second else None, add_special_tokens=k % 5 != 0)
                except BaseException:  # truncation impossible
                    pairs.append([i, j if second else -1, kind, int(k % 5 != 0), None, None, None])
                    continue
                pairs.append([i, j if second else -1, kind, int(k % 5 != 0), e.ids, e.type_ids, e.attention_mask])
    return {"name": name, "tokenizer": spec, "ids": ids, "text": text, "skipped": skipped, "pairs": pairs}


def write(path, doc):
    with gzip.GzipFile(path, "wb", mtime=0) as f:
        f.write(json.dumps(doc, ensure_ascii=False, separators=(",", ":")).replace(PRECOMPILED["precompiled_charsmap"], "@nmt_nfkc").encode())


coded = [base64.b64encode(b).decode() for b in lines]
done = []
for name, spec in ((f"chance-{arg.seed}-{i}", by_chance()) for i in range(arg.random)) if arg.random else build():
    if arg.only and name not in arg.only.split(","):
        continue
    try:
        r = one(name, spec)
    except BaseException as e:  # the library refuses it, or a text (a panic is no Exception)
        if not arg.random or isinstance(e, KeyboardInterrupt):
            raise
        print(name, type(e).__name__, str(e)[:100], flush=True)
        continue
    done.append(r)
    if arg.out:
        os.makedirs(arg.out, exist_ok=True)
        write(os.path.join(arg.out, name + ".json.gz"), {"lines": coded, "tokenizers": [r]})
        done.clear()
    print(name, len(json.dumps(spec)), flush=True)
if not arg.out:
    write(os.path.join(here, "../kinds.json.gz"), {"lines": coded, "tokenizers": done})
    with gzip.GzipFile(os.path.join(here, "../nmt_nfkc.bin.gz"), "wb", mtime=0) as f:
        f.write(CHARSMAP)
