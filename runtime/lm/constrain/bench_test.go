package constrain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"qpt/runtime/lm/calls"
	"qpt/runtime/lm/tokenizer"
)

// benchVocabs are those of QPT_VOCABS, a list of files tokenizer.json or tekken.json; without it one of 128,000 made up tokens.
func benchVocabs(b *testing.B) map[string]*Vocab {
	list := map[string]*Vocab{}
	for _, path := range filepath.SplitList(os.Getenv("QPT_VOCABS")) {
		data, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		var tekken struct {
			Vocab []struct {
				Bytes []byte `json:"token_bytes"`
			}
		}
		name := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
		if json.Unmarshal(data, &tekken) == nil && len(tekken.Vocab) > 0 {
			list[name] = NewVocab(len(tekken.Vocab), func(id int32) []byte { return tekken.Vocab[id].Bytes }, nil)
			continue
		}
		tok, err := tokenizer.Parse(data, nil)
		if err != nil {
			b.Fatal(err)
		}
		list[name] = NewVocab(tok.VocabSize(), tok.Bytes, nil)
	}
	if len(list) == 0 {
		list["made-up"] = testVocab(128000)
	}
	return list
}

// The cost of a mask over texts of fresh grammars, whose tokens are taken at random from those that may come: most of them are where no
// text of a trained model would ever be.
func BenchmarkMask(b *testing.B) {
	hermes, err := calls.Named("hermes", "")
	if err != nil {
		b.Fatal(err)
	}
	tools := []Tool{{"get_it", []byte(toolSchema)}, {"now", nil}}
	schema := func(s string) Spec { return Spec{Schema: []byte(s)} }
	for name, v := range benchVocabs(b) {
		for _, c := range []struct {
			name string
			spec Spec
		}{
			{"object", schema(`{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}},"required":["name","age","tags"]}`)},
			{"json", Spec{JSON: true}},
			{"length", schema(`{"type":"string","maxLength":4000,"minLength":3000}`)},
			{"short", schema(`{"type":"object","properties":{"a":{"type":"string","minLength":4,"maxLength":12},"b":{"type":"string","maxLength":30},"c":{"type":"string","minLength":10}},"required":["a","b","c"]}`)},
			{"to-63", schema(`{"type":"string","maxLength":63}`)},
			{"to-255", schema(`{"type":"object","properties":{"title":{"type":"string","minLength":1,"maxLength":255},"tags":{"type":"array","items":{"type":"string","maxLength":20},"maxItems":9}},"required":["title","tags"]}`)},
			{"email", schema(`{"type":"string","format":"email"}`)},
			{"pattern", schema(`{"type":"string","pattern":"^[a-z ]*$"}`)},
			{"short-pattern", schema(`{"type":"array","items":{"type":"string","pattern":"^[A-Za-z][a-z0-9_-]{2,15}$"}}`)},
			{"somewhere", schema(`{"type":"string","pattern":"[0-9]{2}a"}`)},
			{"letters", schema(`{"type":"string","pattern":"^\\p{L}{1,20}$"}`)},
			{"recursive", schema(`{"$defs":{"n":{"anyOf":[{"type":"string"},{"type":"array","items":{"$ref":"#/$defs/n"}},{"type":"object","additionalProperties":{"$ref":"#/$defs/n"}}]}},"$ref":"#/$defs/n"}`)},
			{"regex", Spec{Regex: `([A-Z][a-z]+ ){3,20}\d{4}-\d\d-\d\d(, .{10,200})?`}},
			{"dots", Spec{Regex: `.{10,30}`}},
			{"list", Spec{Grammar: "root ::= (item \"\\n\"){3,9}\nitem ::= \"- \" [^\\n]{5,29}"}},
			{"grammar", Spec{Grammar: "root ::= (expr \"\\n\"){3,9}\nexpr ::= term ([-+*/] term)*\nterm ::= [a-z]{1,9} | [0-9]+ | \"(\" expr \")\""}},
			{"tools-auto", Spec{Tools: &Tools{List: tools, Format: hermes, Free: true}}},
			{"tools-required", Spec{Tools: &Tools{List: tools, Format: hermes}}},
		} {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				var took []time.Duration
				for i := range b.N {
					g, err := v.Compile(c.spec)
					if err != nil {
						b.Fatal(err)
					}
					rng := newRand(i)
					mask := make([]uint64, v.Words())
					at := g.Start()
					for n := 0; n < 100 && !at.Done(); n++ {
						start := time.Now()
						if err := at.Mask(mask); err != nil {
							b.Fatal(err)
						}
						took = append(took, time.Since(start))
						may := ids(mask)
						if err := at.Accept(may[rng.IntN(len(may))]); err != nil {
							b.Fatal(err)
						}
					}
				}
				slices.Sort(took)
				sum := time.Duration(0)
				for _, d := range took {
					sum += d
				}
				us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
				b.ReportMetric(us(sum)/float64(len(took)), "us/mask")
				b.ReportMetric(us(took[len(took)*99/100]), "us-p99")
				b.ReportMetric(us(took[len(took)-1]), "us-worst")
			})
		}
	}
}

// ids are those of a mask.
func ids(mask []uint64) (list []int32) {
	for id := range int32(64 * len(mask)) {
		if mask[id>>6]>>(id&63)&1 != 0 {
			list = append(list, id)
		}
	}
	return list
}
