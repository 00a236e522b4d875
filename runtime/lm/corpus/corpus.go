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
	Encode func(ctx context.Context, text string) ([]int32, error)
	Render func(messages []byte) (string, error) // a JSON list of messages; nil: contents joined by line breaks

	Wrote string // how the messages so far were written: "chat template", "joined", "" if there were none
}

// NewReader reads texts for a tokenizer, nil if there is none: documents have no
// special tokens round them, those spelled in them count.
func NewReader(t *tokenizer.Tokenizer, vocab int) *Reader {
	r := &Reader{Vocab: vocab}
	if t == nil {
		return r
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
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: %s is no UTF-8 text%s", ErrText, path, guess(data))
	}
	if !Lines(path) {
		if r.Encode == nil {
			return nil, fmt.Errorf("%w: %s is text, but the model has no tokenizer: give ids in a .jsonl file", ErrText, path)
		}
		ids, err := r.Encode(ctx, string(data))
		return [][]int32{ids}, err
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		ids, err := r.line(ctx, line)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: line %d: %w", ErrText, path, n, err)
		}
		docs = append(docs, ids)
	}
	return docs, nil
}

func (r *Reader) line(ctx context.Context, line []byte) (ids []int32, err error) {
	var keys map[string]json.RawMessage // by its struct fields encoding/json would take TEXT for text
	if err := strictjson.Check(line); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(line, &keys); err != nil || keys == nil {
		return nil, errors.New("must be a json object")
	}
	has := func(key string) bool { return keys[key] != nil && string(keys[key]) != "null" }
	if has("ids") {
		if err := json.Unmarshal(keys["ids"], &ids); err != nil {
			return nil, errors.New("ids must be a list of token ids")
		}
		if i := slices.IndexFunc(ids, func(id int32) bool { return id < 0 || int(id) >= r.Vocab }); i >= 0 {
			return nil, fmt.Errorf("token id %d: must be below %d", ids[i], r.Vocab)
		}
		return ids, nil
	}
	if r.Encode == nil && (has("text") || has("messages")) {
		return nil, errors.New("is text, but the model has no tokenizer: give ids")
	}
	var text string
	switch {
	case has("text"):
		if json.Unmarshal(keys["text"], &text) != nil {
			return nil, errors.New("text must be a string")
		}
	case has("messages"):
		render := r.Render
		if r.Wrote = "chat template"; render == nil {
			r.Wrote = "joined"
			render = func(messages []byte) (string, error) { return chat.Template{}.Render(messages, chat.Options{}) }
		}
		if text, err = render(keys["messages"]); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("has none of the fields text, messages, ids")
	}
	return r.Encode(ctx, text)
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
