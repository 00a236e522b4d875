package convert

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"qpt/convert/checkpoint"
	"qpt/convert/hf"
	"qpt/convert/safetensors/sttest"
	"qpt/internal/cpu"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/lm"
)

const imports = "../testdata/import/"

// A file of llama.cpp, kept: every weight has the bits that ggml gives it, the logits are those of a float64 run on
// these weights within 1e-5, and the same bits on every instruction set.
func TestKeepGGUF(t *testing.T) {
	src := imports + "llama-q4_0.gguf"
	out := filepath.Join(t.TempDir(), "m.qpt")
	p, err := MakePlan(Options{In: src, Out: out, References: -1, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Recipe.Scheme != "keep" {
		t.Errorf("scheme %q", p.Recipe.Scheme)
	}
	if _, err := p.Run(context.Background(), Hooks{}); err != nil {
		t.Fatal(err)
	}
	ckpt, err := checkpoint.Open(src)
	if err != nil {
		t.Fatal(err)
	}
	defer ckpt.Close()
	m, err := lm.Load(out, runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Verify(context.Background()); err != nil {
		t.Error(err)
	}
	kept := 0
	for _, param := range m.Graph.Params {
		if len(param.Shape) != 2 {
			continue
		}
		l, err := m.Linear(param.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		if l.Weight.Format == linear.Codes {
			kept++
		}
		want, have := make([]float32, param.Shape[1]), make([]float32, param.Shape[1])
		for r := range param.Shape[0] {
			if err := ckpt.Tensors.ReadRows(param.Name, r, r+1, want); err != nil {
				t.Fatal(err)
			}
			if linear.EmbedRow(have, l.Weight, r); !slices.EqualFunc(have, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Fatalf("%s: row %d differs", param.Name, r)
			}
		}
	}
	if kept != 9 {
		t.Errorf("%d matrices kept, want 9", kept)
	}
	golden := sttest.Open(t, imports+"llama-q4_0.goldens.safetensors")
	var first []float32
	for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512} {
		if !cpu.Has(isa) {
			continue
		}
		restore := cpu.SetMax(isa)
		for _, prompt := range []string{"prompt0", "prompt1", "prompt2"} {
			have, err := m.Forward(context.Background(), golden.Ints(prompt+".ids"))
			if err != nil {
				t.Fatal(err)
			}
			var diff, top float64
			for i, v := range golden.Values(prompt + ".logits") {
				diff, top = max(diff, math.Abs(float64(v-have[i]))), max(top, math.Abs(float64(v)))
			}
			if diff > 1e-5*top {
				t.Errorf("%v, %s: greatest difference %g of %g", isa, prompt, diff, top)
			}
			if prompt == "prompt0" && isa > cpu.Generic { // attention and norms of the twins round otherwise
				if first == nil {
					first = slices.Clone(have)
				} else if !slices.Equal(first, have) {
					t.Errorf("%v: logits differ from those of AVX2", isa)
				}
			}
		}
		restore()
	}
}

// Requantized, a file of llama.cpp is converted as any checkpoint is, and the loss is told.
func TestRequantizeGGUF(t *testing.T) {
	p, err := MakePlan(Options{In: imports + "llama-q4_0.gguf", Scheme: "da8w8", Out: filepath.Join(t.TempDir(), "m.qpt"), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	rep, err := p.Run(context.Background(), Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Items, func(it Item) bool { return it.Scheme == "da8w8" })
	if i < 0 || p.Items[i].Source != "Q4_0" || rep.Tensors[i].SQNR < 20 || rep.RefRows == 0 {
		t.Errorf("%+v", p.Items)
	}
}

// The shortest form of numbers that holds each bit.
func TestNumbersOf(t *testing.T) {
	grow := func(f func(g, n int) float32) []float32 {
		v := make([]float32, 16*8)
		for g := range 8 {
			for n := range 16 {
				v[g*16+n] = f(g, n)
			}
		}
		return v
	}
	negZero := float32(math.Copysign(0, -1))
	for name, c := range map[string]struct {
		v    []float32
		want linear.NumberForm
	}{
		"powers of two": {grow(func(g, n int) float32 { return float32(math.Ldexp(1, g-n*7)) }), linear.NumE8M0},
		"zeros":         {grow(func(g, n int) float32 { return 0 }), linear.NumProduct},
		"two levels":    {grow(func(g, n int) float32 { return float32(1.2109375) * float32(g*5-8+n) }), linear.NumProduct},
		"minus zero":    {grow(func(g, n int) float32 { return negZero - float32(g*n) }), linear.NumProduct},
		"halves":        {grow(func(g, n int) float32 { return 1 + float32(g*16+n)/1024 }), linear.NumF16},
		"bfloat16":      {grow(func(g, n int) float32 { return (1 + float32(g*16+n)/128) * 1e30 }), linear.NumF32},
		"any":           {grow(func(g, n int) float32 { return float32(math.Sqrt(float64(2 + g*16 + n))) }), linear.NumF32},
	} {
		x := numbersOf(c.v, 16, 8, 32)
		if x.Form != c.want {
			t.Errorf("%s: %v, want %v", name, x.Form, c.want)
		}
		w := &linear.Weight{Format: linear.Codes, N: 16, K: 256, Group: 32, Coded: &linear.Coded{Bits: 4, Scale: x}}
		for i, v := range c.v {
			w.Data = make([]byte, 256*16/2)
			w.Coded.Table = slices.Repeat([]float32{1}, 16)
			row := make([]float32, 256)
			linear.EmbedRow(row, w, i%16)
			if math.Float32bits(row[i/16*32]) != math.Float32bits(v) {
				t.Errorf("%s: group %d of row %d is %v, want %v", name, i/16, i%16, row[i/16*32], v)
			}
		}
	}
}

// Inputs of a matrix that is taken into others are not those that the checkpoint's rule means.
func TestAbsorbed(t *testing.T) {
	m, err := hf.Load("../testdata/families/deepseek_v3")
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{graph: m.Graph}
	for tensor, want := range map[string]bool{"kv_b_proj": true, "q_b_proj": false, "kv_a_proj_with_mqa": false, "o_proj": false} {
		if have := p.absorbed("model.layers.0.self_attn." + tensor + ".weight"); have != want {
			t.Errorf("%s: %v", tensor, have)
		}
	}
}
