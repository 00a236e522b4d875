package tokenizer

import (
	"context"
	"slices"
)

// Encoding is what a model reads of one text or of two that belong together.
type Encoding struct {
	IDs     []int32 // [T]
	TypeIDs []int32 // [T] token types: which text a token belongs to, as the template says
	Mask    []int32 // [T] 1: a token, 0: padding; nil where nothing is padding
}

// EncodeOptions say how EncodeText and EncodePair make an Encoding. The zero
// value is what the library does with the same tokenizer.json.
type EncodeOptions struct {
	// NoSpecial leaves out what the template puts round the texts.
	NoSpecial bool
	// MaxLength bounds the tokens of a text or a pair, special ones included; what is
	// too much is cut off as the file's truncation says (default: at the end, of
	// the longer text first). 0: the file's own bound, if it has one; negative: none.
	MaxLength int
}

// EncodeText encodes one text for a model that reads token types, within MaxLength.
func (t *Tokenizer) EncodeText(ctx context.Context, text string, o EncodeOptions) (Encoding, error) {
	a, err := t.Encode(ctx, text, false)
	if err != nil {
		return Encoding{}, err
	}
	return t.assemble(o, a)
}

// EncodePair encodes two texts that the model reads at once, such as a question
// and a passage, with what the template puts round and between them.
func (t *Tokenizer) EncodePair(ctx context.Context, first, second string, o EncodeOptions) (Encoding, error) {
	a, err := t.Encode(ctx, first, false)
	if err != nil {
		return Encoding{}, err
	}
	b, err := t.Encode(ctx, second, false)
	if err != nil {
		return Encoding{}, err
	}
	return t.assemble(o, a, b)
}

// Around is what EncodeText puts before a text and behind it.
func (t *Tokenizer) Around() (before, behind []int32) {
	list := &before
	for _, i := range t.cfg.template(1) {
		if i.Text != "" {
			list = &behind
		}
		*list = append(*list, i.IDs...)
	}
	return before, behind
}

func (t *Tokenizer) assemble(o EncodeOptions, texts ...[]int32) (Encoding, error) {
	list := t.cfg.template(len(texts))
	if o.NoSpecial {
		list = slices.DeleteFunc(slices.Clone(list), func(i item) bool { return i.Text == "" })
	}
	added := 0
	for _, i := range list {
		added += len(i.IDs)
	}
	if err := t.truncate(texts, o.MaxLength, added); err != nil {
		return Encoding{}, err
	}
	n := added
	for _, x := range texts {
		n += len(x)
	}
	e := Encoding{IDs: make([]int32, 0, n), TypeIDs: make([]int32, 0, n)}
	for _, i := range list {
		ids := i.IDs
		switch i.Text {
		case "A":
			ids = texts[0]
		case "B":
			ids = texts[1]
		}
		e.IDs = append(e.IDs, ids...)
		e.TypeIDs = append(e.TypeIDs, slices.Repeat([]int32{i.Type}, len(ids))...)
	}
	return e, nil
}
