package gguf

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// space marks in files a token that begins a word.
const space = "\u2581"

// joined gives WordPiece's tokens their own spelling: files have ## taken away, and the mark before all tokens that are without it, but for control tokens.
func (v *vocab) joined() {
	v.tokens = slices.Clone(v.tokens)
	for id, token := range v.tokens {
		word, begins := strings.CutPrefix(token, space)
		switch {
		case begins:
			v.tokens[id] = word
		case v.types[id] != tNormal && v.types[id] != tUnused && v.types[id] != tUserDefined, strings.HasPrefix(token, "[") && strings.HasSuffix(token, "]"): // older files leave those alone
		default:
			v.tokens[id] = "##" + token
		}
	}
}

// wordPieces is BERT's tokenizer. Whether it takes capitals for small letters is not in the file, but it does where no token has any.
func (m *model) wordPieces(t obj, v *vocab) {
	cased, unknown := false, "[UNK]"
	if id := m.meta.id("tokenizer.ggml.unknown_token_id", len(v.tokens)); id >= 0 {
		unknown = v.tokens[id]
	}
	for id, token := range v.tokens {
		cased = cased || v.types[id] == tNormal && !strings.HasPrefix(token, "[") && strings.ContainsFunc(token, unicode.IsUpper)
	}
	t["model"] = obj{"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": v.ids()}
	t["normalizer"] = obj{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": !cased}
	t["pre_tokenizer"] = obj{"type": "BertPreTokenizer"}
	t["decoder"] = obj{"type": "WordPiece", "prefix": "##", "cleanup": true}
}

// unigram is SentencePiece's model of tokens with probabilities.
func (m *model) unigram(t obj, v *vocab) error {
	if v.scores == nil {
		return fmt.Errorf("%w: tokenizer.ggml.scores is missing", ErrCorrupt)
	}
	list := make([][2]any, len(v.tokens))
	for id, token := range v.tokens {
		list[id] = [2]any{token, float64(v.scores[id])}
	}
	model := obj{"type": "Unigram", "unk_id": nil, "vocab": list, "byte_fallback": slices.Contains(v.types, tByte)}
	if id := m.meta.id("tokenizer.ggml.unknown_token_id", len(v.tokens)); id >= 0 {
		model["unk_id"] = id
	} else if id := slices.Index(v.types, tUnknown); id >= 0 {
		model["unk_id"] = id
	}
	t["model"] = model
	if table := m.meta.ints("tokenizer.ggml.precompiled_charsmap"); table != nil {
		b := make([]byte, len(table))
		for i, n := range table {
			b[i] = byte(n)
		}
		t["normalizer"] = obj{"type": "Precompiled", "precompiled_charsmap": b}
	}
	meta := obj{"type": "Metaspace", "replacement": space, "prepend_scheme": "always", "split": true}
	if !m.meta.bool("tokenizer.ggml.add_space_prefix", true) {
		meta["prepend_scheme"] = "never"
	}
	steps := []obj{meta}
	if m.meta.bool("tokenizer.ggml.remove_extra_whitespaces", false) {
		steps = []obj{{"type": "WhitespaceSplit"}, meta}
	}
	t["pre_tokenizer"] = obj{"type": "Sequence", "pretokenizers": steps}
	t["decoder"] = meta
	return nil
}

// around is what stands around the texts of an encoder: [CLS] A [SEP] B [SEP] with BERT, whose second text is of another kind, <s> A </s></s> B </s> with others.
func (m *model) around(v *vocab, kinds bool) any {
	words := obj{}
	item := func(name, or string, kind int) []obj {
		id := m.meta.id("tokenizer.ggml."+name+"_token_id", len(v.tokens))
		if id < 0 {
			id = m.meta.id("tokenizer.ggml."+or+"_token_id", len(v.tokens))
		}
		if id < 0 {
			return nil
		}
		words[v.tokens[id]] = obj{"id": v.tokens[id], "ids": []int{id}, "tokens": []string{v.tokens[id]}}
		return []obj{{"SpecialToken": obj{"id": v.tokens[id], "type_id": kind}}}
	}
	first, second := obj{"Sequence": obj{"id": "A", "type_id": 0}}, obj{"Sequence": obj{"id": "B", "type_id": 0}}
	single := slices.Concat(item("cls", "bos", 0), []obj{first}, item("seperator", "eos", 0))
	pair := slices.Clone(single)
	if kinds {
		second = obj{"Sequence": obj{"id": "B", "type_id": 1}}
		pair = slices.Concat(pair, []obj{second}, item("seperator", "eos", 1))
	} else {
		pair = slices.Concat(pair, item("seperator", "eos", 0), []obj{second}, item("seperator", "eos", 0))
	}
	if len(words) == 0 {
		return nil
	}
	return obj{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": words}
}
