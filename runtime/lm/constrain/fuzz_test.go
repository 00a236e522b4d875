package constrain

import (
	"errors"
	"testing"
	"time"
)

// fuzz compiles whatever it is given within a time, and writes a text of it; a text that came to its end is one of the language.
func fuzz(t *testing.T, spec Spec, seed int) {
	start := time.Now()
	g, err := small.Compile(spec)
	if d := time.Since(start); d > 30*time.Second {
		t.Fatalf("took %s to compile", d)
	}
	if err != nil {
		if !errors.Is(err, ErrSpec) {
			t.Fatalf("an error that is no ErrSpec: %v", err)
		}
		return
	}
	rng := newRand(seed)
	c, mask := g.Start(), make([]uint64, small.Words())
	text := ""
	for range 30 {
		if err := c.Mask(mask); err != nil {
			if !g.lost {
				t.Fatalf("after %q: %v", text, err)
			}
			return
		}
		var may []int32
		for id := range int32(small.size) {
			if mask[id>>6]>>(id&63)&1 != 0 {
				may = append(may, id)
			}
		}
		id := may[rng.IntN(len(may))]
		if err := c.Accept(id); err != nil {
			t.Fatal(err)
		}
		text += string(small.text[id])
		if c.Done() {
			break
		}
	}
	if c.Whole() != g.Matches(text) {
		t.Fatalf("%q: whole is %v", text, c.Whole())
	}
}

func FuzzSchema(f *testing.F) {
	for _, s := range schemas {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, text []byte, seed int) { fuzz(t, Spec{Schema: append([]byte{}, text...)}, seed) })
}

func FuzzRegex(f *testing.F) {
	for _, s := range []string{"[a-c]{3}[0-9]{2}", "^a|b$", "(?i)x*?(é|\\u00e9)+", "\\p{L}{1,3}", "\\p{L}{103}", "(a|b)*a(a|b){5}", "[^\\x00-\\x{10ffff}]", "$^"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, text string, seed int) { fuzz(t, Spec{Regex: text}, seed) })
}

func FuzzGrammar(f *testing.F) {
	for _, s := range []string{
		"root ::= \"a\" b | [^x-z]{2,3}\nb ::= (\"c\" # no\n | .)*", "root ::= \"(\" root \")\" | \"\"", "root ::= root \"a\" | \"b\"", "root ::= a? \"x\"\na ::= \"\" | \"y\" a",
		"root ::= \"a\"{0,50} \"a\"{0,50} \"b\"", larkExample,
	} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, text string, seed int) { fuzz(t, Spec{Grammar: text}, seed) })
}
