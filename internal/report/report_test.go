package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the goldens of testdata")

// sample is a comparison of n files with awkward names and figures.
func sample(n int) *Doc {
	d := &Doc{
		Schema: 1, Command: "diff", Tool: "qrun (devel)",
		Reference: Reference{"tiny <&\"model", "llama", 1234567, 100, "a/b"},
		Text:      Text{"t.txt (stream)", 20, 30, 2, 10},
		FP32:      &Estimate{4.5, Number(math.NaN())},
	}
	for i := range n {
		inf, speed := Number(math.Inf(1)), Number(100*(i+1))
		m := &Model{
			File: fmt.Sprintf("dir/<script>%d.qpt", i), Bytes: 5 << 20, Scheme: "da8w4", Bits: Number(4 + i), Tool: "qconv (devel)",
			Settings: []Setting{{"group", "32"}},
			KL:       KL{0.02, 0.01, 0.05, 0.1, 0.2, 0.3, Bins{-4, 2, []int{1, 4, 0, 7, 1}, 3}},
			Top1:     0.9, Top5: 1, Logits: Distance{20, 0.99, 3},
			Perplexity: &Estimate{4.6, 0.1}, Increase: &Estimate{-0.02, 0.003}, Speed: &speed,
			Limits: []Limit{{"mean KL", 0.03, 0.02, true}, {"top-1 agreement", 0.95, 0.9, false}},
			WorstLayers: []Histogram{{"model.layers.0.mlp.up_proj", "da8w4", 20,
				&Values{"weights", 0.5, []int64{1, 9, 8, 0}, []int64{0, 10, 8, 0}, -0.3, 0.4, 0.01, false}, &Values{"inputs (norm)", 4, []int64{1, 100, 3, 2}, nil, -2, 2.5, 0.004, i == 0}}},
			WorstTokens: []Token{{0, 7, 0.3, "a <b> & \u2028", &Actual{" it", 0.5, 0.1}, []Choice{{" it", 0.5}, {"\n", 0.25}}, []Choice{{"</code>", 0.75}}}, {1, 9, 0.2, "", nil, nil, nil}},
		}
		for b := range 2 {
			for j, name := range []string{"self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj"} {
				m.Layers = append(m.Layers, Layer{fmt.Sprintf("model.layers.%d.%s", b, name), "linear", "da8w4", fmt.Sprintf("model.layers.%d.%s.weight", b, name), nil,
					Distance{Number(20 + j), 0.99, 0.1}, Distance{Number(15 - b), 0.98, 0.2}, Range{-1, 2}, Range{-1.1, 2.1}})
			}
			m.Layers = append(m.Layers, Layer{fmt.Sprintf("model.layers.%d.mlp_residual", b), "binary", "", "", nil, Distance{inf, 1, 0}, Distance{18, 0.99, 1}, Range{}, Range{}})
		}
		share := Number(0.0625)
		m.Layers[0].Clipped = &share
		m.Weights = []Weight{{"model.layers.0.mlp.up_proj.weight", "da8w4", 22, 0.01, 0.002}}
		d.Models = append(d.Models, m)
	}
	return d
}

func TestJSON(t *testing.T) {
	got, err := json.MarshalIndent(sample(1), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "diff.json")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("schema 1 has changed:\n%s", d)
	}
}

var anchor = regexp.MustCompile(` id="([^"]*)"`)

// The page is well-formed XML, takes nothing from elsewhere and runs nothing;
// names from files stay text.
func TestHTML(t *testing.T) {
	broken := sample(1)
	m := broken.Models[0]
	nan := Number(math.NaN())
	m.KL, m.Top1, m.Perplexity, m.Speed, m.Limits = KL{nan, nan, nan, nan, nan, nan, Bins{}}, nan, &Estimate{nan, nan}, nil, nil
	for i := range m.Layers {
		m.Layers[i].Local.SQNR, m.Layers[i].Cumulative.SQNR = nan, Number(math.Inf(1))
	}
	bare := sample(1)
	bare.FP32, bare.Models[0] = nil, &Model{File: "a.qpt"}
	for name, d := range map[string]*Doc{"one": sample(1), "several": sample(30), "not finite": broken, "bare": bare} {
		var b, again bytes.Buffer
		if err := errors.Join(HTML(&b, d), HTML(&again, d)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Errorf("%s: two pages of one document differ", name)
		}
		text := b.String()
		plain(t, name, text)
		if got := strings.Contains(text, "inputs (norm): 0.400 % outside the range"); got != (name != "bare") {
			t.Errorf("%s: the range of a static activation shows: %v", name, got)
		}
		seen := map[string]bool{}
		for _, id := range anchor.FindAllStringSubmatch(text, -1) {
			if seen[id[1]] {
				t.Errorf("%s: id %s twice", name, id[1])
			}
			seen[id[1]] = true
		}
		if got := strings.Contains(text, "no token has a finite KL"); got != (name == "not finite") {
			t.Errorf("%s: no finite KL: %v", name, got)
		}
		if name == "one" {
			for _, want := range []string{"prefers-color-scheme: dark", "tiny &lt;&amp;", "␣it", "↵", "−2.00 %", "✗ top-1 agreement", "below what was asked for", "0.200 %"} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in the page", want)
				}
			}
		}
	}
}

// plain checks that a page is XML, takes nothing from elsewhere and runs nothing.
func plain(t *testing.T, name, text string) {
	t.Helper()
	for x := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := x.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "script", "link", "img", "iframe", "object", "image", "use":
			t.Errorf("%s: element %s", name, e.Name.Local)
		}
		for _, a := range e.Attr {
			if (a.Name.Local == "href" || a.Name.Local == "src") && !strings.HasPrefix(a.Value, "#") || strings.HasPrefix(a.Name.Local, "on") {
				t.Errorf("%s: %s %s=%q", name, e.Name.Local, a.Name.Local, a.Value)
			}
			if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
				t.Errorf("%s: %s %s=%q", name, e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
	for _, bad := range []string{"http:", "https:", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(text, bad) {
			t.Errorf("%s: %q in the page", name, bad)
		}
	}
}

func TestNetworksHTML(t *testing.T) {
	one, nan := Number(1), Number(math.NaN())
	out := &Outputs{Left: []string{"a<b", "c"}, Outputs: []Output{
		{Output: "<output.0>", Rows: 8, Values: 1000, Kept: 1000, Top1: &one, KL: &nan, Least: nan, Distance: Distance{Number(math.Inf(1)), nan, 1}},
		{Output: "map", Rows: 8, Values: 50000, Kept: 4096, Least: 0.5, Distance: Distance{12.34, 0.75, 1e-3}}}}
	var b bytes.Buffer
	if err := NetworksHTML(&b, &Networks{Models: []*Network{{File: "a&b.qpt", Name: "net", Outputs: out}, {File: "b.qpt", Outputs: &Outputs{}}}}); err != nil {
		t.Fatal(err)
	}
	plain(t, "networks", b.String())
	for _, want := range []string{"&lt;output.0&gt;", "4,096 of 50,000", "top-1 agreement 100.00 %", "12.3 dB", "a&lt;b, c", "a&amp;b.qpt"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

func TestNames(t *testing.T) {
	d := &Doc{Models: []*Model{{File: "a/m.qpt"}, {File: "b/m.qpt"}, {File: "b/n.qpt"}}}
	if got := strings.Join(d.Names(), " "); got != "a/m.qpt b/m.qpt n.qpt" {
		t.Error(got)
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1: "1.00", -12.345: "−12.3", 123.4: "123", 12345: "12345", 0.000123: "0.000123", 1.26e-5: "1.3·10⁻⁵", -2e7: "−2.0·10⁷", math.Inf(1): "–"} {
		if got := short(v); got != want {
			t.Errorf("%g is %q, want %q", v, got, want)
		}
	}
}

// Ticks are whole numbers of steps, and print as such.
func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{{5.4, 6.1, "5.4 5.6 5.8 6 6.2"}, {-0.3, 0.3, "−0.4 −0.2 0 0.2 0.4"}, {0, 361, "0 100 200 300 400"}, {1e6, 3e6, "1000000 1500000 2000000 2500000 3000000"}} {
		var got []string
		for _, v := range nice(c.lo, c.hi, 4) {
			got = append(got, short1(v))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%g to %g: %s, want %s", c.lo, c.hi, s, c.want)
		}
	}
}

func TestNice(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		n      int
		want   []float64
	}{{17, 33, 4, []float64{15, 20, 25, 30, 35}}, {0, 361, 4, []float64{0, 100, 200, 300, 400}}, {2, 2, 2, []float64{2, 2.5, 3}}} {
		if got := nice(c.lo, c.hi, c.n); !cmp.Equal(got, c.want) {
			t.Errorf("%g to %g: %g, want %g", c.lo, c.hi, got, c.want)
		}
	}
}

func TestPlace(t *testing.T) {
	for name, want := range map[string]string{
		"model.layers.12.self_attn.q_proj": "12 self_attn q_proj", "model.layers.0.mlp_residual": "0  mlp_residual", "lm_head": "-1  lm_head", "model.norm": "-1 model norm",
	} {
		b, g, k := place(name)
		if got := fmt.Sprintf("%d %s %s", b, g, k); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
