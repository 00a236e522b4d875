package attn

import (
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
)

// TestKeysAlone: a cache of keys alone gives the bits of one that holds the same rows as keys and as values, in the first
// columns of each head; it takes half the memory, and comes back from its saved bytes.
func TestKeysAlone(t *testing.T) {
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(3, 9))
		for _, c := range []struct{ heads, kvHeads, dim, values, n int }{{5, 1, 26, 20, 70}, {4, 2, 40, 33, 131}, {3, 1, 64, 64, 33}, {16, 1, 576, 512, 45}} {
			for typ := KVF32; typ <= KVI8; typ++ {
				both, keys := NewPool(0).NewKV(typ, c.kvHeads, c.dim), NewPool(0).NewKeys(typ, c.kvHeads, c.dim, c.values)
				k := ktest.Mixed(rng, c.n*c.kvHeads*c.dim, false)
				cut := rng.IntN(c.n) * c.kvHeads * c.dim
				both.Append(0, k, k)
				keys.Append(0, k[:cut], nil)
				if rng.IntN(2) == 0 {
					old := keys
					keys = old.Fork()
					old.Append(old.Len(), k[cut:], nil)
				}
				keys.Append(keys.Len(), k[cut:], nil)
				saved, _ := keys.AppendBinary(nil)
				if len(saved) != keys.SavedBytes() || len(saved)-savedHeader != (both.SavedBytes()-savedHeader)/2 {
					t.Errorf("%v %v: %d bytes, both have %d", c, typ, len(saved), both.SavedBytes())
				}
				if _, err := NewPool(0).NewKV(typ, c.kvHeads, c.dim).Restore(saved); err == nil {
					t.Error("keys alone were taken for keys and values")
				}
				keys.Release()
				if rest, err := keys.Restore(saved); err != nil || len(rest) != 0 {
					t.Fatal(err)
				}
				const last = 9 // queries
				var pos []int32
				for i := range last {
					pos = append(pos, int32(c.n-last+i))
				}
				q := ktest.Mixed(rng, last*c.heads*c.dim*c.kvHeads, false)
				heads, wide := c.heads*c.kvHeads, c.heads*c.kvHeads*c.values
				want, got := make([]float32, last*heads*c.dim), make([]float32, last*wide)
				var s Scratch
				for h := range c.kvHeads {
					spec := Spec{Heads: heads, Scale: 0.1, Mask: Mask{Causal: true}}
					Attention(want, heads*c.dim, q, heads*c.dim, pos, both, h, spec, &s)
					Attention(got, wide, q, heads*c.dim, pos, keys, h, spec, &s)
				}
				for i := range last * heads {
					if !slices.EqualFunc(got[i*c.values:][:c.values], want[i*c.dim:][:c.values], ktest.Same) {
						t.Fatalf("%v %v: query and head %d differ", c, typ, i)
					}
				}
			}
		}
	})
}
