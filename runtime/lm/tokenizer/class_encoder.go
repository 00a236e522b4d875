package tokenizer

import (
	"encoding/json"
)

var bertTokens = map[string]string{"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}

// roberta are the tokens of RoBERTa and what follows it.
func roberta(unk string) map[string]string {
	return map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": unk, "sep_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>"}
}

// encoderClasses are those of models that read a whole text at once.
var encoderClasses = map[string]family{
	"BertTokenizer": {tokens: bertTokens, build: func(s *settings, _ *file) (built, error) {
		b, err := wordPieces(s)
		b.post, b.cls, b.sep = "BertProcessing", "cls_token", "sep_token"
		return b, err
	}},
	"MPNetTokenizer": {tokens: roberta("[UNK]"), build: func(s *settings, _ *file) (built, error) {
		b, err := wordPieces(s)
		b.post, b.cls, b.sep = "RobertaProcessing", "cls_token", "sep_token"
		return b, err
	}},
	"RobertaTokenizer": {tokens: roberta("<unk>"), build: func(s *settings, _ *file) (built, error) {
		pre, err := bytePre(s, true)
		return built{pre: pre, decoder: byteDecoder, post: "RobertaProcessing", cls: "cls_token", sep: "sep_token"}, err
	}},
	"XLMRobertaTokenizer": {tokens: roberta("<unk>"), build: func(s *settings, f *file) (built, error) {
		b, err := pieces(s, 3, "never")
		b.normalizer, b.post, b.cls, b.sep = f.charsmap(), "RobertaProcessing", "bos_token", "eos_token"
		return b, err
	}},
	"T5Tokenizer": {tokens: map[string]string{"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}, extras: 100, build: func(s *settings, f *file) (built, error) {
		b, err := pieces(s, 2, "always")
		b.normalizer, b.post, b.sep = f.charsmap(), "T5", "eos_token"
		return b, err
	}},
	"AlbertTokenizer": {tokens: map[string]string{"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "<unk>", "sep_token": "[SEP]", "pad_token": "<pad>", "cls_token": "[CLS]", "mask_token": "[MASK]"},
		build: func(s *settings, f *file) (built, error) {
			b, err := pieces(s, 1, "never")
			if err != nil {
				return b, err
			}
			keep, err := s.bool("keep_accents", false)
			if err != nil {
				return b, err
			}
			lower, err := s.bool("do_lower_case", true)
			b.normalizer = `{"type":"Replace","pattern":{"String":"\u0060\u0060"},"content":"\""},{"type":"Replace","pattern":{"String":"''"},"content":"\""}`
			if !keep {
				b.normalizer += `,{"type":"NFKD"},{"type":"StripAccents"}`
			}
			if lower {
				b.normalizer += `,{"type":"Lowercase"}`
			}
			if c := f.charsmap(); c != "" {
				b.normalizer += "," + c
			}
			b.normalizer = sequence("normalizers", b.normalizer)
			b.post, b.cls, b.sep, b.mayKeep = "BertProcessing", "cls_token", "sep_token", true
			return b, err
		}},
	"DebertaV2Tokenizer": {tokens: map[string]string{"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
		build: func(s *settings, _ *file) (built, error) {
			lower, err := s.bool("do_lower_case", false)
			if err != nil {
				return built{}, err
			}
			punct, err := s.bool("split_by_punct", false)
			if err != nil {
				return built{}, err
			}
			space, err := s.bool("add_prefix_space", true)
			meta := metaspacePart("first")
			if space {
				meta = metaspacePart("always")
			}
			b := built{model: "Unigram", unk: "unk_token", unkID: 1, decoder: meta, post: "BertProcessing", cls: "cls_token", sep: "sep_token"}
			if lower {
				b.normalizer = `{"type":"Lowercase"},`
			}
			b.normalizer += `{"type":"Replace","pattern":{"Regex":"\\s{2,}|[\\n\\r\\t]"},"content":" "},{"type":"NFC"},{"type":"Strip","strip_left":false,"strip_right":true}`
			if b.pre = meta; punct {
				b.pre = `{"type":"Punctuation","behavior":"Isolated"},` + meta
			}
			b.normalizer, b.pre = sequence("normalizers", b.normalizer), sequence("pretokenizers", b.pre)
			return b, err
		}},
	"CLIPTokenizer": {tokens: map[string]string{"unk_token": "<|endoftext|>", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, build: func(s *settings, _ *file) (built, error) {
		return built{normalizer: sequence("normalizers", nfcNormalizer+`,{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Lowercase"}`),
			pre: sequence("pretokenizers", `{"type":"Split","pattern":{"Regex":"<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"},"behavior":"Removed","invert":true},`+
				`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`),
			decoder: byteDecoder, unk: "unk_token", wordEnd: "</w>", post: "RobertaProcessing", cls: "bos_token", sep: "eos_token"}, nil
	}},
	"SiglipTokenizer": {}, // SentencePiece's own model there, of which tokenizer.json is made
}

// classAliases are other names of the same classes.
var classAliases = map[string]string{
	"DistilBertTokenizer": "BertTokenizer", "ElectraTokenizer": "BertTokenizer", "MobileBertTokenizer": "BertTokenizer", "ConvBertTokenizer": "BertTokenizer",
	"SqueezeBertTokenizer": "BertTokenizer", "LayoutLMTokenizer": "BertTokenizer", "BartTokenizer": "RobertaTokenizer", "LongformerTokenizer": "RobertaTokenizer",
}

// modelClasses are the classes of models whose files name none.
var modelClasses = map[string]string{
	"bert": "BertTokenizer", "distilbert": "BertTokenizer", "electra": "BertTokenizer", "mobilebert": "BertTokenizer", "nomic_bert": "BertTokenizer",
	"mpnet": "MPNetTokenizer", "roberta": "RobertaTokenizer", "xlm-roberta": "XLMRobertaTokenizer", "albert": "AlbertTokenizer", "deberta-v2": "DebertaV2Tokenizer",
	"t5": "T5Tokenizer", "mt5": "T5Tokenizer", "clip": "CLIPTokenizer",
}

// wordPieces is BERT's pipeline.
func wordPieces(s *settings) (b built, err error) {
	c := component{Type: "BertNormalizer", CleanText: ptr(true)}
	lower, err := s.bool("do_lower_case", true)
	if err != nil {
		return b, err
	}
	chinese, err := s.bool("tokenize_chinese_chars", true)
	if err != nil {
		return b, err
	}
	c.Lowercase, c.ChineseChars = &lower, &chinese
	if s.get("strip_accents") != nil {
		strip, err := s.bool("strip_accents", false)
		if err != nil {
			return b, err
		}
		c.StripAccents = &strip
	}
	text, _ := json.Marshal(c)
	return built{model: "WordPiece", normalizer: string(text), pre: `{"type":"BertPreTokenizer"}`,
		decoder: `{"type":"WordPiece","prefix":"##","cleanup":true}`, unk: "unk_token"}, nil
}

func metaspacePart(scheme string) string {
	return `{"type":"Metaspace","replacement":"▁","prepend_scheme":"` + scheme + `","split":true}`
}

// pieces is the pipeline of SentencePiece's Unigram models; without
// add_prefix_space words begin as otherwise says.
func pieces(s *settings, unkID int, otherwise string) (built, error) {
	space, err := s.bool("add_prefix_space", true)
	meta := metaspacePart("always")
	if !space {
		meta = metaspacePart(otherwise)
	}
	return built{model: "Unigram", unkID: unkID, pre: sequence("pretokenizers", `{"type":"WhitespaceSplit"},`+meta), decoder: meta}, err
}

// charsmap is the first Precompiled normalizer of tokenizer.json, "" if it has none.
func (f *file) charsmap() string {
	if f.Normalizer == nil {
		return ""
	}
	list := []component{*f.Normalizer}
	if f.Normalizer.Type == "Sequence" {
		list = f.Normalizer.Normalizers
	}
	for i := range list {
		if list[i].Type == "Precompiled" {
			text, _ := json.Marshal(&list[i])
			return string(text)
		}
	}
	return ""
}
