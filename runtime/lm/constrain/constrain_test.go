package constrain

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// bytesVocab has a token for each byte, pieces of JSON, words, and an end of text.
func testVocab(extra int) *Vocab {
	var list [][]byte
	for c := range 256 {
		list = append(list, []byte{byte(c)})
	}
	for _, w := range []string{`{"`, `":`, `": `, `",`, `", "`, `"}`, `"]`, `}}`, `]}`, `, `, `true`, `false`, `null`, `false}`, `12`, `345`, `0.`, `\u`, `\"`, "é", "日本", "    "} {
		list = append(list, []byte(w))
	}
	const letters = " etaoinshrdlucmfw\"{}[]:,.0123456789-_"
	rng := rand.New(rand.NewPCG(1, 2))
	for range extra {
		w := make([]byte, 2+rng.IntN(7))
		for i := range w {
			w[i] = letters[rng.IntN(len(letters)-rng.IntN(22))]
		}
		list = append(list, w)
	}
	eos := int32(len(list))
	return NewVocab(len(list)+1, func(id int32) []byte { return list[id] }, []int32{eos})
}

var small = testVocab(300)

// distances are the fewest bytes from each node to the end of its rule.
func distances(g *Grammar) []int {
	const far = 1 << 30
	d := make([]int, len(g.nodes))
	for i := range d {
		d[i] = far
	}
	for again := true; again; {
		again = false
		for i := range slices.Backward(g.nodes) {
			n := &g.nodes[i]
			best := d[i]
			if n.final {
				best = 0
			}
			for _, e := range n.edges {
				best = min(best, 1+d[e.to])
			}
			for _, to := range n.eps {
				best = min(best, d[to])
			}
			for _, c := range n.calls {
				best = min(best, d[g.start[c.rule]]+d[c.ret])
			}
			again = again || best < d[i]
			d[i] = best
		}
	}
	return d
}

// shortest is the shortest text from a state to the end.
func shortest(t testing.TB, g *Grammar, at *state) string {
	t.Helper()
	d := distances(g)
	left := func(s *state) int { // bytes to the end
		if s.end {
			return 0
		}
		best := 1 << 30
		for _, c := range s.configs {
			n := d[c.node]
			for k := c.stack; k != nil; k = k.under {
				n += d[k.ret]
			}
			best = min(best, n)
		}
		return best
	}
	var text []byte
	for !at.end {
		n := left(at)
		for _, c := range g.reps {
			if to := g.step(at, c); to != dead && left(to) < n {
				at, text = to, append(text, c)
				break
			}
		}
		if left(at) >= n {
			t.Fatalf("no way to the end after %q", text)
		}
	}
	return string(text)
}

// draw writes a text of the grammar with tokens taken at random; after enough of them it takes the shortest way to the end.
func draw(t testing.TB, g *Grammar, rng *rand.Rand, enough int) string {
	t.Helper()
	return drawFrom(t, g, "", rng, enough)
}

// drawFrom goes on behind the beginning of a text.
func drawFrom(t testing.TB, g *Grammar, begin string, rng *rand.Rand, enough int) string {
	t.Helper()
	v := g.vocab
	c := g.Start()
	mask := make([]uint64, v.Words())
	text := []byte(begin)
	for i, b := range text {
		if err := c.Accept(int32(b)); err != nil {
			t.Fatalf("%q is no beginning: %q: %v", begin, begin[:i+1], err)
		}
	}
	for n := 0; ; n++ {
		if err := c.Mask(mask); err != nil {
			t.Fatalf("after %q: %v", text, err)
		}
		var may []int32
		for id := range int32(v.size) {
			if mask[id>>6]>>(id&63)&1 != 0 {
				may = append(may, id)
			}
		}
		if n == enough {
			return string(text) + shortest(t, g, c.at)
		}
		id := may[rng.IntN(len(may))]
		if err := c.Accept(id); err != nil {
			t.Fatalf("allowed, and refused: %v", err)
		}
		text = append(text, v.text[id]...)
		if c.Done() {
			return string(text)
		}
	}
}

// judgeRegexp is a regular expression as ECMAScript has it.
type judgeRegexp struct{ *regexp2.Regexp }

func (r judgeRegexp) MatchString(s string) bool {
	ok, err := r.Regexp.MatchString(s)
	return ok && err == nil
}

// Judge is another implementation of JSON Schema.
func Judge(t testing.TB, text string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseRegexpEngine(func(text string) (jsonschema.Regexp, error) {
		if r, err := regexp2.Compile(text, regexp2.ECMAScript); err == nil {
			return judgeRegexp{r}, nil
		}
		return regexp.Compile(text)
	})
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// Valid says what the judge says.
func Valid(t testing.TB, s *jsonschema.Schema, text string) error {
	t.Helper()
	if !json.Valid([]byte(text)) {
		return errors.New("no JSON")
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// schemas are of every keyword that is claimed.
var schemas = []string{
	`{}`, `true`, `{"type":"object"}`, `{"type":"null"}`, `{"type":["integer","string"]}`,
	`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a","b"],"additionalProperties":false}`,
	`{"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"boolean"},"c":{"type":"boolean"}},"required":["b"]}`,
	`{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}`,
	`{"type":"object","properties":{"a":{"const":1}},"required":["a","z"],"additionalProperties":{"enum":["x","y"]}}`,
	`{"type":"object","patternProperties":{"^n_":{"type":"integer"},"_s$":{"type":"string"}},"additionalProperties":false}`,
	`{"type":"object","patternProperties":{"^n":{"type":"integer"}},"properties":{"nx":{"minimum":5}},"additionalProperties":{"type":"null"}}`,
	`{"type":"object","properties":{"a":{},"b":{},"c":{},"d":{}},"minProperties":2,"maxProperties":3}`,
	`{"type":"object","minProperties":1,"maxProperties":2,"additionalProperties":{"type":"boolean"}}`,
	`{"type":"object","properties":{"x":true},"minProperties":2}`,
	`{"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":3}`,
	`{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":{"type":"null"}}`,
	`{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false,"minItems":2}`,
	`{"type":"array","minItems":3}`, `{"type":"array","maxItems":0}`,
	`{"type":"integer","minimum":7,"maximum":123}`, `{"type":"integer","exclusiveMinimum":-3,"exclusiveMaximum":3}`,
	`{"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991}`, `{"type":"integer","minimum":0}`, `{"type":"integer","maximum":-100}`,
	`{"type":"number","minimum":-1.5,"maximum":2.25}`, `{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.001}`, `{"type":"number","minimum":1e18}`,
	`{"type":"number","multipleOf":0.25}`, `{"type":"integer","multipleOf":7,"minimum":-20,"maximum":100}`, `{"type":"number","multipleOf":0.01,"minimum":0,"maximum":1}`,
	`{"type":"integer","multipleOf":1.5}`, `{"type":"number","allOf":[{"multipleOf":0.6},{"multipleOf":0.4}]}`, `{"minimum":3}`, `{"type":"number"}`,
	`{"type":"integer","minimum":1e25}`, `{"type":"integer","minimum":12345678901234567890,"maximum":12345678901234567899}`, `{"type":"number","minimum":1e20,"maximum":1e40}`, `{"type":"integer","maximum":-1e22}`,
	`{"type":"number","minimum":0.00000000000000000001,"maximum":0.00000000000000000009}`, `{"type":"number","exclusiveMinimum":-1e-30,"exclusiveMaximum":-1e-31}`, `{"type":"integer","minimum":-1e30,"maximum":1e30}`,
	`{"type":"string","minLength":2,"maxLength":5}`, `{"type":"string","maxLength":0}`, `{"type":"string","minLength":3}`,
	`{"type":"string","pattern":"^[a-c]{2,4}$"}`, `{"type":"string","pattern":"[0-9]"}`, `{"type":"string","pattern":"^\\w+@\\w+\\.com$","maxLength":12}`,
	`{"type":"string","pattern":"^(\"|\\\\|\\n|\\u00e9|\\u0001)+$","minLength":2,"maxLength":9}`, `{"type":"string","pattern":"^\\S+$","maxLength":4}`, `{"type":"string","pattern":"a|^b|c$"}`,
	`{"type":"string","allOf":[{"pattern":"a"},{"pattern":"b"}],"maxLength":6}`, `{"type":"string","pattern":"^(?i)abc$"}`, `{"type":"string","pattern":"^\\p{L}{1,3}$"}`,
	`{"type":"string","format":"date"}`, `{"type":"string","format":"time"}`, `{"type":"string","format":"date-time"}`, `{"type":"string","format":"duration"}`,
	`{"type":"string","format":"email"}`, `{"type":"string","format":"hostname"}`, `{"type":"string","format":"ipv4"}`, `{"type":"string","format":"ipv6"}`, `{"type":"string","format":"uuid"}`, `{"type":"string","format":"uri","minLength":1,"maxLength":2083}`, `{"type":"string","format":"password","x-order":1,"maxLength":9}`,
	`{"enum":["a",1,null,{"x":[1,"y"]},1.5,"é\"\n"]}`, `{"const":{"a":1}}`, `{"type":"string","enum":["red",3,"blue"]}`, `{"enum":[1,5,9],"minimum":4}`, `{"enum":[[1],[2,3],"x"],"items":{"type":"integer"},"maxItems":1}`,
	`{"anyOf":[{"type":"boolean"},{"type":"null"},{"const":"maybe"}]}`, `{"type":"object","properties":{"v":{"anyOf":[{"type":"string","maxLength":3},{"type":"null"}],"default":null}},"required":["v"]}`,
	`{"oneOf":[{"type":"string"},{"type":"integer"}]}`,
	`{"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"]},{"type":"object","properties":{"k":{"const":"b"},"y":{"type":"string"}},"required":["k"]}]}`,
	`{"oneOf":[{"minimum":5},{"maximum":2}],"type":"integer"}`,
	`{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"minimum":10,"maximum":12},"b":{"type":"string"}},"required":["b"]}]}`,
	`{"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}},"$ref":"#/$defs/node"}`,
	`{"type":"object","properties":{"leaf":{"type":"boolean"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["leaf","next"],"additionalProperties":false}`,
	`{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"},"maxItems":2}},"required":["children"]}`,
	`{"$defs":{"a b/c~":{"type":"integer","minimum":3}},"type":"object","properties":{"p":{"$ref":"#/$defs/a%20b~1c~0","maximum":5}},"required":["p"]}`,
	`{"anyOf":[{"$ref":"#"},{"type":"null"}]}`, `{"title":"t","description":"d","default":1,"examples":[1],"deprecated":true,"readOnly":true,"writeOnly":false,"$schema":"https://json-schema.org/draft/2020-12/schema","$comment":"c","type":"integer"}`,
	`{"type":"object","properties":{"q\"\\\n\u00e9":{"type":"null"}},"required":["q\"\\\n\u00e9"]}`,
	`{"type":"object","properties":{"b":{"type":"object","properties":{"c":{"type":"array","items":{"type":"object","properties":{"d":{"type":"string"}},"required":["d"]}}},"required":["c"]}},"required":["b"]}`,
	`{"type":"array","uniqueItems":false,"items":{"allOf":[{"$ref":"#/$defs/n"}],"description":"x"},"$defs":{"n":{"type":"number","minimum":0}}}`,
	`{"properties":{"a":false,"b":{"type":"integer"}},"type":"object"}`, `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"anyOf":[{"properties":{"b":{"type":"null"}},"required":["b"]},{"properties":{"c":{"type":"boolean"}},"required":["c"]}]}`,
}

func TestSchemas(t *testing.T) {
	for i, text := range schemas {
		g, err := small.Compile(Spec{Schema: []byte(text)})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		judge := Judge(t, text)
		for seed := range uint64(12) {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			out := draw(t, g, rng, 5*int(seed))
			if err := Valid(t, judge, out); err != nil {
				t.Errorf("%s: %s: %v", text, out, err)
				break
			}
			if !g.Matches(out) {
				t.Errorf("%s: %s is not one of its own texts", text, out)
			}
		}
	}
}

// Random schemas: whatever is written is valid. QPT_SCHEMAS=2000 is the long form.
func TestRandomSchemas(t *testing.T) {
	n, empty, refused := 300, 0, 0
	if s := os.Getenv("QPT_SCHEMAS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	for i := range n {
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		text := RandomSchema(rng, 3)
		g, err := small.Compile(Spec{Schema: []byte(text)})
		if err != nil {
			switch {
			case strings.Contains(err.Error(), "no text satisfies"):
				empty++
			case strings.Contains(err.Error(), "not supported"), strings.Contains(err.Error(), "combinations"):
				refused++
			default:
				t.Errorf("schema %d, %s: %v", i, text, err)
			}
			continue
		}
		judge := Judge(t, text)
		for range 4 {
			out := draw(t, g, rng, rng.IntN(60))
			if err := Valid(t, judge, out); err != nil {
				t.Errorf("schema %d, %s: %s: %v", i, text, out, err)
				break
			}
		}
	}
	t.Logf("%d schemas, %d allow nothing, %d refused", n, empty, refused)
	if empty+refused > n/4 {
		t.Errorf("of %d schemas %d allow nothing, and %d are refused", n, empty, refused)
	}
}

func newRand(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 3)) }
