package constrain

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is refused, and in which words.
func TestRefused(t *testing.T) {
	schema := func(s string) Spec { return Spec{Schema: []byte(s)} }
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, "give one of"}, {Spec{JSON: true, Regex: "a"}, "give one of"},
		{schema(``), "no JSON"}, {schema(`{`), "no JSON"}, {schema(`3`), "a schema must be an object, true or false, not 3"}, {schema(`{} {}`), "no JSON"},
		{schema(`{"type":"object","type":"string"}`), `# has "type" twice`},
		{schema(`{"typ":"object"}`), `#: keyword "typ" is not supported`},
		{schema(`{"properties":{"a":{"not":{}}}}`), `#/properties/a: keyword "not" is not supported`},
		{schema(`{"type":"array","uniqueItems":true}`), `keyword "uniqueItems"`}, {schema(`{"$id":"x","items":{"$id":"y"}}`), `#/items: keyword "$id"`},
		{schema(`{"if":{},"then":{}}`), `keyword "if"`}, {schema(`{"$dynamicRef":"#a"}`), `keyword "$dynamicRef"`},
		{schema(`{"type":"strin"}`), `type "strin" is none of JSON's`}, {schema(`{"type":[]}`), "no text satisfies"},
		{schema(`{"$ref":"http://x.org/s.json"}`), "nothing is fetched"}, {schema(`{"$ref":"#/$defs/a"}`), "leads nowhere"}, {schema(`{"$ref":"#a"}`), "no JSON pointer"},
		{schema(`{"$ref":"#/$defs/a","$defs":{"a":3}}`), "is no schema"},
		{schema(`{"$ref":"#"}`), "no text satisfies"}, {schema(`false`), "no text satisfies"}, {schema(`{"enum":[]}`), "no text satisfies"},
		{schema(`{"type":"integer","minimum":3,"maximum":2}`), "no text satisfies"}, {schema(`{"type":"string","enum":[1]}`), "no text satisfies"},
		{schema(`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`), "no text satisfies"},
		{schema(`{"type":"string","pattern":"^a$","minLength":2}`), "no text satisfies"},
		{schema(`{"type":"string","pattern":"("}`), "missing closing )"}, {schema(`{"type":"string","pattern":"(?=a)b"}`), "look-around"}, {schema(`{"type":"string","pattern":"(a)\\1"}`), "back reference"},
		{schema(`{"type":"string","pattern":"\\ba"}`), "not supported"}, {schema(`{"type":"string","pattern":3}`), "pattern must be a text"},
		{schema(`{"type":"string","format":"iri"}`), `format "iri" is not supported; these are: date, date-time,`},
		{schema(`{"oneOf":[{"minimum":1},{"maximum":3}]}`), "schemas 1 and 2 may both hold"}, {schema(`{"anyOf":[]}`), "must be a list"}, {schema(`{"allOf":{}}`), "must be a list"},
		{schema(`{"items":[{}]}`), "prefixItems"}, {schema(`{"required":["a",1]}`), "required must be"}, {schema(`{"properties":[]}`), "must be an object"},
		{schema(`{"minLength":-1}`), "must be a whole number"}, {schema(`{"maxItems":1e9}`), "65536 at most"}, {schema(`{"multipleOf":0}`), "above 0"}, {schema(`{"minimum":"1"}`), "must be a number"},
		{schema(`{"minimum":1e999999999}`), "out of all measure"}, {schema(`{"multipleOf":123456789}`), "remainders"},
		{schema(`{"type":"object","minProperties":3,"additionalProperties":true}`), "minProperties 3"},
		{schema(strings.Repeat(`{"items":`, 200) + `{}` + strings.Repeat("}", 200)), "more than 128 deep"},
		{schema(`{"type":"array","items":{"type":"array","items":{"type":"array","maxItems":60000},"maxItems":60000},"maxItems":60000}`), "more than 262144 states"},
		{schema(`{"type":"string","pattern":"^(a|b)*a(a|b){20}$"}`), "more than 32768 states"},
		{schema(`{"type":"string","pattern":"((a{1,100}){1,100}){1,100}"}`), "repeat"},
		{Spec{Regex: "("}, "missing closing )"}, {Spec{Regex: "(.*a){12}.{16}b{1,500}"}, "states"}, {Spec{Regex: "[^\\x{0}-\\x{10ffff}]"}, "no text satisfies"},
		{Spec{Tools: &Tools{}}, "no tools"}, {Spec{Tools: &Tools{List: []Tool{{"f", []byte(`{"not":{}}`)}}}}, `tool "f": constraint: schema, #: keyword "not"`},
		{Spec{Choice: []string{}}, "no choices"}, {Spec{Choice: []string{"a", ""}}, "a choice is empty"},
		{Spec{Grammar: "a ::= b"}, "no rule is called root"}, {Spec{Grammar: "root ::= a"}, `line 1: there is no rule "a"`}, {Spec{Grammar: "root ::= root \"a\" | \"b\""}, `rule "root" begins with itself`},
		{Spec{Grammar: "root ::= a root | \"b\"\na ::= \"\" | \"x\""}, `begins with itself`}, {Spec{Grammar: "root ::= \"a"}, `want " before the end`}, {Spec{Grammar: "root ::= [a"}, `want ]`},
		{Spec{Grammar: "root ::= (\"a\""}, "want )"}, {Spec{Grammar: "root = \"a\""}, "want ::="}, {Spec{Grammar: "root ::= \"a\"{3,2}"}, "want {m}"}, {Spec{Grammar: "root ::= [z-a]"}, "ends before it begins"},
		{Spec{Grammar: "root ::= \"\\q\""}, `\q is no escape`}, {Spec{Grammar: "root ::= \"a\"\nroot ::= \"b\""}, "there twice"}, {Spec{Grammar: "root ::= \"a\" )"}, "want the end of the line"}, {Spec{Grammar: "root ::= \xff"}, "not UTF-8"},
		{Spec{Grammar: "begin: \"a\""}, "no rule is called start"}, {Spec{Grammar: "start: a"}, `line 1: there is no rule "a"`}, {Spec{Grammar: "start: \"a\"\n%declare X"}, "%declare is not supported"}, {Spec{Grammar: "start: /(?=a)/"}, "look-around"},
		{Spec{Grammar: "start: INT\n%import python.INT"}, "only terminals of common"}, {Spec{Grammar: "start: X\n%import common.X"}, "common.X is not supported"}, {Spec{Grammar: "start: \"b\"..\"a\""}, "want a range"}, {Spec{Grammar: "start: a \"x\"\na: start | \"y\""}, "begins with itself"},
		{Spec{Grammar: "start: /a"}, "want / before"}, {Spec{Grammar: "start: \"a\"~3..2"}, "ends before it begins"}, {Spec{Grammar: "start: (\"a\""}, "want )"},
		{Spec{Grammar: "root ::= \"a\" root"}, "no text satisfies"}, {Spec{Grammar: "root ::= " + strings.Repeat("(", 200)}, "nested more than"},
		{Spec{Grammar: "root ::= ((\"a\"{1,6000}){1,6000}){1,6000}"}, "states"},
	} {
		_, err := small.Compile(c.spec)
		if err == nil || !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.200s: %v, want %q", c.spec.Key(), err, c.want)
		}
	}
}

const larkExample = `
// an example
start: stmt ";"?
?stmt: "let"i NAME "=" expr
!expr: expr ("+" | "-") term   // left recursion
     | term
term: term "*" atom | atom
atom: NAME -> name | INT | "(" expr ")" | STRING | pairs
pairs.2: "<" [pairs] ">"
NAME: /[a-z]/ LETTER*
%import common.INT
%import common.LCASE_LETTER -> LETTER
%import common.ESCAPED_STRING -> STRING
%ignore /\s+/
`

// Which texts are in a language, and which are not.
func TestMatches(t *testing.T) {
	json := "root ::= value\nvalue ::= object | \"[\" (value (\",\" value)*)? \"]\" | [0-9]+ # a number\nobject ::= \"{\" \"}\" |\n  \"{\" [a-z]+ \":\" value \"}\"\n"
	for _, c := range []struct {
		spec    Spec
		in, out []string
	}{
		{Spec{Regex: "[a-c]{3}[0-9]{2}"}, []string{"abc12"}, []string{"abc1", "abc123", " abc12"}},
		{Spec{Regex: "^a|b$"}, []string{"a", "b"}, []string{"ab", ""}},
		{Spec{Regex: "a*?(é|\\u65e5.)?"}, []string{"", "aa", "é", "日x"}, []string{"日", "日\n", "\xc3"}},
		{Spec{Regex: "(?i)straße"}, []string{"STRAßE", "ſtraẞe"}, []string{"strasse"}},
		{Spec{Choice: []string{"yes", "yes sir", "no"}}, []string{"yes", "yes sir", "no"}, []string{"ye", "yes "}},
		{Spec{Grammar: json}, []string{"12", "[]", "[1,[2,{}],{a:{b:3}}]"}, []string{"[1,]", "{a}", "", "[1"}},
		{Spec{Grammar: `root ::= "x\t\"\u00e9\x41" [^a-z\]]{2} .? "end"{0,2}`}, []string{"x\t\"éA--", "x\t\"éA日1endend", "x\t\"éA..q"}, []string{"x\t\"éA-a", "x\t\"éA--endendendend"}},
		{Spec{Grammar: "root ::= \"a\" root | \"\""}, []string{"", "aaaa"}, []string{"b"}},
		{Spec{Grammar: "root ::= \"(\" root \")\" | \"\""}, []string{"", "((()))"}, []string{"(()", "())"}},
		{Spec{Grammar: larkExample}, []string{"let x = 1", "LET ab=(1+2) * x;", "let a = \"q\\\"\" - b-3", "let z = <<>>"}, []string{"", "let x", "let x = ", "let x = 1 +", "let  x=1", "let é = 1", "let x = (1", "let x = <<>"}},
		{Spec{Grammar: "start: \"x\" \"y\"\n%ignore A\nA: B\nB: A"}, []string{"xy"}, []string{"x y"}},
		{Spec{Grammar: "start: (A | /b+/i)~2..3 [\"x\"..\"z\"]\n  | \"q\"i -> it\nA.2: \"a\" \"c\"?\n%import common (INT, WS)\n%ignore WS"}, []string{"a ac", "bBac", "ac b a y", "Q", "q"}, []string{"a", "a c", "a a a a", "ax", "ac  b"}},
		{Spec{JSON: true}, []string{`{}`, `{"a": [1, -2.5e+10, "é\u00e9\ud83d\ude00\n"], "b":{"c":null}}`, `{"":true}`}, []string{`[]`, `{ }`, `{"a":01}`, `{"a":"\ud83d"}`, "{\"a\":\"\n\"}", `{"a":1,}`, `{"a":1} `, "{\"a\":\"\xc3\"}"}},
		{Spec{Schema: []byte(`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["b"]}`)}, []string{`{"b":"x"}`, `{"a":1,"b":""}`, `{"a": 1, "b": ""}`}, []string{`{"b":"","a":1}`, `{"a":1}`, `{"b":"","c":1}`, `{"a":1.0,"b":""}`}},
		{Spec{Tools: &Tools{List: []Tool{{"f", []byte(`{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}`)}, {"g\"", nil}}}},
			[]string{`[{"name": "f", "arguments": {"x": 3}}]`, `[{"name":"g\"","arguments":{"a":[]}},{"name":"f","arguments":{"x":1}}]`}, []string{`[]`, `[{"name":"f","arguments":{}}]`, `[{"name":"h","arguments":{}}]`, `{"name":"f","arguments":{"x":3}}`}},
		{Spec{Tools: &Tools{Single: true, List: []Tool{{"f", nil}}}}, []string{`[{"name":"f","arguments":{}}]`}, []string{`[{"name":"f","arguments":{}},{"name":"f","arguments":{}}]`}},
		{Spec{Schema: []byte(`{"type":"number","minimum":-0.5,"exclusiveMaximum":12.25}`)}, []string{"0", "-0.5", "12.249", "3.0", "12.2", "-0.49999"}, []string{"12.25", "-0.51", "13", "-1", "12.2500", "00", "-0"}},
		{Spec{Schema: []byte(`{"type":"integer","multipleOf":4,"minimum":-9,"maximum":107}`)}, []string{"0", "4", "-8", "104", "100"}, []string{"108", "-12", "2", "-0", "04"}},
	} {
		g, err := small.Compile(c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.spec.Key(), err)
			continue
		}
		for _, s := range c.in {
			if !g.Matches(s) {
				t.Errorf("%s: %q is none of its texts", c.spec.Key(), s)
			}
		}
		for _, s := range c.out {
			if g.Matches(s) {
				t.Errorf("%s: %q is one of its texts", c.spec.Key(), s)
			}
		}
	}
}

// Masks are exactly the tokens whose bytes go on with a text: by the definition, for texts of many languages.
func TestMaskIsTheDefinition(t *testing.T) {
	specs := []Spec{
		{Schema: []byte(`{"type":"object","properties":{"s":{"type":"string","minLength":90,"maxLength":200},"t":{"type":"array","items":{"type":"string","maxLength":70},"maxItems":100}},"required":["s","t"]}`)},
		{JSON: true}, {Regex: `([a-z ]+, )*[0-9]{1,40}`}, {Grammar: "root ::= word (\" \" word)*\nword ::= [a-z]+ | \"{\" root \"}\""}, {Regex: ".{0,70}"},
		{Schema: []byte(`{"type":"object","properties":{"a":{"type":"string","maxLength":100},"b":{"type":"array","items":{"type":"number"}},"c":{"$ref":"#"}},"required":["a","b"]}`)},
	}
	for i, spec := range specs {
		g, err := small.Compile(spec)
		if err != nil {
			t.Fatal(err)
		}
		fresh, _ := small.Compile(spec) // its states are made in another order
		rng := newRand(i)
		c, mask := g.Start(), make([]uint64, small.Words())
		at := fresh.first
		for n := 0; n < 150 && !c.Done(); n++ {
			if err := c.Mask(mask); err != nil {
				t.Fatal(err)
			}
			var may []int32
			for id := range int32(small.size) {
				s := at
				for _, b := range small.text[id] {
					s = fresh.step(s, b)
				}
				want := s != dead && len(small.text[id]) > 0
				if len(small.text[id]) == 0 {
					want = at.end
				}
				if got := mask[id>>6]>>(id&63)&1 != 0; got != want {
					t.Fatalf("%s: token %q: %v, want %v", spec.Key(), small.text[id], got, want)
				} else if got && len(small.text[id]) > 0 {
					may = append(may, id)
				}
			}
			if len(may) == 0 {
				break
			}
			id := may[rng.IntN(len(may))]
			if err := c.Accept(id); err != nil {
				t.Fatal(err)
			}
			for _, b := range small.text[id] {
				at = fresh.step(at, b)
			}
		}
	}
}

func TestAccept(t *testing.T) {
	g, err := small.Compile(Spec{Choice: []string{"ab", "abc"}})
	if err != nil {
		t.Fatal(err)
	}
	c := g.Start()
	eos := int32(small.size - 1)
	for _, id := range []int32{-1, int32(small.size), 'b', eos} {
		if c.Accept(id) == nil {
			t.Errorf("token %d accepted", id)
		}
	}
	for _, id := range "ab" {
		if c.Done() || c.Whole() {
			t.Error("done early")
		}
		if err := c.Accept(id); err != nil {
			t.Error(err)
		}
	}
	if c.Done() || !c.Whole() {
		t.Error("ab is whole, and may go on")
	}
	other := *c
	if err := c.Accept(eos); err != nil || !c.Done() {
		t.Error(err, "not done by the end of text")
	}
	if err := other.Accept('c'); err != nil || !other.Done() {
		t.Error(err, "not done where nothing can follow")
	}
}

// A vocabulary that cannot spell a text, and a grammar of which nobody can follow all readings, are errors of Mask.
func TestStuck(t *testing.T) {
	v := NewVocab(2, func(id int32) []byte { return []byte("ab")[id : id+1] }, nil)
	g, err := v.Compile(Spec{Choice: []string{"abc"}})
	if err != nil {
		t.Fatal(err)
	}
	c := g.Start()
	c.Accept(0)
	c.Accept(1)
	if err := c.Mask(make([]uint64, 1)); err == nil || !strings.Contains(err.Error(), "no token of the vocabulary") {
		t.Errorf("stuck: %v", err)
	}
	// Every a may stand in any of 1500 places.
	g, err = v.Compile(Spec{Grammar: "root ::= \"a\"{0,1500} \"a\"{0,1500} \"b\""})
	if err != nil {
		t.Fatal(err)
	}
	c = g.Start()
	for err == nil {
		if err = c.Mask(make([]uint64, 1)); err == nil {
			err = c.Accept(0)
		}
	}
	if !strings.Contains(err.Error(), "too ambiguous") && !strings.Contains(err.Error(), "does not go on") {
		t.Error(err)
	}
}

func TestCache(t *testing.T) {
	c := Cache{Vocab: small, Bytes: 2*maxKept + 1<<20}
	a, _ := c.Compile(Spec{Regex: "a"})
	b, _ := c.Compile(Spec{Regex: "b"})
	if again, _ := c.Compile(Spec{Regex: "a"}); again != a {
		t.Error("compiled again")
	}
	c.Compile(Spec{Regex: "c"}) // b goes
	if again, _ := c.Compile(Spec{Regex: "a"}); again != a {
		t.Error("the one used last is gone")
	}
	if again, _ := c.Compile(Spec{Regex: "b"}); again == b {
		t.Error("nothing is forgotten")
	}
	keys := map[string]bool{}
	specs := []Spec{{JSON: true}, {Schema: []byte("a")}, {Regex: "a"}, {Choice: []string{"a"}}, {Choice: []string{"a", "b"}}, {Grammar: "a"}, {Tools: &Tools{}}, {Tools: &Tools{Single: true}},
		{Tools: &Tools{List: []Tool{{"f", nil}}}}, {Tools: &Tools{List: []Tool{{"f", []byte("{}")}}}}, {Tools: &Tools{List: []Tool{{"f", nil}, {"g", nil}}}}}
	for _, s := range specs {
		keys[s.Key()] = true
	}
	if len(keys) != len(specs) {
		t.Errorf("%d specs have %d keys", len(specs), len(keys))
	}
	if _, err := c.Compile(Spec{Regex: "("}); err == nil {
		t.Error("an error is kept back")
	}
}

// TestManyValues: an enum of very many values costs no more than its size.
func TestManyValues(t *testing.T) {
	var values []string
	for i := range 30000 {
		values = append(values, strconv.Itoa(i))
	}
	start := time.Now()
	g, err := small.Compile(Spec{Schema: []byte(`{"enum":[` + strings.Join(values, ",") + `]}`)})
	if err != nil || !g.Matches("29999") || g.Matches("30000") {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}
