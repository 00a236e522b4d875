// Package corpus reads the files of text that models are calibrated and judged on.
//
//	r := corpus.NewReader(tok, vocab)
//	docs, err := r.File(ctx, "story.jsonl", data) // token ids, a list for each document
//
// A .jsonl file is a list of documents, a line each, which is an object with one
// of the keys text ("text": ".."), messages ("messages": [{"role": "..",
// "content": ".."}, ..], written through the chat template) and ids ("ids": [1,
// 2, ..]); of several, ids count, then text. Keys are spelled exactly so, others
// do not matter. Any other file is one document, as it stands.
//
// Of a model that reads whole texts, such as an encoder (Texts), every line of any file is one, with the model's
// tokens round it; "pair" beside "text" is a second text that it reads with the first.
package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"qpt/internal/strictjson"
	"qpt/runtime/lm/chat"
	"qpt/runtime/lm/tokenizer"
)

// ErrText is matched by errors about the contents of a file.
var ErrText = errors.New("bad text file")

// Reader turns files into token ids. NewReader sets it up for a tokenizer; a zero
// Encode is a model without one, which takes ids only.
type Reader struct {
	Vocab  int // ids in files must be below
	Most   int // tokens of a whole text, which is cut to them; 0: no limit
	Encode func(ctx context.Context, text string) ([]int32, error)
	Whole  func(ctx context.Context, text, pair string) (Text, error) // of Texts; nil as Encode
	Render func(messages []byte) (string, error)                      // a JSON list of messages; nil: contents joined by line breaks

	Wrote string // how the messages so far were written: "chat template", "joined", "" if there were none
}

// Text is a text that is read whole, or two together.
type Text struct{ IDs, Types []int32 }

// NewReader reads texts for a tokenizer, nil if there is none: documents have no
// special tokens round them, those spelled in them count. Whole ones have them.
func NewReader(t *tokenizer.Tokenizer, vocab int) *Reader {
	r := &Reader{Vocab: vocab}
	if t == nil {
		return r
	}
	r.Whole = func(ctx context.Context, text, pair string) (Text, error) {
		o := tokenizer.EncodeOptions{MaxLength: r.Most}
		if pair != "" {
			e, err := t.EncodePair(ctx, text, pair, o)
			return Text{e.IDs, e.TypeIDs}, err
		}
		e, err := t.EncodeText(ctx, text, o)
		return Text{e.IDs, e.TypeIDs}, err
	}
	r.Encode = func(ctx context.Context, s string) ([]int32, error) { return t.Encode(ctx, s, false) }
	template := sync.OnceValues(func() (chat.Template, error) { return chat.Of(t) }) // a bad one matters to messages only
	if t.ChatTemplate() != "" || len(t.ChatTemplates()) > 0 {
		r.Render = func(messages []byte) (string, error) {
			c, err := template()
			if err != nil {
				return "", err
			}
			return c.Render(messages, chat.Options{})
		}
	}
	return r
}

// Lines reports whether a file is a list of documents.
func Lines(path string) bool { return strings.EqualFold(filepath.Ext(path), ".jsonl") }

// ReadFile returns what the file, pipe or device at path holds: more than limit
// bytes are an error. The end of ctx is met while others have yet to write.
func ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	c := make(chan result, 1)
	go func() {
		f, err := os.Open(path)
		if err != nil {
			c <- result{nil, err}
			return
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, limit+1))
		c <- result{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-c:
		if int64(len(r.data)) > limit {
			return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrText, path, limit)
		}
		return r.data, r.err
	}
}

// File returns the documents of a file whose contents are data. path is for its
// kind and for messages.
func (r *Reader) File(ctx context.Context, path string, data []byte) (docs [][]int32, err error) {
	if err := r.check(path, data); err != nil {
		return nil, err
	}
	if !Lines(path) {
		ids, err := r.Encode(ctx, string(data))
		return [][]int32{ids}, err
	}
	err = eachLine(path, data, func(line []byte) error {
		ids, text, _, err := r.line(line)
		if err == nil && ids == nil {
			ids, err = r.Encode(ctx, text)
		}
		docs = append(docs, ids)
		return err
	})
	return docs, err
}

// Texts returns the texts of a file for a model that reads them whole.
func (r *Reader) Texts(ctx context.Context, path string, data []byte) (list []Text, err error) {
	if err := r.check(path, data); err != nil {
		return nil, err
	}
	err = eachLine(path, data, func(line []byte) (err error) {
		t, text, pair := Text{}, string(line), ""
		if Lines(path) {
			t.IDs, text, pair, err = r.line(line)
		}
		if err == nil && t.IDs == nil {
			t, err = r.Whole(ctx, text, pair)
		}
		list = append(list, t)
		return err
	})
	return list, err
}

// check refuses what cannot be read.
func (r *Reader) check(path string, data []byte) error {
	switch {
	case !utf8.Valid(data):
		return fmt.Errorf("%w: %s is no UTF-8 text%s", ErrText, path, guess(data))
	case !Lines(path) && r.Encode == nil:
		return fmt.Errorf("%w: %s is text, but the model has no tokenizer: give ids in a .jsonl file", ErrText, path)
	}
	return nil
}

// eachLine calls f with the lines that are not empty.
func eachLine(path string, data []byte, f func(line []byte) error) error {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("%w: %s: line %d: %w", ErrText, path, n, err)
		}
	}
	return nil
}

// line reads a line of a .jsonl file: ids, or else a text and what it is paired with.
func (r *Reader) line(line []byte) (ids []int32, text, pair string, err error) {
	var keys map[string]json.RawMessage // by its struct fields encoding/json would take TEXT for text
	if err := strictjson.Check(line); err != nil {
		return nil, "", "", err
	}
	if err := json.Unmarshal(line, &keys); err != nil || keys == nil {
		return nil, "", "", errors.New("must be a json object")
	}
	has := func(key string) bool { return keys[key] != nil && string(keys[key]) != "null" }
	if has("ids") {
		if err := json.Unmarshal(keys["ids"], &ids); err != nil || ids == nil {
			return nil, "", "", errors.New("ids must be a list of token ids")
		}
		if i := slices.IndexFunc(ids, func(id int32) bool { return id < 0 || int(id) >= r.Vocab }); i >= 0 {
			return nil, "", "", fmt.Errorf("token id %d: must be below %d", ids[i], r.Vocab)
		}
		return ids, "", "", nil
	}
	if r.Encode == nil && (has("text") || has("messages")) {
		return nil, "", "", errors.New("is text, but the model has no tokenizer: give ids")
	}
	switch {
	case has("text"):
		if json.Unmarshal(keys["text"], &text) != nil {
			return nil, "", "", errors.New("text must be a string")
		}
		if has("pair") && json.Unmarshal(keys["pair"], &pair) != nil {
			return nil, "", "", errors.New("pair must be a string")
		}
	case has("messages"):
		render := r.Render
		if r.Wrote = "chat template"; render == nil {
			r.Wrote = "joined"
			render = func(messages []byte) (string, error) { return chat.Template{}.Render(messages, chat.Options{}) }
		}
		if text, err = render(keys["messages"]); err != nil {
			return nil, "", "", err
		}
	default:
		return nil, "", "", errors.New("has none of the fields text, messages, ids")
	}
	return nil, text, pair, nil
}

// guess says what data that is no UTF-8 may be.
func guess(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return " but UTF-16: save it as UTF-8"
	case bytes.IndexByte(data[:min(len(data), 4096)], 0) >= 0:
		return " but binary data"
	}
	return ": save it as UTF-8"
}
