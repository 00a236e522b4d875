package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// modelKind is one way to make ids of the words that the pre-tokenizers leave.
type modelKind struct {
	check func(m *model) error                // what is particular of tokenizer.json
	setup func(t *Tokenizer) error            // the tables, of configuration and vocabulary
	word  func(e *encoder, word string) error // appends the ids of a word, which is not empty
}

// modelKinds by the library's names; that of BPE is "" in configurations, which were there before the others.
var modelKinds = map[string]modelKind{
	"":          bpeKind,
	"WordPiece": wordPieceKind,
	"WordLevel": wordLevelKind,
	"Unigram":   unigramKind,
}

// model is the model of tokenizer.json, of any kind.
type model struct {
	Type         string     `json:"type"`
	Dropout      float64    `json:"dropout"`
	Unk          *string    `json:"unk_token"`
	UnkID        *int       `json:"unk_id"` // Unigram
	SubwordPre   string     `json:"continuing_subword_prefix"`
	WordEnd      string     `json:"end_of_word_suffix"`
	MaxWord      int        `json:"max_input_chars_per_word"` // WordPiece
	FuseUnk      bool       `json:"fuse_unk"`
	ByteFallback bool       `json:"byte_fallback"`
	IgnoreMerges bool       `json:"ignore_merges"`
	Vocab        vocabulary `json:"vocab"`
	Merges       mergeList  `json:"merges"`
}

// vocabulary reads {"token": id, ...} and, of Unigram, [["token", score], ...] in the order of ids.
type vocabulary struct {
	ids    map[string]int32
	scores []float64 // as the library reads them
	exact  []float64 // as Python does
}

func (v *vocabulary) UnmarshalJSON(data []byte) error {
	if data[0] != '[' {
		return json.Unmarshal(data, &v.ids)
	}
	var list [][]json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	v.ids, v.scores, v.exact = make(map[string]int32, len(list)), make([]float64, len(list)), make([]float64, len(list))
	for id, pair := range list {
		var token string
		err := errors.New("no pair")
		if len(pair) == 2 {
			err = errors.Join(json.Unmarshal(pair[0], &token), json.Unmarshal(pair[1], &v.exact[id]))
		}
		if err == nil {
			v.scores[id], err = fastFloat(string(pair[1]))
		}
		if err != nil {
			return fmt.Errorf("entry %d of the vocabulary: %w: want [token, score]", id, err)
		}
		if other, twice := v.ids[token]; twice {
			return fmt.Errorf("entries %d and %d of the vocabulary are both %q", other, id, token)
		}
		v.ids[token] = int32(id)
	}
	return nil
}

func readModel(data []byte) (*model, error) {
	var keys map[string]json.RawMessage
	if json.Unmarshal(data, &keys) != nil || keys == nil {
		return nil, bad("no model")
	}
	var m model
	if err := decode(data, &m); err != nil {
		return nil, err
	}
	if m.Type == "" { // old files leave it out
		switch {
		case keys["merges"] != nil:
		case m.Vocab.scores != nil:
			m.Type = "Unigram"
		case keys["max_input_chars_per_word"] != nil:
			m.Type = "WordPiece"
		default:
			m.Type = "WordLevel"
		}
	} else if m.Type == "BPE" {
		m.Type = ""
	}
	kind, ok := modelKinds[m.Type]
	if !ok {
		return nil, unsupported("model %q", m.Type)
	}
	if len(m.Vocab.ids) == 0 {
		return nil, bad("the vocabulary is empty")
	}
	if (m.Vocab.scores != nil) != (m.Type == "Unigram") {
		return nil, bad("model %q: scores belong to the vocabulary of Unigram, and to no other", m.Type)
	}
	return &m, kind.check(&m)
}

// setUnk finds the unknown token; without one, or with one that the model does
// not have, unknown words are an error.
func (t *Tokenizer) setUnk() {
	t.unkID = -1
	if t.cfg.Unk != nil {
		t.unkID = t.vocab.id(*t.cfg.Unk)
	}
}

// unknown appends the unknown token in the place of a word.
func (e *encoder) unknown(word string) error {
	if e.t.unkID < 0 {
		return fmt.Errorf("%w: %.80q, and the tokenizer has no token for what is unknown", ErrUnknown, word)
	}
	e.out = append(e.out, e.t.unkID)
	return nil
}
