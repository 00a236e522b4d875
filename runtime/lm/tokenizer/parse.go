package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"qpt/internal/strictjson"
)

// file is tokenizer.json.
type file struct {
	Version       json.RawMessage `json:"version"`
	Truncation    *Truncation     `json:"truncation"`
	Padding       *Padding        `json:"padding"`
	Added         []addedToken    `json:"added_tokens"`
	Normalizer    *component      `json:"normalizer"`
	PreTokenizer  *component      `json:"pre_tokenizer"`
	PostProcessor *processor      `json:"post_processor"`
	Decoder       *component      `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

func bad(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, a...)...)
}

func unsupported(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, a...)...)
}

// decode is json.Unmarshal that refuses unknown keys.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if strings.Contains(err.Error(), "unknown field") {
			return fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("text behind the end of the json")
	}
	return nil
}

// readTokenizerJSON reads tokenizer.json but builds nothing yet.
func readTokenizerJSON(data []byte) (*file, *model, error) {
	if err := strictjson.Check(data); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var f file
	if err := decode(data, &f); err != nil {
		return nil, nil, err
	}
	m, err := readModel(f.Model)
	return &f, m, err
}

func newTokenizer(f *file, m *model) (*Tokenizer, error) {
	t := &Tokenizer{cfg: config{
		Added: f.Added, Normalizer: f.Normalizer, PreTokenizer: f.PreTokenizer, Decoder: f.Decoder, Truncation: f.Truncation, Padding: f.Padding,
		Model: m.Type, Unk: m.Unk, SubwordPre: m.SubwordPre, WordEnd: m.WordEnd, MaxWord: m.MaxWord,
		FuseUnk: m.FuseUnk, ByteFallback: m.ByteFallback, IgnoreMerges: m.IgnoreMerges,
	}}
	if err := t.setVocab(m.Vocab.ids); err != nil {
		return nil, err
	}
	t.scores = m.Vocab.scores
	if err := t.setMerges(m.Merges); err != nil {
		return nil, err
	}
	if err := t.setAdded(); err != nil { // a class's template knows its tokens by name
		return nil, err
	}
	if err := t.setTemplate(f.PostProcessor); err != nil {
		return nil, err
	}
	return t, t.finish()
}
