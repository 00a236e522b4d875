package strictjson

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"a":1,"b":{"a":[{},{"x":null}]}}`, ""},
		{` [1, "é", true] `, ""},
		{`1e999`, ""},
		{"\t[ -1.5e+3 ,\n\"\\\\\" , \"a\\\"]{\" , {}, [], [ ], { } ]\r", ""},
		{`{"a\"b":1,"c":{"a\"b":[{}]}}`, ""},
		{`{"a\"b":1,"a\u0022b":2}`, `appears twice`},
		{`[{"a":1},{"a":1}]`, ""},
		{`[{"a":{"b":null,"b":0}}]`, `key "[0].a.b" appears twice`},
		{`{"a":1,"a":2}`, `key "a" appears twice`},
		{`{"a":1,"\u0061":2}`, `key "a" appears twice`},
		{`{"":1,"":2}`, `key "" appears twice`},
		{`{"o":{"l":[0,{"k":1,"k":1}]}}`, `key "o.l[1].k" appears twice`},
		{"{\"a\":\"\xff\"}", "UTF-8"},
		{`{} {}`, "byte 4"},
		{`{"a":}`, "byte 6"},
		{``, "unexpected end"},
		{strings.Repeat("[", 32) + strings.Repeat("]", 32), ""},
		{`{"` + strings.Repeat("k", 200) + `":{"a":1,"a":2}}`, `(200 bytes).a" appears twice`},
		{strings.Repeat("[", 33) + strings.Repeat("]", 33), "deeper than 32"},
	} {
		err := Check([]byte(c.in))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.40q: %v, want %q", c.in, err, c.want)
		}
	}
}

func TestRules(t *testing.T) {
	type Thing struct {
		Name   any            `json:"name"`
		Things []Thing        `json:"things,omitempty"`
		Thing  *Thing         `json:"thing"`
		ByName map[string]any `json:"by_name"`
		Hidden int
	}
	thing := reflect.TypeFor[Thing]()
	for _, c := range []struct {
		rules    Rules
		in, want string
	}{
		{Rules{PlainKeys: true}, `{"a_1":[{"b":null}]}`, ""},
		{Rules{PlainKeys: true}, `{"a":[{"B":1}]}`, `unknown field "B"`},
		{Rules{PlainKeys: true}, `{"a\u0041":1}`, `unknown field "aA"`},
		{Rules{PlainKeys: true}, `{"` + strings.Repeat("a", 65) + `":1}`, `(65 bytes)`},
		{Rules{NoNull: true}, `{"a":["null",{"B":0}]}`, ""},
		{Rules{NoNull: true}, `{"a":["x",{"b":null}]}`, `null in a[1].b`},
		{Rules{NoNull: true}, `null`, `null in the document`},
		{Rules{MaxValues: 4}, `[1,{"a":"x"}]`, ""},
		{Rules{MaxValues: 4}, `[1,{"a":"x"},2]`, "more than 4 values"},
		{Rules{Fields: thing}, `{"name":{"Anything":[{"a":1}]},"things":[{"name":1},{"thing":{}}],"by_name":{"A":{"b":1}}}`, ""},
		{Rules{Fields: thing}, `[{"a":1}]`, ""}, // another type: decoding tells
		{Rules{Fields: thing}, `{"Name":1}`, `json: unknown field "Name"`},
		{Rules{Fields: thing}, `{"hidden":1}`, `unknown field "hidden"`},
		{Rules{Fields: thing}, `{"":1}`, `unknown field ""`},
		{Rules{Fields: thing}, `{"things":[{},{"thing":{"nam":1}}]}`, `unknown field "things[1].thing.nam"`},
		{Rules{Fields: thing, Lines: true}, "{\n\"things\":[{},\n{\"nam\": 1}]}", `line 3: unknown field "things[1].nam"`},
		{Rules{Lines: true}, "{\"a\":1,\n\n\"a\":2}", `line 3: key "a" appears twice`},
		{Rules{Lines: true, NoNull: true}, "[1,\nnull\n]", "line 2: null in [1]"},
		{Rules{Lines: true}, "[1,\n2", "line 2: unexpected end"},
		{Rules{Lines: true}, "[1,\n}\n", "line 2: invalid character"},
	} {
		err := c.rules.Check([]byte(c.in))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v, %s: %v, want %q", c.rules, c.in, err, c.want)
		}
	}
}

// A long key above many values must not be copied for each of them.
func TestCheckMemory(t *testing.T) {
	doc := []byte(`{"` + strings.Repeat("k", 1<<20) + `":[` + strings.Repeat("0,", 1<<16) + `0]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := Check(doc); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes allocated for a document of %d", n, len(doc))
	}
}

// What Check accepts, package json accepts, and the walk ends.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x\\",{"b":null}],"c\u0041":-1.5e3}`, ` [ ] `, `"\""`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) == nil && !json.Valid(data) {
			t.Errorf("accepted %q", data)
		}
		Rules{PlainKeys: true, NoNull: true, MaxValues: 9}.Check(data)
	})
}
