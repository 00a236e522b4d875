package gguf

import (
	"fmt"
	"regexp"
)

// Kinds of tokens.
const (
	kindNormal  = 1
	kindUnknown = 2
	kindControl = 3
	kindByte    = 6
)

var byteToken = regexp.MustCompile(`^<0x[0-9A-F]{2}>$`)

// tokenizer translates tokenizer.json: a byte-level BPE as Llama 3 has it, or
// one with byte fallback as Llama 2 has it. llama.cpp merges the latter by
// score, so the score falls with the id; that is the order of sentencepiece.
func (c *config) tokenizer(dir string) ([]entry, error) {
	var t struct {
		Model struct {
			Type     string         `json:"type"`
			Fallback bool           `json:"byte_fallback"`
			Unknown  string         `json:"unk_token"`
			Vocab    map[string]int `json:"vocab"`
			Merges   []any          `json:"merges"`
		} `json:"model"`
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
			Special bool   `json:"special"`
		} `json:"added_tokens"`
	}
	if err := readJSON(dir, "tokenizer.json", &t); err != nil {
		return nil, err
	}
	if t.Model.Type != "BPE" {
		return nil, fmt.Errorf("%s: tokenizer of type %q: only BPE can be written", dir, t.Model.Type)
	}
	tokens, kinds, scores := make([]string, c.Vocab), make([]int32, c.Vocab), make([]float32, c.Vocab)
	for id := range tokens { // ids without a token keep this
		tokens[id], kinds[id], scores[id] = fmt.Sprintf("[unused%d]", id), kindControl, float32(-id)
	}
	put := func(id int, token string, kind int32) error {
		if id < 0 || id >= c.Vocab {
			return fmt.Errorf("%s: token %q has id %d, the vocabulary ends at %d", dir, token, id, c.Vocab)
		}
		tokens[id], kinds[id] = token, kind
		return nil
	}
	for token, id := range t.Model.Vocab {
		kind := int32(kindNormal)
		if t.Model.Fallback && byteToken.MatchString(token) {
			kind = kindByte
		}
		if err := put(id, token, kind); err != nil {
			return nil, err
		}
	}
	for _, a := range t.Added {
		kind := int32(kindNormal)
		if a.Special {
			kind = kindControl
		}
		if a.Content == t.Model.Unknown {
			kind = kindUnknown
		}
		if err := put(a.ID, a.Content, kind); err != nil {
			return nil, err
		}
	}
	list := []entry{
		{"tokenizer.ggml.tokens", tokens},
		{"tokenizer.ggml.token_type", kinds},
		{"tokenizer.ggml.bos_token_id", uint32(c.BOS)},
		{"tokenizer.ggml.eos_token_id", uint32(c.EOS)},
		{"tokenizer.ggml.add_bos_token", true},
	}
	if t.Model.Fallback {
		return append(list, entry{"tokenizer.ggml.model", "llama"}, entry{"tokenizer.ggml.scores", scores}), nil
	}
	var merges []string
	for _, m := range t.Model.Merges { // "a b", or since 2024 ["a", "b"]
		if pair, ok := m.([]any); ok && len(pair) == 2 {
			m = fmt.Sprintf("%v %v", pair[0], pair[1])
		}
		merges = append(merges, fmt.Sprint(m))
	}
	return append(list, entry{"tokenizer.ggml.model", "gpt2"}, entry{"tokenizer.ggml.pre", "llama-bpe"}, entry{"tokenizer.ggml.merges", merges}), nil
}
