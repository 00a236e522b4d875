package tokenizer

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// large makes a byte-level tokenizer in the proportions of Llama 3 (128,000
// tokens, 280,147 merges): the bytes and all strings of 13 letters, short first.
func large(t testing.TB) *Tokenizer {
	const tokens, merges = 128_000, 280_147
	letters := strings.Split("e t a o i n s h r d l u Ġ", " ")
	words := map[string]int32{}
	for _, r := range byteRune {
		words[string(r)] = int32(len(words))
	}
	var pairs mergeList
	for queue := letters; len(words) < tokens; queue = queue[1:] {
		for _, c := range letters {
			s := queue[0] + c
			queue = append(queue, s)
			words[s] = int32(len(words))
			for i := 1; i < len(s) && i < 5; i++ {
				_, a := words[s[:i]]
				_, b := words[s[i:]]
				if a && b && len(pairs) < merges {
					pairs = append(pairs, [2]string{s[:i], s[i:]})
				}
			}
		}
	}
	yes := true
	tok := &Tokenizer{cfg: config{IgnoreMerges: true, PreTokenizer: &component{Type: "ByteLevel", UseRegex: &yes}, Decoder: &component{Type: "ByteLevel"}}}
	for _, err := range []error{tok.setVocab(words), tok.setMerges(pairs), tok.finish()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return tok
}

func BenchmarkLoad128k(b *testing.B) {
	tok := large(b)
	blob, err := tok.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d tokens, %d merges, %d bytes", len(tok.vocab.tokens), len(tok.merges.right), len(blob))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(blob); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	text, err := os.ReadFile("../../../testdata/text/tinystories_eval.txt")
	if err != nil {
		b.Fatal(err)
	}
	prose := strings.Repeat(string(text), 5)
	for _, name := range []string{"stories260K", "gpt2", "llama3", "qwen2", "large"} {
		var tok *Tokenizer
		if name == "large" {
			tok = large(b)
		} else {
			tok = mustParse(b, readTokenizer(b, name), nil)
		}
		for what, s := range map[string]string{"prose": prose, "oneword": strings.ReplaceAll(prose, " ", "")} {
			b.Run(fmt.Sprintf("%s/%s", name, what), func(b *testing.B) {
				b.SetBytes(int64(len(s)))
				for b.Loop() {
					encode(b, tok, s, true)
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	text, err := os.ReadFile("../../../testdata/text/tinystories_eval.txt")
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"stories260K", "llama3"} {
		tok := mustParse(b, readTokenizer(b, name), nil)
		ids := encode(b, tok, string(text), true)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.Decode(ids, true)
			}
		})
	}
}

// BenchmarkKinds encodes prose with tokenizers of every kind.
func BenchmarkKinds(b *testing.B) {
	text, err := os.ReadFile("../../../testdata/text/tinystories_eval.txt")
	if err != nil {
		b.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	_, list := readKinds(b, "testdata/kinds.json.gz")
	for _, g := range list {
		tok := mustParse(b, g.Tokenizer, nil)
		b.Run(g.Name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for _, s := range lines {
					encode(b, tok, s, true)
				}
			}
		})
	}
}
