package calibrate

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

func TestText(t *testing.T) {
	bytesOf := func(_ context.Context, s string) (ids []int32, err error) {
		for _, b := range []byte(s) {
			ids = append(ids, int32(b))
		}
		return ids, nil
	}
	rows := func(string, []byte) ([][]int32, error) { return [][]int32{{7, 8, 9}, {}, {1, 5, 6}}, nil }
	for _, c := range []struct {
		name, data string
		opt        TextOptions
		want       string // sequences, or part of the error
	}{
		{"a.txt", "abcde", TextOptions{Reader: &corpus.Reader{Encode: bytesOf}, BOS: 1, Samples: 9, Length: 3}, "[[1 97 98] [1 99 100] [1 101]]"},
		{"a.txt", "abcde", TextOptions{Reader: &corpus.Reader{Encode: bytesOf}, BOS: -1, Samples: 9, Length: 3}, "[[97 98 99] [100 101]]"},
		{"a.jsonl", `{"text":"ab"}` + "\n\n" + `{"messages":[{"role":"user","content":"c"},{"content":"d"}]}` + "\n" + `{"ids":[7,8]}`,
			TextOptions{Reader: &corpus.Reader{Encode: bytesOf, Vocab: 9}, BOS: 1, Samples: 9, Length: 9}, "[[1 97 98] [1 99 10 100] [1 7 8]]"},
		{"a.jsonl", `{"ids":[1,7,1,8]}` + "\n" + `{"ids":[1]}`, TextOptions{Reader: &corpus.Reader{Vocab: 9}, BOS: 1, Samples: 9, Length: 3}, "[[1 7 1] [1 8]]"}, // a BOS is there already
		{"a.jsonl", `{"ids":[1,7]}`, TextOptions{Reader: &corpus.Reader{Vocab: 9}, BOS: -1, Samples: 9, Length: 9}, "[[1 7]]"},
		{"a.txt", "\x01ab", TextOptions{Reader: &corpus.Reader{Encode: bytesOf}, BOS: 1, Samples: 9, Length: 9}, "[[1 97 98]]"},
		{"a.safetensors", "\xff", TextOptions{Reader: &corpus.Reader{}, Tensors: rows, BOS: 1, Samples: 9, Length: 3}, "[[1 7 8] [1 9] [1 5 6]]"},
		{"a.SAFETENSORS", "", TextOptions{Reader: &corpus.Reader{}, Tensors: func(string, []byte) ([][]int32, error) { return nil, errors.New("no rows") }, Samples: 1, Length: 2}, "bad calibration file: no rows"},
		{"a.safetensors", "", TextOptions{Reader: &corpus.Reader{}, Tensors: func(string, []byte) ([][]int32, error) { return [][]int32{{}, {}}, nil }, Samples: 1, Length: 2}, "holds no text"},
		{"a.safetensors", "", TextOptions{Reader: &corpus.Reader{}, Samples: 1, Length: 2}, "tensors are not read here"},
		{"a.jsonl", `{"messages":[{"content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]},{"content":null}]}`,
			TextOptions{Reader: &corpus.Reader{Encode: bytesOf}, BOS: -1, Samples: 9, Length: 9}, "[[99 100 10]]"},
		{"a.jsonl", `{"messages":[{"role":"u","content":"c"}]}` + "\n" + `{"text":"\u0001ab"}`, // a sample has one BOS
			TextOptions{Reader: &corpus.Reader{Encode: bytesOf, Render: func(m []byte) (string, error) { return "\x01" + string(m[:2]), nil }}, BOS: 1, Samples: 9, Length: 9}, "[[1 91 123] [1 97 98]]"},
		{"a.jsonl", "{\"text\":\"a\"}\n" + `{"messages":[{}]}`,
			TextOptions{Reader: &corpus.Reader{Encode: bytesOf, Render: func([]byte) (string, error) { return "", errors.New("a reason") }}, BOS: 1, Samples: 9, Length: 9}, "a.jsonl: line 2: a reason"},
		{"a.jsonl", "\n" + `{"messages":[{},{"content":[{"type":"image"}]}]}`,
			TextOptions{Reader: &corpus.Reader{Encode: bytesOf}, Samples: 9, Length: 9}, `a.jsonl: line 2: messages: message 2: part 1 of content is of type "image"`},
		{"a.jsonl", `{"ids":[9]}`, TextOptions{Reader: &corpus.Reader{Vocab: 9}, Samples: 1, Length: 2}, "line 1: token id 9: must be below 9"},
		{"a.jsonl", `{"ids":[-1]}`, TextOptions{Reader: &corpus.Reader{Vocab: 9}, Samples: 1, Length: 2}, "token id -1"},
		{"a.jsonl", "{}", TextOptions{Reader: &corpus.Reader{}, Samples: 1, Length: 2}, "line 1: has none of the fields"},
		{"a.jsonl", "\n{", TextOptions{Reader: &corpus.Reader{}, Samples: 1, Length: 2}, "line 2"},
		{"a.jsonl", `{"text":"x"}`, TextOptions{Reader: &corpus.Reader{}, Samples: 1, Length: 2}, "no tokenizer"},
		{"a.txt", "x", TextOptions{Reader: &corpus.Reader{}, Samples: 1, Length: 2}, "no tokenizer"},
		{"a.txt", "", TextOptions{Reader: &corpus.Reader{Encode: bytesOf}, Samples: 1, Length: 2}, "holds no text"},
		{"a.txt", "x", TextOptions{Reader: &corpus.Reader{Encode: bytesOf}, Samples: 1, Length: 1}, "too few"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		seqs, sum, err := Text(context.Background(), path, c.opt)
		if strings.HasPrefix(c.want, "[") {
			if fmt.Sprint(seqs) != c.want || err != nil || len(sum) != 64 {
				t.Errorf("%s %q: %v, %v, want %s", c.name, c.data, seqs, err, c.want)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) || c.want != "too few" && !errors.Is(err, ErrText) && !errors.Is(err, corpus.ErrText) {
			t.Errorf("%s %q: %v, want %q", c.name, c.data, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "long.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("0123456789", 50)), 0o600); err != nil {
		t.Fatal(err)
	}
	opt := TextOptions{Reader: &corpus.Reader{Encode: bytesOf}, BOS: 1, Samples: 7, Length: 4, Seed: 1}
	a, _, err := Text(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	b, _, _ := Text(context.Background(), path, opt)
	opt.Seed = 2
	c, _, _ := Text(context.Background(), path, opt)
	if len(a) != 7 || fmt.Sprint(a) != fmt.Sprint(b) || fmt.Sprint(a) == fmt.Sprint(c) {
		t.Errorf("choice by seed: %v, again %v, another seed %v", a, b, c)
	}

	dir := t.TempDir()
	if _, _, err := Text(context.Background(), dir, opt); !errors.Is(err, ErrText) || !strings.Contains(err.Error(), "no .txt, .jsonl or .safetensors files") {
		t.Errorf("an empty folder: %v", err)
	}
	for name, data := range map[string]string{"b.txt": "bb", "a.jsonl": `{"ids":[7]}`, "c.TXT": "c", "d.md": "d", "bb.safetensors": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seqs, sum, err := Text(context.Background(), dir, TextOptions{Reader: &corpus.Reader{Encode: bytesOf, Vocab: 9}, Tensors: rows, BOS: -1, Samples: 9, Length: 9})
	if err != nil || fmt.Sprint(seqs) != "[[7] [98 98] [7 8 9] [1 5 6] [99]]" || len(sum) != 64 {
		t.Errorf("a folder: %v, %q, %v", seqs, sum, err)
	}
}
