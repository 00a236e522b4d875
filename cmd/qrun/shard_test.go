package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestResume: whole results stay, what a killed process has half written goes.
func TestResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		holds string
		count func(r io.Reader) (int64, error)
		want  string
	}{
		{"", countOf(false), ""},
		{"1 2\n3 4\n5", countOf(false), "1 2\n3 4\n"},
		{"a\tX\nb\tX\n\nc\tX\n", countOf(true), "a\tX\nb\tX\n\n"},
		{`{"custom_id":"a"}` + "\n" + `{"custom_id":"b","resp`, func(r io.Reader) (int64, error) { return answers(r, map[string]bool{}) }, `{"custom_id":"a"}` + "\n"},
	} {
		if err := os.WriteFile(path, []byte(c.holds), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := resume(path, c.count)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("new"); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if got, err := os.ReadFile(path); err != nil || string(got) != c.want+"new" {
			t.Errorf("%q: %q, want %q and what is new: %v", c.holds, got, c.want, err)
		}
	}
	if _, err := answers(strings.NewReader("{\"x\":1}\n"), map[string]bool{}); !errors.Is(err, errInput) {
		t.Errorf("another file: %v", err)
	}
}

func countOf(empty bool) func(r io.Reader) (int64, error) {
	return func(r io.Reader) (int64, error) { _, whole, err := countLines(r, empty); return whole, err }
}

// TestShard: the parts of a file are all of it, each line in one.
func TestShard(t *testing.T) {
	count := make([]int, 20)
	for _, text := range []string{"0/3", "1/3", "2/3"} {
		var s shard
		if err := s.Set(text); err != nil || s.String() != text {
			t.Fatal(s, err)
		}
		for i := range count {
			if s.has(i) {
				count[i]++
			}
		}
	}
	for i, n := range count {
		if n != 1 {
			t.Errorf("line %d is in %d parts", i, n)
		}
	}
	for _, bad := range []string{"", "1", "3/3", "-1/3", "0/0", "a/b", "1/2/3"} {
		if err := new(shard).Set(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
