package strictjson

import (
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
		{strings.Repeat("[", 33) + strings.Repeat("]", 33), "deeper than 32"},
	} {
		err := Check([]byte(c.in))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.40q: %v, want %q", c.in, err, c.want)
		}
	}
}
