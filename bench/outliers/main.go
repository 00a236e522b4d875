// Command outliers writes a variant of a Llama checkpoint that computes the
// same function but has outlier channels, as large models have and small ones
// do not: what calibration has to deal with, in a model that a test can afford.
//
//	go run ./bench/outliers --in DIR --out DIR [--seed 0] [--channels 3]
//
// In every layer a few channels are multiplied by 8, 16, 32 or 64, and the
// columns of the weights that read them divided by it: of both norms, of v_proj's
// rows (o_proj's columns, for all query heads of the key-value head) and of up_proj's rows (down_proj's
// columns). Powers of two commute with rounding: FP32 results stay equal bits.
package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"qpt/bench/synth"
	"qpt/convert/hf"
	"qpt/format/graph"
	"qpt/internal/ui"
)

func main() {
	in := pflag.String("in", "testdata/stories260K", "checkpoint's folder")
	out := pflag.String("out", "", "folder to write, empty or not yet there")
	seed := pflag.Uint64("seed", 0, "another seed takes other channels")
	channels := pflag.Int("channels", 3, "outliers of each norm, v_proj and up_proj")
	pflag.Parse()
	os.Exit(ui.Run("outliers", func(context.Context) error {
		if *out == "" || *channels < 1 {
			return &ui.ExitError{Code: ui.Usage, Err: errors.New("--out is missing, or --channels is not positive")}
		}
		return write(*in, *out, *seed, *channels)
	}))
}

// variant holds factors by parameter: W'[n, k] = W[n, k] * row[n] * col[k]; nil entries for 1.
type variant struct{ row, col map[string][]float32 }

// newVariant chooses channels and factors for every layer.
func newVariant(g *graph.Graph, seed uint64, channels int) variant {
	v := variant{map[string][]float32{}, map[string][]float32{}}
	params := g.ParamMap()
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(n int) []float32 {
		f := make([]float32, n)
		for i := range f {
			f[i] = 1
		}
		for _, i := range r.Perm(n)[:min(channels, n)] {
			f[i] = float32(int(8) << r.IntN(4))
		}
		return f
	}
	inverse := func(f []float32) []float32 {
		g := make([]float32, len(f))
		for i, x := range f {
			g[i] = 1 / x
		}
		return g
	}
	for _, n := range g.Nodes {
		a, ok := n.Op.(graph.Attention)
		if !ok {
			continue
		}
		at := strings.TrimSuffix(n.Name, "self_attn")
		weight := func(name string) string { return at + name + ".weight" }
		f := pick(params[weight("input_layernorm")].Shape[0])
		v.col[weight("input_layernorm")] = f
		for _, name := range []string{"q_proj", "k_proj", "v_proj"} {
			v.col[weight("self_attn."+name)] = inverse(f)
		}
		f = pick(a.KVHeads * a.HeadDim)
		v.row[weight("self_attn.v_proj")], v.col[at+"self_attn.v_proj.bias"] = f, f
		var heads []float32
		for h := range a.Heads {
			kv := h / (a.Heads / a.KVHeads)
			heads = append(heads, f[kv*a.HeadDim:(kv+1)*a.HeadDim]...)
		}
		v.col[weight("self_attn.o_proj")] = inverse(heads)

		f = pick(params[weight("post_attention_layernorm")].Shape[0])
		v.col[weight("post_attention_layernorm")] = f
		for _, name := range []string{"gate_proj", "up_proj"} {
			v.col[weight("mlp."+name)] = inverse(f)
		}
		f = pick(params[weight("mlp.up_proj")].Shape[0])
		v.row[weight("mlp.up_proj")], v.col[at+"mlp.up_proj.bias"] = f, f
		v.col[weight("mlp.down_proj")] = inverse(f)
	}
	return v
}

// apply scales a whole parameter of rows of k values.
func (v variant) apply(name string, x []float32, k int) {
	row, col := v.row[name], v.col[name]
	for i := range x {
		if row != nil {
			x[i] *= row[i/k]
		}
		if col != nil {
			x[i] *= col[i%k]
		}
	}
}

// write writes the variant of in.
func write(in, out string, seed uint64, channels int) error {
	m, err := hf.Load(in)
	if err != nil {
		return err
	}
	return synth.Rewrite(out, in, newVariant(m.Graph, seed, channels).apply)
}
