package constrain

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// charVocab has many tokens of characters beyond ASCII: whole ones, cut ones, and bytes that are none, with large subtrees of each kind.
func charVocab() *Vocab {
	rng := rand.New(rand.NewPCG(5, 6))
	seen := map[string]bool{}
	var list [][]byte
	add := func(w string) {
		if !seen[w] {
			seen[w] = true
			list = append(list, []byte(w))
		}
	}
	for c := range 256 {
		add(string([]byte{byte(c)}))
	}
	letters := []rune("abé日本語ж😀 \"\\\n{}<_")
	for len(list) < 6000 {
		var w []byte
		for range 1 + rng.IntN(4) {
			w = utf8.AppendRune(w, letters[rng.IntN(len(letters)-rng.IntN(9))])
		}
		switch rng.IntN(12) {
		case 0:
			w = w[:len(w)-rng.IntN(len(w))]
		case 1:
			if w[0] == 'a' || w[0] == 0xd0 { // so that the others' subtrees are good
				w[rng.IntN(len(w))] ^= 0x80
			}
		}
		add(string(w))
	}
	list = append(list, list[700:900]...) // twice the same bytes
	eos := int32(len(list))
	return NewVocab(len(list)+1, func(id int32) []byte { return list[id] }, []int32{eos})
}

// TestSweep: a mask has the tokens that lead somewhere byte by byte, each tried by itself.
func TestSweep(t *testing.T) {
	v := charVocab()
	for name, spec := range map[string]Spec{
		"json":     {JSON: true},
		"string":   {Schema: []byte(`{"type":"object","properties":{"日本":{"type":"string"},"e":{"type":"string","pattern":"^[a-z日 ]*$"}},"required":["日本","e"]}`)},
		"length":   {Schema: []byte(`{"type":"string","minLength":90,"maxLength":200}`)},
		"short":    {Schema: []byte(`{"type":"string","maxLength":3}`)},
		"between":  {Schema: []byte(`{"type":"array","items":{"type":"string","minLength":2,"maxLength":7}}`)},
		"least":    {Schema: []byte(`{"type":"string","minLength":5}`)},
		"either":   {Regex: `[^b"]{0,4}"|[^é]{3}b*`},
		"some":     {Regex: `([^本"]|\n)*x`},
		"once":     {Regex: `[^é日]*[é日][a-z😀]*`},
		"dots":     {Regex: `.{2,5}`},
		"items":    {Grammar: `root ::= ("- " item "\n"){1,9}` + "\n" + `item ::= [^\n]{2,9}`},
		"anything": {Regex: `(?s).*`},
		"lines":    {Grammar: `root ::= ([^\n]* "\n")+`},
		"two":      {Grammar: `root ::= a | b` + "\n" + `a ::= [a-zé]* "<" root ">"` + "\n" + `b ::= [a-z日 ]*`},
		"tools":    {Tools: &Tools{List: toolList, Format: toolFormat(t, "hermes"), Free: true}},
	} {
		g, err := v.Compile(spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rng := newRand(len(name))
		mask := make([]uint64, v.Words())
		at := g.Start()
		for n := 0; n < 25 && !at.Done(); n++ {
			if err := at.Mask(mask); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for id := range int32(v.Size() - 1) {
				s := at.at
				for _, b := range v.text[id] {
					s = g.step(s, b)
				}
				if want := s != dead && len(v.text[id]) > 0; mask[id>>6]>>(id&63)&1 != 0 != want {
					t.Fatalf("%s, token %d: %q is in the mask: %v", name, n, v.text[id], !want)
				}
			}
			may := ids(mask)
			if err := at.Accept(may[rng.IntN(len(may))]); err != nil {
				t.Fatal(err)
			}
		}
	}
}
