package strictjson

import (
	"runtime"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"a":1,"b":{"a":[{},{"x":null}]}}`, ""},
		{` [1, "é", true] `, ""},
		{`1e999`, ""},
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

// A long key above many values must not be copied for each of them.
func TestCheckMemory(t *testing.T) {
	doc := []byte(`{"` + strings.Repeat("k", 1<<20) + `":[` + strings.Repeat("0,", 1<<16) + `0]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := Check(doc); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
		t.Errorf("%d bytes allocated for a document of %d", n, len(doc))
	}
}
