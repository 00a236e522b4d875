package corpus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/runtime/lm/corpus"
)

// Every kind of file, and what is wrong with it.
func TestFile(t *testing.T) {
	bytesOf := func(_ context.Context, s string) (ids []int32, err error) {
		for _, b := range []byte(s) {
			ids = append(ids, int32(b))
		}
		return ids, nil
	}
	for _, c := range []struct {
		name, data string
		want       string // documents, or part of the error
	}{
		{"a.txt", "ab", "[[97 98]]"},
		{"a.json", "{}", "[[123 125]]"},
		{"a.jsonl", `{"text":"a"}` + "\r\n\n" + `{"text":"b","TEXT":"c","x":1}`, "[[97] [98]]"},
		{"a.JSONL", `{"TEXT":"c","text":"b"}`, "[[98]]"},
		{"a.jsonl", `{"ids":[1,2],"text":"a"}`, "[[1 2]]"},
		{"a.jsonl", `{"ids":null,"text":"a"}`, "[[97]]"},
		{"a.jsonl", `{"messages":[{"role":"user","content":"a"},{"content":"b"}]}`, "[[97 10 98]]"},
		{"a.jsonl", `{"TEXT":"c"}`, "a.jsonl: line 1: has none of the fields text, messages, ids"},
		{"a.jsonl", "\n" + `{"text":"a","text":"b"}`, "line 2: json: key \"text\" appears twice"},
		{"a.jsonl", `{"text":7}`, "text must be a string"},
		{"a.jsonl", `{"ids":"7"}`, "ids must be a list"},
		{"a.jsonl", `{"ids":[9]}`, "token id 9: must be below 9"},
		{"a.jsonl", `["a"]`, "must be a json object"},
		{"a.jsonl", `null`, "must be a json object"},
		{"a.jsonl", "{", "line 1: json"},
		{"a.txt", "caf\xe9", "a.txt is no UTF-8 text: save it as UTF-8"},
		{"a.jsonl", "{\"text\":\"caf\xe9\"}", "no UTF-8 text"},
		{"a.txt", "\xff\xfea\x00", "but UTF-16"},
		{"a.txt", "\x7fELF\x00\xff", "but binary data"},
	} {
		docs, err := (&corpus.Reader{Vocab: 9, Encode: bytesOf}).File(context.Background(), c.name, []byte(c.data))
		if strings.HasPrefix(c.want, "[") {
			if fmt.Sprint(docs) != c.want || err != nil {
				t.Errorf("%s %q: %v, %v, want %s", c.name, c.data, docs, err, c.want)
			}
		} else if !errors.Is(err, corpus.ErrText) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.name, c.data, err, c.want)
		}
	}
	for name, data := range map[string]string{"a.txt": "x", "a.jsonl": `{"text":"x"}`} {
		if _, err := (&corpus.Reader{Vocab: 9}).File(context.Background(), name, []byte(data)); err == nil || !strings.Contains(err.Error(), "no tokenizer") {
			t.Error(err)
		}
	}
}

// Of a model that reads whole texts every line is one.
func TestTexts(t *testing.T) {
	whole := func(_ context.Context, text, pair string) (corpus.Text, error) {
		return corpus.Text{IDs: []int32{int32(len(text)), int32(len(pair))}, Types: []int32{0, 1}}, nil
	}
	encode := func(context.Context, string) ([]int32, error) { return nil, errors.New("not asked for") }
	for _, c := range []struct {
		name, data string
		want       string // texts, or part of the error
	}{
		{"a.txt", "ab\n\r\n  abc \r\n", "[{[2 0] [0 1]} {[3 0] [0 1]}]"},
		{"a.jsonl", `{"text":"a","pair":"bc"}` + "\n" + `{"text":"","pair":null}` + "\n" + `{"ids":[7]}`, "[{[1 2] [0 1]} {[0 0] [0 1]} {[7] []}]"},
		{"a.jsonl", `{"messages":[{"role":"user","content":"a"},{"content":"b"}]}`, "[{[3 0] [0 1]}]"},
		{"a.jsonl", `{"text":"a","pair":7}`, "line 1: pair must be a string"},
		{"a.txt", "caf\xe9", "no UTF-8 text"},
	} {
		list, err := (&corpus.Reader{Vocab: 9, Encode: encode, Whole: whole}).Texts(context.Background(), c.name, []byte(c.data))
		if strings.HasPrefix(c.want, "[") {
			if fmt.Sprint(list) != c.want || err != nil {
				t.Errorf("%s %q: %v, %v, want %s", c.name, c.data, list, err, c.want)
			}
		} else if !errors.Is(err, corpus.ErrText) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.name, c.data, err, c.want)
		}
	}
}

// Files and devices have a size that is read at most; waiting ends with the context.
func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := corpus.ReadFile(t.Context(), path, 3); string(data) != "abc" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := corpus.ReadFile(t.Context(), path, 2); !errors.Is(err, corpus.ErrText) {
		t.Error(err)
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		if _, err := corpus.ReadFile(t.Context(), "/dev/zero", 1<<20); !errors.Is(err, corpus.ErrText) {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := corpus.ReadFile(ctx, t.TempDir(), 1); err == nil {
		t.Error("read a folder")
	}
}
