"""Writes folders.json.gz: what AutoTokenizer of transformers makes of tokenizer
files beside one another. Needs transformers 5.24.0; see README.md.

    python make_folders.py
"""
import base64, gzip, json, os, shutil, tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer

here = os.path.dirname(os.path.abspath(__file__))
TEXTS = [
    "", " ", "Once upon", " Once upon", "  two  spaces ", "a <s> b", "<s>a", "Hi  </s> there", "x.y, z!! \n ", "Once upon \n\n",
    "<|im_start|>user\nhi<|im_end|>\n", "<|eot_id|> x <|begin_of_text|>y", "caf\u00e9 \u4f60\u597d \U0001f600", "e\u0301 1234 12", "WORD and word WORD",
    "tab\tnew\nline\r\n", "<extra_0> <extra_1>", "\u2581x \u2581", "it's IT'S we'Ll", "<unk> <pad>", "hello<|endoftext|> world",
]
charsmap = base64.b64encode(gzip.open(os.path.join(here, "nmt_nfkc.bin.gz")).read()).decode()
KINDS = {g["name"]: g["tokenizer"] for g in json.loads(gzip.open(os.path.join(here, "kinds.json.gz")).read().decode().replace("@nmt_nfkc", charsmap))["tokenizers"]}
BASES = {"stories260K": "../../../../testdata/stories260K/tokenizer.json", **{n: n + ".json" for n in ("llama3", "gpt2", "qwen2")}}
tok = lambda content, **kw: {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True, **kw}
L = {"tokenizer_class": "LlamaTokenizer", "legacy": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
P = {"tokenizer_class": "PreTrainedTokenizerFast"}
im = {"512": tok("<|im_start|>"), "513": tok("<|im_end|>")}

# (base, tokenizer_config.json or None, other files)
CASES = [
    ("stories260K", None, {}), ("stories260K", {}, {}), ("stories260K", L, {}), ("stories260K", {**L, "legacy": False}, {}),
    ("stories260K", {**L, "legacy": None}, {}), ("stories260K", {**L, "add_prefix_space": False}, {}), ("stories260K", {**L, "add_prefix_space": True, "legacy": False}, {}),
    ("stories260K", {**L, "add_prefix_space": None}, {}), ("stories260K", {**L, "tokenizer_class": "LlamaTokenizerFast"}, {}), ("stories260K", {**P, "add_prefix_space": False}, {}),
    ("stories260K", {**L, "add_bos_token": False}, {}), ("stories260K", {**L, "add_eos_token": True}, {}), ("stories260K", {**P, "add_eos_token": True, "eos_token": "</s>"}, {}),
    ("stories260K", {**L, "split_special_tokens": True}, {}), ("stories260K", {**P, "split_special_tokens": True}, {}),
    ("stories260K", {**L, "added_tokens_decoder": im}, {}), ("stories260K", {**P, "added_tokens_decoder": im}, {}),
    ("stories260K", {**L, "added_tokens_decoder": {}}, {}),
    ("stories260K", {**L, "added_tokens_decoder": {"512": tok("WORD", special=False, normalized=True)}}, {}),
    ("stories260K", {**P, "added_tokens_decoder": {"512": tok("WORD", special=False, normalized=True)}}, {}),
    ("stories260K", {**L, "added_tokens_decoder": {"512": tok("WORD", special=False, single_word=True, lstrip=True, rstrip=True)}}, {}),
    ("stories260K", {**P, "added_tokens_decoder": {"1": tok("<s>", lstrip=True, rstrip=True)}}, {}),
    ("stories260K", {**L, "added_tokens_decoder": {"1": tok("<s>", lstrip=True, rstrip=True)}}, {}),
    ("stories260K", {**P, "added_tokens_decoder": {"2": tok("</s>", special=False)}, "eos_token": "</s>"}, {}),
    ("stories260K", {**P, "added_tokens_decoder": {"2": tok("</s>", special=False)}, "eos_token": None}, {}),
    ("stories260K", {**L, "bos_token": "<|im_start|>"}, {}), ("stories260K", {**P, "pad_token": "<pad>"}, {}), ("stories260K", {**L, "pad_token": "<pad>", "eos_token": "<|im_end|>"}, {}),
    ("stories260K", {**L, "additional_special_tokens": ["<extra_0>", "<extra_1>"]}, {}), ("stories260K", {**P, "extra_special_tokens": ["<extra_1>", "<extra_0>"]}, {}),
    ("stories260K", {**P, "extra_special_tokens": {"image_token": "<extra_1>", "audio_token": "<extra_0>"}}, {}), ("stories260K", {**P, "image_token": "<extra_0>"}, {}),
    ("stories260K", L, {"special_tokens_map.json": {"eos_token": tok("<|im_end|>"), "bos_token": "<s>", "additional_special_tokens": ["<|im_start|>"]}}),
    ("stories260K", P, {"special_tokens_map.json": {"eos_token": tok("<|im_end|>", rstrip=True), "pad_token": "<pad>"}}),
    ("stories260K", {**L, "added_tokens_decoder": im}, {"special_tokens_map.json": {"eos_token": "<extra_0>"}}),
    ("stories260K", {**L, "unk_token": None}, {"special_tokens_map.json": {"unk_token": None, "pad_token": "</s>"}}),
    ("stories260K", L, {"added_tokens.json": {"<|im_start|>": 512, "<|im_end|>": 513}}), ("stories260K", P, {"added_tokens.json": {"<|im_end|>": 513, "WORD": 512}}),
    ("stories260K", {**L, "eos_token": "<|im_end|>"}, {"added_tokens.json": {"<|im_start|>": 512, "<|im_end|>": 513}}),
    ("stories260K", {**L, "added_tokens_decoder": im}, {"added_tokens.json": {"WORD": 514}}),
    ("stories260K", {"tokenizer_class": "GPT2Tokenizer"}, {}), ("stories260K", {"tokenizer_class": "CodeLlamaTokenizer"}, {}), ("stories260K", {"tokenizer_class": "GemmaTokenizer"}, {}),
    ("stories260K", {"tokenizer_class": "MyOwnTokenizer"}, {}), ("stories260K", None, {"config.json": {"tokenizer_class": "LlamaTokenizer"}}),
    ("stories260K", {"legacy": True}, {"config.json": {"tokenizer_class": "LlamaTokenizerFast"}}),
    ("stories260K", {**L, "clean_up_tokenization_spaces": True}, {}), ("stories260K", {**P, "clean_up_tokenization_spaces": True}, {}),
]
for base in ("llama3", "gpt2", "qwen2"):
    CASES += [
        (base, None, {}), (base, P, {}), (base, L, {}), (base, {**P, "add_prefix_space": True}, {}), (base, {"tokenizer_class": "GPT2Tokenizer"}, {}),
        (base, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}, {}), (base, {"tokenizer_class": "Qwen2Tokenizer"}, {}), (base, {"tokenizer_class": "Qwen2TokenizerFast", "bos_token": None, "pad_token": "<pad>"}, {}),
        (base, {"tokenizer_class": "CohereTokenizer"}, {}), (base, {**P, "split_special_tokens": True}, {}), (base, {**P, "bos_token": "<s>", "additional_special_tokens": ["<extra_0>"]}, {}),
    ]

C = lambda name, **kw: {"tokenizer_class": name, **kw}
model = lambda kind, **kw: {"config.json": {"model_type": kind, **kw}}
for base in ("bert-uncased", "bert-cased"):
    CASES += [(base, C("BertTokenizer"), {}), (base, C("BertTokenizerFast", do_lower_case=False), {}), (base, C("BertTokenizer", do_lower_case=True, strip_accents=False), {}),
        (base, C("BertTokenizer", tokenize_chinese_chars=False, strip_accents=True, do_lower_case=False), {}), (base, C("DistilBertTokenizer", do_basic_tokenize=True, never_split=None), {}),
        (base, C("ElectraTokenizer", do_lower_case=True, model_max_length=512), {}), (base, {"do_lower_case": False}, model("bert")), (base, None, model("bert")), (base, {"model_max_length": 512}, model("distilbert")),
        (base, C("PreTrainedTokenizerFast", do_lower_case=True), model("bert")), (base, C("BertTokenizer", cls_token="[MASK]", sep_token="[PAD]"), {}), (base, C("BertTokenizer", unk_token="[MASK]"), {}),
        (base, C("BertTokenizer", added_tokens_decoder={"0": tok("[PAD]"), "4": tok("[MASK]", lstrip=True), "1500": tok("WORD", special=False, normalized=True)}), {}),
        (base, C("BertTokenizer", clean_up_tokenization_spaces=True), {}), (base, C("MPNetTokenizer", cls_token="[CLS]", sep_token="[SEP]", bos_token="[CLS]", eos_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]"), {}),
        (base, C("MPNetTokenizer"), model("mpnet")), (base, C("MPNetTokenizer", mask_token={"__type": "AddedToken", **tok("[MASK]", lstrip=True)}, do_lower_case=False, tokenize_chinese_chars=True, strip_accents=None), {})]
CASES += [("mpnet", None, model("mpnet")), ("mpnet", C("PreTrainedTokenizerFast"), model("mpnet")), ("roberta", C("RobertaTokenizer"), {}), ("roberta", C("RobertaTokenizer", add_prefix_space=True, trim_offsets=False), {}),
    ("roberta", C("BartTokenizer"), {}), ("roberta", C("RobertaTokenizer", mask_token={"__type": "AddedToken", **tok("<mask>", lstrip=True)}), {}), ("roberta", None, model("roberta")), ("modernbert", C("PreTrainedTokenizerFast", cls_token="[CLS]", mask_token="[MASK]"), model("modernbert")),
    ("xlm-roberta", C("XLMRobertaTokenizer"), {}), ("xlm-roberta", C("XLMRobertaTokenizerFast", add_prefix_space=False), {}), ("xlm-roberta", None, model("xlm-roberta")), ("xlm-roberta", C("PreTrainedTokenizerFast"), {}),
    ("xlm-roberta", C("XLMRobertaTokenizer", mask_token={"__type": "AddedToken", **tok("<mask>", lstrip=True)}), {}), ("xlm-roberta", C("XLMRobertaTokenizer", bos_token="<mask>", sep_token="<pad>"), {}),
    ("t5", C("T5Tokenizer", extra_ids=3, additional_special_tokens=["<extra_id_0>", "<extra_id_1>", "<extra_id_2>"]), {}), ("t5", C("T5Tokenizer", extra_ids=0), {}), ("t5", C("T5TokenizerFast"), {}), ("t5", C("PreTrainedTokenizerFast", eos_token="</s>"), {}),
    ("t5", C("T5Tokenizer", extra_ids=3, extra_special_tokens=["<extra_id_0>", "<extra_id_1>", "<extra_id_2>"]), {}),
    ("albert", C("AlbertTokenizer"), {}), ("albert", C("AlbertTokenizer", do_lower_case=False, keep_accents=True, remove_space=True), {}), ("albert", None, model("albert")), ("albert", C("AlbertTokenizer", mask_token={"__type": "AddedToken", **tok("[MASK]", lstrip=True)}, add_prefix_space=False), {}),
    ("deberta-v3", C("DebertaV2Tokenizer", do_lower_case=False, vocab_type="spm", split_by_punct=False, sp_model_kwargs={}), {}), ("deberta-v3", C("DebertaV2Tokenizer", do_lower_case=True, split_by_punct=True), {}), ("deberta-v3", C("DebertaV2Tokenizer", unk_token="<unk>", add_prefix_space=False), {}),
    ("deberta-new", None, model("deberta-v2")), ("clip", C("CLIPTokenizer"), {}), ("clip", C("CLIPTokenizer", errors="replace", unk_token={"__type": "AddedToken", **tok("<|endoftext|>", normalized=True)}, bos_token={"__type": "AddedToken", **tok("<|startoftext|>", normalized=True)}), {}), ("clip", C("PreTrainedTokenizerFast"), {}),
    ("starcoder", C("GPTNeoXTokenizer"), {}), ("starcoder", C("GPTNeoXTokenizerFast", add_prefix_space=True, add_bos_token=False), {}), ("gemma", C("GemmaTokenizer"), {})]


def pair(t, a, b):
    e = t(a, b, return_token_type_ids=True)
    return [e["input_ids"], e["token_type_ids"]]


out = []
for base, config, files in CASES:
    files = {**files, **({} if config is None else {"tokenizer_config.json": config})}
    files["config.json"] = {"model_type": "llama", "vocab_size": 100, **files.get("config.json", {})}
    d = tempfile.mkdtemp()
    if base in BASES:
        shutil.copy(os.path.join(here, BASES[base]), d + "/tokenizer.json")
    else:
        json.dump(KINDS[base], open(d + "/tokenizer.json", "w"))
    for name, doc in files.items():
        json.dump(doc, open(os.path.join(d, name), "w"))
    try:
        t = AutoTokenizer.from_pretrained(d)
        ids = [t(s)["input_ids"] for s in TEXTS]
        out.append({"base": base, "files": files, "class": type(t).__name__, "ids": ids, "text": [t.decode(i) for i in ids],
                    "skipped": [t.decode(i, skip_special_tokens=True) for i in ids], "pairs": [pair(t, a, b) for a, b in zip(TEXTS, TEXTS[3:])] if base in KINDS else None, "named": t.special_tokens_map, "size": max(t.get_vocab().values()) + 1})
    except Exception as e:
        out.append({"base": base, "files": files, "error": repr(e)[:200]})
    shutil.rmtree(d)
with gzip.GzipFile(os.path.join(here, "folders.json.gz"), "wb", mtime=0) as f:
    f.write(json.dumps({"texts": TEXTS, "folders": out}, ensure_ascii=False, separators=(",", ":")).encode())
for o in out:
    print(o["base"], json.dumps(o["files"])[:150], o.get("class"), o.get("error", ""))
