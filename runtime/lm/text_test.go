package lm_test

import (
	"testing"

	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

// TestTextAfterBytes: a prompt that ends in byte tokens keeps them to itself.
func TestTextAfterBytes(t *testing.T) {
	m := lmtest.Load(t, "f32")
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	id := func(word string) int32 {
		id, ok := tok.ID(word)
		if !ok {
			t.Fatalf("no token %q", word)
		}
		return id
	}
	newline, e1, e2, bad, once := id("<0x0A>"), id("<0xC3>"), id("<0xA9>"), id("<0xFF>"), int32(403)
	for _, c := range []struct {
		prompt, ids []int32
		want        string
	}{
		{[]int32{1, once, newline}, []int32{once}, " Once"},
		{[]int32{1, newline, newline}, []int32{newline, once}, "\n Once"},
		{[]int32{1, once, e1}, []int32{e2, once}, "é Once"},
		{[]int32{1, once, e1, e2}, []int32{once}, " Once"},
		{[]int32{1, once, newline}, []int32{bad, once}, "\uFFFD Once"},
		{[]int32{1, once, newline}, nil, ""},
		{[]int32{1, once}, []int32{newline}, "\n"},
	} {
		text := m.NewText(c.prompt, lm.TextOptions{})
		got := ""
		for _, id := range c.ids {
			piece, _ := text.Next(id)
			got += piece
		}
		if got += text.Flush(); got != c.want {
			t.Errorf("%v after %v: %q, want %q", c.ids, c.prompt, got, c.want)
		}
	}
}
