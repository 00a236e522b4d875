package gguf

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qpt/runtime/lm/tokenizer"
)

// Kinds of tokens (tokenizer.ggml.token_type).
const (
	tNormal      = 1
	tUnknown     = 2
	tControl     = 3
	tUserDefined = 4
	tUnused      = 5
	tByte        = 6
)

// obj is a json object.
type obj map[string]any

// vocab is the token list of a file.
type vocab struct {
	tokens []string
	types  []uint64
	scores []float32
	merges []string
}

// tokenizer makes tokenizer.json and tokenizer_config.json, as the HuggingFace model has them, of the
// keys tokenizer.ggml.*: the text in them becomes the same ids.
func (m *model) tokenizer() error {
	k := m.meta
	v := &vocab{tokens: k.texts("tokenizer.ggml.tokens"), types: k.ints("tokenizer.ggml.token_type"), scores: k.floats("tokenizer.ggml.scores"), merges: k.texts("tokenizer.ggml.merges")}
	kind := k.text("tokenizer.ggml.model", "none")
	if k.err != nil {
		return k.err
	}
	if kind == "none" || len(v.tokens) == 0 {
		m.Notes = append(m.Notes, "the file has no tokenizer: the .qpt file will take token ids, not text")
		return nil
	}
	if v.types == nil {
		v.types = slices.Repeat([]uint64{tNormal}, len(v.tokens))
	}
	if len(v.types) != len(v.tokens) || v.scores != nil && len(v.scores) != len(v.tokens) {
		return fmt.Errorf("%w: %d tokens, but %d tokenizer.ggml.token_type and %d tokenizer.ggml.scores", ErrCorrupt, len(v.tokens), len(v.types), len(v.scores))
	}
	if kind == "bert" {
		v.joined()
	}
	t := obj{"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": v.added(kind == "llama")}
	var err error
	switch kind {
	case "llama":
		err = m.sentencePiece(t, v)
	case "gpt2":
		err = m.byteLevel(t, v)
	case "bert":
		m.wordPieces(t, v)
	case "t5":
		err = m.unigram(t, v)
	default:
		err = fmt.Errorf("%w: tokenizer.ggml.model is %q; known: llama, gpt2, bert, t5", ErrUnsupported, kind)
	}
	if err != nil {
		return err
	}
	if m.arch.encoder {
		t["post_processor"] = m.around(v, kind == "bert")
	} else {
		t["post_processor"] = m.template(v, kind == "gpt2")
	}
	if k.err != nil {
		return k.err
	}
	m.Tokenizer = &tokenizer.Files{Class: "PreTrainedTokenizerFast", Templates: map[string]string{}}
	if m.Tokenizer.Tokenizer, err = json.Marshal(t); err != nil {
		return err
	}
	named := obj{"tokenizer_class": "PreTrainedTokenizerFast"}
	for key, name := range map[string]string{"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token", "cls": "cls_token", "seperator": "sep_token", "mask": "mask_token"} {
		if id := k.id("tokenizer.ggml."+key+"_token_id", len(v.tokens)); id >= 0 {
			named[name] = v.tokens[id]
		}
	}
	for _, key := range k.order {
		if key == "tokenizer.chat_template" {
			m.Tokenizer.Templates["default"] = k.text(key, "")
		} else if name, ok := strings.CutPrefix(key, "tokenizer.chat_template."); ok {
			m.Tokenizer.Templates[name] = k.text(key, "")
		}
	}
	if k.err != nil {
		return k.err
	}
	m.Tokenizer.Config, err = json.Marshal(named)
	return err
}

// added are the tokens that are found in a text before all else.
func (v *vocab) added(unknown bool) (list []obj) {
	for id, token := range v.tokens {
		switch kind := v.types[id]; {
		case kind == tControl, kind == tUserDefined, kind == tUnknown && unknown:
			list = append(list, obj{"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": kind != tUserDefined})
		}
	}
	return list
}

// ids are the tokens by text; the first of two counts, as the later one can only be met by its id.
func (v *vocab) ids() map[string]int {
	ids := make(map[string]int, len(v.tokens))
	for id, token := range v.tokens {
		if _, twice := ids[token]; !twice {
			ids[token] = id
		}
	}
	return ids
}

// maxPiece bounds a piece: all places are tried at which it may be cut in two.
const maxPiece = 1 << 10

// sentencePiece: pieces with scores, U+2581 for a space, bytes as <0x0A>. A
// pair of pieces merges if it is a piece, the one of the highest score first.
func (m *model) sentencePiece(t obj, v *vocab) error {
	ids := v.ids()
	if v.scores == nil {
		return fmt.Errorf("%w: tokenizer.ggml.scores is missing", ErrCorrupt)
	}
	type merge struct {
		left, right string
		score       float32
	}
	var merges []merge
	for id, token := range v.tokens {
		if len(token) > maxPiece {
			return fmt.Errorf("%w: token %d has %d bytes, pieces have at most %d", ErrUnsupported, id, len(token), maxPiece)
		}
		if v.types[id] != tNormal && v.types[id] != tUserDefined || ids[token] != id {
			continue
		}
		from := len(merges)
		for i := range token {
			if i == 0 {
				continue
			}
			_, l := ids[token[:i]]
			_, r := ids[token[i:]]
			if l && r {
				merges = append(merges, merge{token[:i], token[i:], v.scores[id]})
			}
		}
		slices.SortStableFunc(merges[from:], func(a, b merge) int {
			if d := ids[a.left] - ids[b.left]; d != 0 {
				return d
			}
			return ids[a.right] - ids[b.right]
		})
	}
	slices.SortStableFunc(merges, func(a, b merge) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	pairs := make([][2]string, len(merges))
	for i, p := range merges {
		pairs[i] = [2]string{p.left, p.right}
	}
	model := obj{"type": "BPE", "dropout": nil, "unk_token": nil, "fuse_unk": true, "byte_fallback": slices.Contains(v.types, tByte), "vocab": ids, "merges": pairs}
	if id := m.meta.id("tokenizer.ggml.unknown_token_id", len(v.tokens)); id >= 0 {
		model["unk_token"] = v.tokens[id]
	} else if id := slices.Index(v.types, tUnknown); id >= 0 {
		model["unk_token"] = v.tokens[id]
	}
	t["model"] = model
	toSpace := obj{"type": "Replace", "pattern": obj{"String": " "}, "content": space}
	decoders := []obj{{"type": "Replace", "pattern": obj{"String": space}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	if m.meta.bool("tokenizer.ggml.add_space_prefix", true) {
		t["normalizer"] = obj{"type": "Sequence", "normalizers": []obj{{"type": "Prepend", "prepend": space}, toSpace}}
		decoders = append(decoders, obj{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	} else {
		t["normalizer"] = toSpace
	}
	t["decoder"] = obj{"type": "Sequence", "decoders": decoders}
	return nil
}

// byteLevel: byte-level BPE with a list of merges, cut before by the rules of tokenizer.ggml.pre.
func (m *model) byteLevel(t obj, v *vocab) error {
	name := m.meta.text("tokenizer.ggml.pre", "default")
	p, ok := pres[name]
	if !ok {
		return fmt.Errorf("%w: tokenizer.ggml.pre is %q, the rules by which it cuts texts are not in the file; known: %s", ErrUnsupported, name, strings.Join(slices.Sorted(maps.Keys(pres)), ", "))
	}
	pairs := make([][2]string, len(v.merges))
	for i, line := range v.merges {
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("%w: tokenizer.ggml.merges: %q at %d must be two pieces", ErrCorrupt, line, i)
		}
		pairs[i] = [2]string{left, right}
	}
	t["model"] = obj{"type": "BPE", "dropout": nil, "unk_token": nil, "fuse_unk": false, "byte_fallback": false, "ignore_merges": p.ignoreMerges, "vocab": v.ids(), "merges": pairs}
	var steps []obj
	for _, regex := range p.split {
		steps = append(steps, obj{"type": "Split", "pattern": obj{"Regex": regex}, "behavior": "Isolated", "invert": false})
	}
	if p.digits {
		steps = append(steps, obj{"type": "Digits", "individual_digits": true})
	}
	if p.falcon {
		steps = append(steps, obj{"type": "Punctuation", "behavior": "Contiguous"})
	}
	steps = append(steps, obj{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": p.gpt2 || p.falcon})
	if p.falcon {
		steps = append(steps, obj{"type": "Digits", "individual_digits": false}, obj{"type": "Split", "pattern": obj{"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated", "invert": false})
	}
	t["pre_tokenizer"] = obj{"type": "Sequence", "pretokenizers": steps}
	if p.nfc {
		t["normalizer"] = obj{"type": "NFC"}
	}
	t["decoder"] = obj{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	return nil
}

// template is what stands before and behind a text; absent keys mean what llama.cpp takes them for: a
// token before it with pieces, none with bytes but for some names of rules.
func (m *model) template(v *vocab, bytes bool) any {
	k := m.meta
	bos, eos := k.id("tokenizer.ggml.bos_token_id", len(v.tokens)), k.id("tokenizer.ggml.eos_token_id", len(v.tokens))
	before := !bytes || pres[k.text("tokenizer.ggml.pre", "default")].bos
	words := obj{}
	side := func(text string, kind int) (items []obj) {
		put := func(id int) {
			items = append(items, obj{"SpecialToken": obj{"id": v.tokens[id], "type_id": kind}})
			words[v.tokens[id]] = obj{"id": v.tokens[id], "ids": []int{id}, "tokens": []string{v.tokens[id]}}
		}
		if k.bool("tokenizer.ggml.add_bos_token", before) && bos >= 0 {
			put(bos)
		}
		items = append(items, obj{"Sequence": obj{"id": text, "type_id": kind}})
		if k.bool("tokenizer.ggml.add_eos_token", false) && eos >= 0 {
			put(eos)
		}
		return items
	}
	single, second := side("A", 0), side("B", 1)
	if len(words) == 0 {
		return nil
	}
	return obj{"type": "TemplateProcessing", "single": single, "pair": append(slices.Clone(single), second...), "special_tokens": words}
}
