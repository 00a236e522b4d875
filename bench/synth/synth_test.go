package synth

import (
	"context"
	"encoding/binary"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"qpt/convert/hf"
	"qpt/convert/safetensors"
	"qpt/runtime/lm/tokenizer"
)

func TestParams(t *testing.T) {
	// The published numbers of parameters.
	for name, want := range map[string]int{
		"tinyllama-1.1b": 1_100_048_384, "llama-3.2-1b": 1_235_814_400, "llama-3.2-3b": 3_212_749_824, "llama-3.1-8b": 8_030_261_248,
	} {
		if got := Shapes[name].Params(); got != want {
			t.Errorf("%s: %d parameters, want %d", name, got, want)
		}
	}
}

func TestWrite(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-llama3"} {
		t.Run(name, func(t *testing.T) {
			s, dir := Shapes[name], t.TempDir()
			if err := Write(dir, s, Options{Shards: 3, DType: safetensors.F32}); err != nil {
				t.Fatal(err)
			}
			if err := Write(dir, s, Options{}); err == nil || !strings.Contains(err.Error(), "not empty") {
				t.Errorf("second Write: %v", err)
			}

			// The config describes the tensors.
			c, err := safetensors.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			have, total := shapes{}, 0
			for _, name := range c.Names() {
				x, _ := c.Tensor(name)
				have[name] = x.Shape
				total += x.NumElems()
			}
			if len(c.Files()) != 3 || len(c.Warnings()) != 0 || total != s.Params() {
				t.Errorf("files %v, warnings %q, %d parameters, want %d", c.Files(), c.Warnings(), total, s.Params())
			}
			m, err := hf.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if ignored, err := m.Fit(have); err != nil || len(ignored) > 0 {
				t.Errorf("ignored %q, %v", ignored, err)
			}
			moments(t, c)
		})
	}
}

// shapes are tensors for hf.Model.Fit.
type shapes map[string][]int

func (s shapes) Names() []string                 { return slices.Sorted(maps.Keys(s)) }
func (s shapes) Shape(name string) []int         { return s[name] }
func (s shapes) Equal(_, _ string) (bool, error) { return true, nil }

// moments checks that norms are 1 and all else is Gaussian. The bounds are
// five standard errors.
func moments(t *testing.T, c *safetensors.Checkpoint) {
	n, sum, sum2, sum4 := 0.0, 0.0, 0.0, 0.0
	for _, name := range c.Names() {
		x, _ := c.Tensor(name)
		v := make([]float32, x.NumElems())
		if err := x.ReadRows(0, x.NumRows(), v); err != nil {
			t.Fatal(err)
		}
		for i, w := range v {
			if strings.HasSuffix(name, "norm.weight") {
				if w != 1 {
					t.Fatalf("%s[%d] is %v", name, i, w)
				}
				continue
			}
			z := float64(w) / std
			n, sum, sum2, sum4 = n+1, sum+z, sum2+z*z, sum4+z*z*z*z
		}
	}
	for _, m := range []struct {
		name              string
		got, want, varied float64
	}{{"mean", sum / n, 0, 1}, {"variance", sum2 / n, 1, 2}, {"fourth moment", sum4 / n, 3, 96}} {
		if off, bound := math.Abs(m.got-m.want), 5*math.Sqrt(m.varied/n); off > bound {
			t.Errorf("%s %v, want %v within %v", m.name, m.got, m.want, bound)
		}
	}
}

// tensorBytes returns all tensors of a new checkpoint by name.
func tensorBytes(t *testing.T, opt Options) map[string]string {
	dir := t.TempDir()
	if err := Write(dir, Shapes["tiny"], opt); err != nil {
		t.Fatal(err)
	}
	c, err := safetensors.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := map[string]string{}
	for _, name := range c.Names() {
		x, _ := c.Tensor(name)
		b, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

// TestSame: weights depend on seed and name, not on shards, threads or run.
func TestSame(t *testing.T) {
	one := tensorBytes(t, Options{Seed: 7})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for name, b := range tensorBytes(t, Options{Seed: 7, Shards: 4}) {
		if one[name] != b {
			t.Errorf("%s differs", name)
		}
	}
	for name, b := range tensorBytes(t, Options{Seed: 8}) {
		if one[name] == b && !strings.HasSuffix(name, "norm.weight") {
			t.Errorf("%s does not depend on the seed", name)
		}
	}
	if one["model.layers.0.mlp.up_proj.weight"] == one["model.layers.0.mlp.gate_proj.weight"] {
		t.Error("two tensors are equal")
	}
	// Benchmarks of different days are about the same weights.
	if got := binary.LittleEndian.Uint64([]byte(one["lm_head.weight"])); got != 0x3cb13c5a3c153cee {
		t.Errorf("lm_head begins with %#x", got)
	}
}

// TestPieces: cutting a tensor into pieces does not change it, at any length.
func TestPieces(t *testing.T) {
	for _, d := range []safetensors.DType{safetensors.BF16, safetensors.F32} {
		w, err := newWeights(1, d)
		if err != nil {
			t.Fatal(err)
		}
		whole := make([]byte, 2*piece)
		w.gauss(whole, 99, 0)
		rest := make([]byte, piece-2*w.width)
		w.gauss(rest, 99, piece)
		if string(whole[piece:piece+len(rest)]) != string(rest) {
			t.Errorf("%v: a piece differs from the whole", d)
		}
	}
	if _, err := newWeights(1, safetensors.I8); err == nil {
		t.Error("I8: no error")
	}
}

func TestTokenizer(t *testing.T) {
	const text = "the little time, over\n\nhöchst 東京 \U0001F600 12345  x"
	for _, name := range []string{"tiny", "tiny-llama3", "tinyllama-1.1b", "llama-3.1-8b"} { // the others repeat the last
		s, dir := Shapes[name], t.TempDir()
		if err := writeTexts(dir, s, safetensors.BF16); err != nil {
			t.Fatal(err)
		}
		tokens, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		config, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Parse(tokens, config)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if tok.VocabSize() != s.Vocab {
			t.Errorf("%s: %d tokens, want %d", name, tok.VocabSize(), s.Vocab)
		}
		bos, eos := s.specials()
		if id, ok := tok.BOS(); !ok || int(id) != bos {
			t.Errorf("%s: bos %d, want %d", name, id, bos)
		}
		if id, ok := tok.EOS(); !ok || int(id) != eos {
			t.Errorf("%s: eos %d, want %d", name, id, eos)
		}
		encode := func(s string, special bool) []int32 {
			ids, err := tok.Encode(context.Background(), s, special)
			if err != nil {
				t.Fatal(err)
			}
			return ids
		}
		ids := encode(text, true)
		if int(ids[0]) != bos {
			t.Errorf("%s: text begins with %d, want %d", name, ids[0], bos)
		}
		if got := tok.Decode(ids, true); got != text {
			t.Errorf("%s: got %q, want %q", name, got, text)
		}
		if n := len(encode(" the little time", false)); n > 4 { // Llama 2 puts a space of its own in front
			t.Errorf("%s: three words are %d tokens", name, n)
		}
		// What the model may say is distinct words.
		said := map[string]int32{}
		for id := int32(s.Vocab / 2); int(id) < s.Vocab-reserved; id++ {
			word := tok.Decode([]int32{id}, true)
			if other, ok := said[word]; ok || word == "" {
				t.Fatalf("%s: %d and %d are both %q", name, other, id, word)
			}
			said[word] = id
		}
	}
}
