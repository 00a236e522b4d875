package runtime_test

import (
	"testing"

	"qpt/format"
	"qpt/kernels/linear"
	"qpt/kernels/probe"
	"qpt/runtime/lm/lmtest"
)

// stories260K: hidden 64, 5 layers, 8 query and 4 key heads of 8, ffn 172, vocabulary 512, tied.
func TestCost(t *testing.T) {
	const (
		layer = 64*64 + 2*32*64 + 64*64 + 3*64*172
		head  = 512 * 64
	)
	for _, c := range []struct {
		scheme          string
		layers, head    probe.Product
		bytes, headSize float64 // a weight, without padding and scales
	}{
		{"f32", probe.Product{Acts: linear.AF32, Weights: linear.F32}, probe.Product{Acts: linear.AF32, Weights: linear.F32}, 4, 4},
		{"da8w8", probe.Product{Acts: linear.A8, Weights: linear.I8}, probe.Product{Acts: linear.A16, Weights: linear.I8}, 1, 1},
		{"da8w4", probe.Product{Acts: linear.A8, Weights: linear.I4}, probe.Product{Acts: linear.A16, Weights: linear.I8}, 0.5, 1},
	} {
		m := lmtest.Load(t, c.scheme)
		kvForm, kvSize := linear.ABF16, 2.0
		if c.scheme == "f32" {
			kvForm, kvSize = linear.AF32, 4
		}
		for _, v := range []struct{ past, n, pairs int }{{0, 1, 1}, {9, 1, 10}, {0, 4, 10}, {2, 2, 7}} {
			got := m.Cost(v.past, v.n)
			want := map[probe.Product]float64{}
			want[c.layers] += 2 * 5 * layer * float64(v.n)
			want[c.head] += 2 * head
			want[probe.Product{Acts: kvForm}] += 5 * 4 * 64 * float64(v.pairs)
			for product, ops := range want {
				if got.Ops[product] != ops || len(got.Ops) != len(want) {
					t.Errorf("%s, %d tokens after %d: %v operations, want %v", c.scheme, v.n, v.past, got.Ops, want)
				}
			}
			// 172 weights are padded to 176 or 192, and all have scales
			least := c.bytes*5*layer + c.headSize*head + 5*2*32*kvSize*float64(v.past+v.n)
			if got.Bytes < least || got.Bytes > 1.35*least+float64(v.n)*300 {
				t.Errorf("%s, %d tokens after %d: %v bytes, want %v and a little more", c.scheme, v.n, v.past, got.Bytes, least)
			}
		}
		var mapped int64
		for _, b := range m.Mapped() {
			mapped += int64(len(b))
		}
		var stored int64
		for _, s := range m.File.Sections() {
			if s.Kind == format.KindWeights {
				stored += s.Size
			}
		}
		if mapped < stored/2 || mapped > m.File.Size() {
			t.Errorf("%s: %d bytes of weights, the sections have %d", c.scheme, mapped, stored)
		}
	}
}
