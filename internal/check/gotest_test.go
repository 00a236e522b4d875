package main

import (
	"strings"
	"testing"
)

// The words of a real run of go test -json, cut short.
func TestReadTests(t *testing.T) {
	const events = `{"Action":"start","Package":"qpt/a"}
{"Action":"run","Package":"qpt/a","Test":"TestSkip"}
{"Action":"output","Package":"qpt/a","Test":"TestSkip","Output":"=== RUN   TestSkip\n"}
{"Action":"output","Package":"qpt/a","Test":"TestSkip","Output":"    a_test.go:12: the shared model x is not here\n"}
{"Action":"output","Package":"qpt/a","Test":"TestSkip","Output":"--- SKIP: TestSkip (0.00s)\n"}
{"Action":"skip","Package":"qpt/a","Test":"TestSkip","Elapsed":0}
{"Action":"output","Package":"qpt/a","Test":"TestPart","Output":"    b_test.go:3: NOT RUN: the machine lacks amx\n"}
{"Action":"output","Package":"qpt/a","Test":"TestPart","Output":"    b_test.go:4: quiet\n"}
{"Action":"pass","Package":"qpt/a","Test":"TestPart","Elapsed":0}
{"Action":"output","Package":"qpt/a","Test":"TestBad","Output":"    b_test.go:9: one is two\n"}
{"Action":"fail","Package":"qpt/a","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"qpt/a","Output":"FAIL\tqpt/a\t0.1s\n"}
{"Action":"fail","Package":"qpt/a","Elapsed":0.1}
{"ImportPath":"qpt/b","Action":"build-output","Output":"b.go:1: undefined: c\n"}
{"Action":"output","Package":"qpt/c","Output":"panic: lost\n"}
{"Action":"fail","Package":"qpt/c","Elapsed":0.1}
{"Action":"output","Package":"qpt/d","Output":"ok  \tqpt/d\t0.1s\n"}
{"Action":"skip","Package":"qpt/e","Elapsed":0}
# not JSON
`
	var out strings.Builder
	skips, err := readTests(strings.NewReader(events), &out)
	if err != nil || len(skips) != 2 || skips["a: the shared model x is not here"] != 1 || skips["a: the machine lacks amx"] != 1 {
		t.Errorf("skipped %v: %v", skips, err)
	}
	if want := "    b_test.go:9: one is two\nFAIL\tqpt/a\t0.1s\nb.go:1: undefined: c\npanic: lost\nok  \tqpt/d\t0.1s\n# not JSON\n"; out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}
