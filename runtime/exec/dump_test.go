package exec

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the goldens of plans")

// TestDump: the plans of Llama are the committed ones. What they show: a layer is eleven or twelve steps, gate and up
// never lie in memory, and rows that are made value by value (static int8, bfloat16, float32) come from the layer before.
func TestDump(t *testing.T) {
	m, x := model(t, variants+"llama3-bias-untied")
	for _, scheme := range []string{"da8w4", "s8s8", "bf16", "mixed"} {
		w := x.as(scheme)
		if scheme == "mixed" {
			w = x.mixed(mixture)
		}
		p := compile(t, m.Graph, w, Options{})
		var got bytes.Buffer
		if err := p.Dump(&got); err != nil {
			t.Fatal(err)
		}
		file := "testdata/plan-" + scheme + ".txt"
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: another plan; go test -run TestDump -update writes it:\n%s", scheme, &got)
		}
		for name, i := range p.index {
			if scheme != "mixed" && (strings.HasSuffix(name, "gate_proj") || strings.HasSuffix(name, "up_proj")) && p.values[i].slot >= 0 {
				t.Errorf("%s: %s lies in memory", scheme, name)
			}
		}
	}
}
