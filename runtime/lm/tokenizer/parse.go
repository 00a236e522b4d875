package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"qpt/internal/strictjson"
)

// config is all of a tokenizer but its vocabulary and merges. It is stored as
// JSON; fields are in the order and with the names of the file format.
type config struct {
	Added        []addedToken `json:"added_tokens,omitempty"`
	Normalizer   *component   `json:"normalizer,omitempty"`
	PreTokenizer *component   `json:"pre_tokenizer,omitempty"`
	Decoder      *component   `json:"decoder,omitempty"`
	Unk          *string      `json:"unk_token,omitempty"`
	FuseUnk      bool         `json:"fuse_unk,omitempty"`
	ByteFallback bool         `json:"byte_fallback,omitempty"`
	IgnoreMerges bool         `json:"ignore_merges,omitempty"`
	Prefix       []int32      `json:"prefix,omitempty"` // put before a text, with addSpecial
	Suffix       []int32      `json:"suffix,omitempty"`
	BOS          *int32       `json:"bos,omitempty"`
	EOS          *int32       `json:"eos,omitempty"`

	Named        map[string]string `json:"special_tokens,omitempty"`       // bos_token and so on
	SplitSpecial bool              `json:"split_special_tokens,omitempty"` // special tokens spelled in a text are text
	ChatTemplate string            `json:"chat_template,omitempty"`        // the default one
	Templates    map[string]string `json:"chat_templates,omitempty"`       // others by name
}

// component is one normalizer, pre-tokenizer or decoder, or a Sequence of
// them, as tokenizer.json writes it.
type component struct {
	Type             string      `json:"type"`
	Normalizers      []component `json:"normalizers,omitempty"`
	PreTokenizers    []component `json:"pretokenizers,omitempty"`
	Decoders         []component `json:"decoders,omitempty"`
	Pattern          *pattern    `json:"pattern,omitempty"`           // Split, Replace
	Content          string      `json:"content,omitempty"`           // Replace, Strip
	Prepend          string      `json:"prepend,omitempty"`           // Prepend
	Start            int         `json:"start,omitempty"`             // Strip
	Stop             int         `json:"stop,omitempty"`              // Strip
	Behavior         string      `json:"behavior,omitempty"`          // Split
	Invert           bool        `json:"invert,omitempty"`            // Split
	IndividualDigits bool        `json:"individual_digits,omitempty"` // Digits
	AddPrefixSpace   *bool       `json:"add_prefix_space,omitempty"`  // ByteLevel, Metaspace
	TrimOffsets      *bool       `json:"trim_offsets,omitempty"`      // ByteLevel; says nothing about ids
	UseRegex         *bool       `json:"use_regex,omitempty"`         // ByteLevel, default true
	Replacement      string      `json:"replacement,omitempty"`       // Metaspace
	StrRep           string      `json:"str_rep,omitempty"`           // Metaspace, old; ignored by the library too
	PrependScheme    string      `json:"prepend_scheme,omitempty"`    // Metaspace
	Split            *bool       `json:"split,omitempty"`             // Metaspace, default true
	Delimiter        string      `json:"delimiter,omitempty"`         // CharDelimiterSplit
}

// maxGrowth bounds what a text may become on its way, so that a hostile file
// cannot turn a word into gigabytes. U+2581 for a space is 3, bytes as letters 2.
const maxGrowth = 1024

// growth bounds the growth of a text, roughly, or is above maxGrowth.
func (c *component) growth() int {
	if c == nil {
		return 1
	}
	n := 1
	switch c.Type {
	case "ByteLevel", "NFC", "Lowercase":
		n = 3
	case "Prepend", "Replace", "Metaspace":
		n = max(len(c.Content), len(c.Prepend)+1, len(c.Replacement)+1)
	}
	for _, list := range [][]component{c.Normalizers, c.PreTokenizers, c.Decoders} {
		for i := range list {
			n *= min(list[i].growth(), maxGrowth+1)
			n = min(n, maxGrowth+1)
		}
	}
	return n
}

// backtracks reports whether a pattern of c is left to regexp2.
func (c *component) backtracks() bool {
	if c == nil {
		return false
	}
	slow := func(c component) bool { return c.backtracks() }
	return c.Pattern != nil && c.Pattern.Regex != nil && (c.Pattern.scanner() == nil || c.Behavior != "Isolated") ||
		slices.ContainsFunc(c.Normalizers, slow) || slices.ContainsFunc(c.PreTokenizers, slow)
}

// file is tokenizer.json. Truncation and padding concern batches: they are not
// applied, as in transformers, which switches them off unless asked.
type file struct {
	Version       json.RawMessage `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	Added         []addedToken    `json:"added_tokens"`
	Normalizer    *component      `json:"normalizer"`
	PreTokenizer  *component      `json:"pre_tokenizer"`
	PostProcessor *processor      `json:"post_processor"`
	Decoder       *component      `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

type model struct {
	Type         string           `json:"type"`
	Dropout      float64          `json:"dropout"`
	Unk          *string          `json:"unk_token"`
	SubwordPre   string           `json:"continuing_subword_prefix"`
	WordEnd      string           `json:"end_of_word_suffix"`
	FuseUnk      bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       mergeList        `json:"merges"`
}

// mergeList reads ["a b", ...] and [["a","b"], ...].
type mergeList [][2]string

func (l *mergeList) UnmarshalJSON(data []byte) error {
	var pairs [][]string
	if json.Unmarshal(data, &pairs) != nil {
		pairs = nil
		var lines []string
		if err := json.Unmarshal(data, &lines); err != nil {
			return fmt.Errorf("merges: %w", err)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "#version") {
				pairs = append(pairs, strings.Split(line, " "))
			}
		}
	}
	*l = make(mergeList, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("merge %d: %d parts, must be 2", i, len(p))
		}
		(*l)[i] = [2]string(p)
	}
	return nil
}

// processor is the post_processor.
type processor struct {
	Type           string                  `json:"type"`
	Processors     []processor             `json:"processors"`
	AddPrefixSpace bool                    `json:"add_prefix_space"`
	TrimOffsets    bool                    `json:"trim_offsets"`
	UseRegex       bool                    `json:"use_regex"`
	Single         []templateItem          `json:"single"`
	Pair           []templateItem          `json:"pair"`
	Special        map[string]templateWord `json:"special_tokens"`
	CLS            *sepToken               `json:"cls"` // RobertaProcessing, BertProcessing
	SEP            *sepToken               `json:"sep"`
}

// sepToken is written ["</s>", 2].
type sepToken struct {
	text string
	id   int32
}

func (s *sepToken) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return errors.New("want [token, id]")
	}
	return errors.Join(json.Unmarshal(pair[0], &s.text), json.Unmarshal(pair[1], &s.id))
}

type templateItem struct {
	Sequence     *templateRef `json:"Sequence"`
	SpecialToken *templateRef `json:"SpecialToken"`
}

type templateRef struct {
	ID     string `json:"id"`
	TypeID int    `json:"type_id"`
}

type templateWord struct {
	ID     string   `json:"id"`
	IDs    []int32  `json:"ids"`
	Tokens []string `json:"tokens"`
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
	var kind struct{ Type string }
	if json.Unmarshal(f.Model, &kind) != nil {
		return nil, nil, bad("no model")
	}
	if kind.Type != "BPE" && kind.Type != "" { // old files leave it out
		return nil, nil, unsupported("model %q, must be BPE", kind.Type)
	}
	var m model
	if err := decode(f.Model, &m); err != nil {
		return nil, nil, err
	}
	switch {
	case len(m.Vocab) == 0:
		return nil, nil, bad("the vocabulary is empty")
	case m.Dropout != 0:
		return nil, nil, unsupported("dropout %g", m.Dropout)
	case m.SubwordPre != "":
		return nil, nil, unsupported("continuing_subword_prefix %q", m.SubwordPre)
	case m.WordEnd != "":
		return nil, nil, unsupported("end_of_word_suffix %q", m.WordEnd)
	}
	return &f, &m, nil
}

func newTokenizer(f *file, m *model) (*Tokenizer, error) {
	t := &Tokenizer{cfg: config{
		Added: f.Added, Normalizer: f.Normalizer, PreTokenizer: f.PreTokenizer, Decoder: f.Decoder,
		Unk: m.Unk, FuseUnk: m.FuseUnk, ByteFallback: m.ByteFallback, IgnoreMerges: m.IgnoreMerges,
	}}
	if err := t.setVocab(m.Vocab); err != nil {
		return nil, err
	}
	if err := t.setMerges(m.Merges); err != nil {
		return nil, err
	}
	if err := t.setTemplate(f.PostProcessor); err != nil {
		return nil, err
	}
	return t, t.finish()
}

func (t *Tokenizer) setVocab(words map[string]int32) error {
	limit := int32(2*len(words) + 1024) // bounds what sparse ids may cost
	size := int32(0)
	for token, id := range words {
		if id < 0 || id >= limit {
			return bad("token %q: id %d, must be 0 to %d for %d tokens", token, id, limit-1, len(words))
		}
		size = max(size, id+1)
	}
	t.vocab = newVocab(int(size))
	for token, id := range words {
		if other, taken := t.vocab.token(id); taken {
			return bad("tokens %q and %q have the same id %d", other, token, id)
		}
		t.vocab.add(token, id)
	}
	return nil
}

func (t *Tokenizer) setMerges(pairs mergeList) error {
	list := make([]merge, len(pairs))
	for i, p := range pairs {
		m := merge{t.vocab.id(p[0]), t.vocab.id(p[1]), int32(i), t.vocab.id(p[0] + p[1])}
		if m.left < 0 || m.right < 0 || m.result < 0 {
			return bad("merge %d, %q and %q: a part or the result is not in the vocabulary", i, p[0], p[1])
		}
		if p[0] == "" || p[1] == "" {
			return bad("merge %d has an empty part", i)
		}
		list[i] = m
	}
	t.merges = newMergeTable(len(t.vocab.tokens), list)
	return nil
}

// setTemplate works out what goes round a single text.
func (t *Tokenizer) setTemplate(p *processor) error {
	if p == nil {
		return nil
	}
	list := []processor{*p}
	if p.Type == "Sequence" {
		list = p.Processors
	}
	templates := 0
	for _, p := range list {
		switch p.Type {
		case "ByteLevel": // moves offsets only
			continue
		case "RobertaProcessing", "BertProcessing":
			if p.CLS == nil || p.SEP == nil {
				return bad("post_processor %s: no cls or no sep", p.Type)
			}
			cls := &templateRef{ID: p.CLS.text}
			sep := &templateRef{ID: p.SEP.text}
			p.Single = []templateItem{{SpecialToken: cls}, {Sequence: &templateRef{ID: "A"}}, {SpecialToken: sep}}
			p.Special = map[string]templateWord{cls.ID: {IDs: []int32{p.CLS.id}}, sep.ID: {IDs: []int32{p.SEP.id}}}
		case "TemplateProcessing":
		default:
			return unsupported("post_processor %q", p.Type)
		}
		if templates++; templates > 1 {
			return unsupported("post_processor with two templates")
		}
		texts := 0
		for _, item := range p.Single {
			switch {
			case item.Sequence != nil && item.SpecialToken == nil && item.Sequence.ID == "A":
				texts++
			case item.SpecialToken != nil && item.Sequence == nil:
				word, ok := p.Special[item.SpecialToken.ID]
				if !ok {
					return bad("post_processor: special token %q is not described", item.SpecialToken.ID)
				}
				if texts == 0 {
					t.cfg.Prefix = append(t.cfg.Prefix, word.IDs...)
				} else {
					t.cfg.Suffix = append(t.cfg.Suffix, word.IDs...)
				}
			default:
				return bad("post_processor: a template item must be SpecialToken or Sequence A")
			}
		}
		if texts != 1 {
			return bad("post_processor: the text stands %d times in the template, must be once", texts)
		}
	}
	return nil
}
