package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"qpt/runtime/lm/tokenizer"
)

// Encode renders messages and returns the text and its ids. Special tokens are those that the template writes: what
// looks like one inside a message or a tool is text. Without a template, the text begins as the tokenizer begins texts.
func (t Template) Encode(ctx context.Context, tok *tokenizer.Tokenizer, messages []byte, o Options) (ids []int32, text string, err error) {
	m, err := newMarker(tok, messages, o.Tools)
	if err != nil {
		return nil, "", err
	}
	if messages, err = m.mark(messages); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrMessages, err)
	}
	if o.Tools != nil {
		if o.Tools, err = m.mark(o.Tools); err != nil {
			return nil, "", fmt.Errorf("%w: tools: %w", ErrMessages, err)
		}
	}
	if text, err = t.Render(messages, o); err != nil {
		return nil, "", err
	}
	text, cuts := m.cut(text)
	ids, err = tok.EncodeCut(ctx, text, t.code == nil, cuts)
	return ids, text, err
}

// marker puts a character that occurs nowhere else behind the first of each special token's spelling, so that
// templates carry the place to where it is in their text.
type marker struct {
	char    string
	replace *strings.Replacer
}

func newMarker(tok *tokenizer.Tokenizer, texts ...[]byte) (*marker, error) {
	m := &marker{}
	for r := '\uFDD0'; m.char == "" && r <= '\uFDEF'; r++ { // of no use in texts
		escaped := []byte(fmt.Sprintf(`\u%04x`, r))
		if !slices.ContainsFunc(texts, func(t []byte) bool {
			return bytes.ContainsRune(t, r) || bytes.Contains(bytes.ToLower(t), escaped)
		}) {
			m.char = string(r)
		}
	}
	if m.char == "" {
		return nil, fmt.Errorf("%w: they hold all of U+FDD0 to U+FDEF, which are no characters", ErrMessages)
	}
	var pairs []string
	for _, s := range tok.Specials() {
		_, n := utf8.DecodeRuneInString(s)
		if n < len(s) {
			pairs = append(pairs, s, s[:n]+m.char+s[n:])
		}
	}
	m.replace = strings.NewReplacer(pairs...)
	return m, nil
}

// mark marks all strings of a JSON document.
func (m *marker) mark(doc []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var b bytes.Buffer
	if err := m.value(d, &b); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("json: more than one value")
	}
	return b.Bytes(), nil
}

func (m *marker) value(d *json.Decoder, b *bytes.Buffer) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, nested := t.(json.Delim)
	if !nested {
		if s, ok := t.(string); ok {
			t = m.replace.Replace(s)
		}
		return write(b, t)
	}
	b.WriteString(open.String())
	for i := 0; d.More(); i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			if err := write(b, m.replace.Replace(key.(string))); err != nil {
				return err
			}
			b.WriteByte(':')
		}
		if err := m.value(d, b); err != nil {
			return err
		}
	}
	end, err := d.Token()
	if err != nil {
		return err
	}
	b.WriteString(end.(json.Delim).String())
	return nil
}

func write(b *bytes.Buffer, v any) error {
	text, err := json.Marshal(v)
	b.Write(text)
	return err
}

// cut takes the marks out of a text and returns where they were.
func (m *marker) cut(text string) (string, []int) {
	var b strings.Builder
	var cuts []int
	for {
		before, after, found := strings.Cut(text, m.char)
		b.WriteString(before)
		if !found {
			return b.String(), cuts
		}
		cuts, text = append(cuts, b.Len()), after
	}
}
