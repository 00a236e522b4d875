package attn

import (
	"fmt"
	"math"

	"qpt/internal/num"
	"qpt/kernels/elem"
)

// extras is what happens to scores between product and mask. They are logarithms to the base of 2 by then,
// log2(e) being part of the queries' scale. Each step is one rounding, in this order:
//
//	s = C * tanh(s * (1/C))             C = Softcap*log2(e); tanh of numerics N6.4
//	s = s + what positions.go adds
//	s = s - (slope*log2(e)) * |d|       d = key's - query's position
//	s = s + bf16(slope * key) * (Scale*log2(e))   in place of it, if the slopes are rounded
//	s = s + relative*log2(e)
//	s = s + bias*log2(e)
//	s = max(s, -MaxFloat32)             so that a bias of -Inf hides a key; NaN stays
//
// A row whose keys are all hidden so gets their mean.
type extras struct {
	*Spec
	pos         []int32 // of the queries
	head, group int     // the first query head and how many there are
	key, keys   int     // position of the first block, and of the end
	at          *places // with Places
	f           []float32
}

var (
	tanh, _ = elem.Unary("tanh")
	mul, _  = elem.Binary("mul")
)

// extra tells whether scores are changed.
func (s *Spec) extra() bool {
	return s.Softcap > 0 || s.Slopes != nil || s.Relative != nil || s.Places != nil || s.Bias.Data != nil
}

// check panics if what is there has not the length that Heads and the call's n queries ask for.
func (s *Spec) check(n int, kv *KV) {
	l := len(s.Relative)
	if s.Slopes != nil && len(s.Slopes) != s.Heads || s.Sinks != nil && len(s.Sinks) != s.Heads || l%s.Heads != 0 || l > 0 && l/s.Heads%2 == 0 {
		panic(fmt.Sprintf("attn: Attention: %d slopes, %d sinks and %d relative biases for %d heads", len(s.Slopes), len(s.Sinks), l, s.Heads))
	}
	if p := s.Places; p != nil && (p.heads != s.Heads || kv.heads != s.Heads || p.dim != kv.headDim) {
		panic(fmt.Sprintf("attn: Attention: positions of %d heads of %d for %d query and %d key heads of %d", p.heads, p.dim, s.Heads, kv.heads, kv.headDim))
	}
	b := &s.Bias
	if last := (s.Heads-1)*b.Head + (n-1)*b.Query + (kv.len-1)*b.Key; b.Data != nil && last >= len(b.Data) {
		panic(fmt.Sprintf("attn: Attention: bias of %d values, strides %d, %d, %d for %d heads, %d queries, %d keys", len(b.Data), b.Head, b.Query, b.Key, s.Heads, n, kv.len))
	}
}

// skip moves the bias on by n queries.
func (b *Bias) skip(n int) {
	if b.Data != nil {
		b.Data = b.Data[min(n*b.Query, len(b.Data)):]
	}
}

// adjust changes the scores s [n][32] of rows from r0 on, a query and head each, for a block, counted from the first, with keys k.
func (x *extras) adjust(s []float32, r0, block int, k []byte) {
	if x.Softcap > 0 {
		if x.f == nil {
			x.f = make([]float32, 2)
		}
		c := x.Softcap * math.Log2E
		x.f[0], x.f[1] = 1/c, c
		mul(s, s, x.f[:1])
		tanh(s, s)
		mul(s, s, x.f[1:])
	}
	key := x.key + 32*block
	if x.Places != nil {
		x.at.add(x.Places, s, r0, x.pos, k, key, x.keys)
	}
	for r := 0; len(s) > 0; r, s = r+1, s[32:] {
		query, head := (r0+r)/x.group, x.head+(r0+r)%x.group
		row, d := s[:min(32, x.keys-key)], key-int(x.pos[query])
		switch {
		case x.Rounded:
			for j := range row {
				row[j] += float32(num.FromBF16(num.BF16(x.Slopes[head]*float32(key+j))) * (x.Scale * math.Log2E))
			}
		case x.Slopes != nil:
			slope := x.Slopes[head] * math.Log2E
			for j := range row {
				row[j] -= float32(slope * float32(max(d+j, -d-j)))
			}
		}
		if n := len(x.Relative) / x.Heads; n > 0 {
			table := x.Relative[head*n:][:n]
			for j := range row {
				row[j] += float32(table[min(max(d+j+n/2, 0), n-1)] * math.Log2E)
			}
		}
		if b := &x.Bias; b.Data != nil {
			at := head*b.Head + query*b.Query + key*b.Key
			for j := range row {
				row[j] += float32(b.Data[at+j*b.Key] * math.Log2E)
			}
		}
		for j, v := range row {
			if v < -math.MaxFloat32 {
				row[j] = -math.MaxFloat32
			}
		}
	}
}
