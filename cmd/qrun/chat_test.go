package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert"
	"qpt/runtime"
	"qpt/runtime/lm"
)

func TestNextMessage(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"a\n\n  \r\nb", []string{"a", "b"}},
		{"a \\\nb\\\n\nc\n", []string{"a \nb\n", "c"}},
		{"\"\"\"a\n\n/b\nc\"\"\"\nd\n", []string{"a\n\n/b\nc", "d"}},
		{"\"\"\"\na\\\nb\n\"\"\"\n", []string{"a\\\nb\n"}},
		{"\"\"\"one\"\"\"\n", []string{"one"}},
		{"x\\\n", []string{"x\n"}}, // the end takes what there is
		{"", nil},
	} {
		in := stream{bufio.NewReader(strings.NewReader(c.in))}
		var got []string
		for {
			text, err := nextMessage(in)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	if _, err := nextMessage(stream{bufio.NewReader(strings.NewReader("\xff\n"))}); !errors.Is(err, errInput) {
		t.Errorf("not UTF-8: %v", err)
	}
}

// pasted lines come before the one that was typed.
type pasted []string

func (p *pasted) read(bool) (string, bool, error) {
	line := (*p)[0]
	*p = (*p)[1:]
	return line, len(*p) > 0, nil
}
func (*pasted) close() {}

func TestPasted(t *testing.T) {
	if got, err := nextMessage(&pasted{"one", "", "two"}); err != nil || got != "one\n\ntwo" {
		t.Errorf("%q, %v", got, err)
	}
}

// An answer after what was read is that of a sequence which reads all of it anew; an interrupted one is what was
// written, and the conversation goes on.
func TestConversation(t *testing.T) {
	opt := convert.Options{In: "../../testdata/stories260K", Scheme: "da8w8", Out: filepath.Join(t.TempDir(), "m.qpt")}
	makeFile(t, opt)
	m, err := lm.Load(opt.Out, runtime.Options{Threads: 2})
	check(t, err)
	defer m.Close()
	start := func(list ...message) *conversation {
		c, err := newConversation(m, lm.GenerateOptions{MaxTokens: 12}, "Once upon a time")
		if err != nil {
			t.Fatal(err)
		}
		c.list = list
		return c
	}
	say := func(c *conversation, ctx context.Context, ask string, write func(string) error) string {
		t.Helper()
		if _, err := c.turn(ctx, ask, write); err != nil {
			t.Fatal(err)
		}
		return c.list[len(c.list)-1].Content
	}
	quiet := func(string) error { return nil }
	c := start()
	first := say(c, t.Context(), "there was a girl", quiet)
	second := say(c, t.Context(), "She said", quiet)
	if first == "" || second == "" {
		t.Fatal("no answers")
	}
	fresh := start(message{"user", "there was a girl"}, message{"assistant", first})
	if got := say(fresh, t.Context(), "She said", quiet); got != second {
		t.Errorf("%q, anew %q", second, got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var written strings.Builder
	got := say(c, ctx, "The dog", func(s string) error {
		if written.WriteString(s); written.Len() > 10 {
			cancel()
		}
		return nil
	})
	if got != strings.TrimSpace(written.String()) || len(got) > 25 {
		t.Errorf("interrupted: %q, written %q", got, written.String())
	}
	list := slices.Clone(c.list)
	after := say(c, t.Context(), "Then", quiet)
	if again := say(start(list...), t.Context(), "Then", quiet); again != after {
		t.Errorf("after an interrupt: %q, anew %q", after, again)
	}

	if _, err := c.turn(t.Context(), strings.Repeat("many words ", 1000), quiet); !errors.Is(err, errTooLong) {
		t.Errorf("too long: %v", err)
	}
	for range 60 { // the oldest turns go
		say(c, t.Context(), "One day a boy went to the park to play.", quiet)
	}
	if n := len(c.list); n < 4 || n > 60 {
		t.Errorf("%d messages are kept", n)
	}
}
