package attn

import (
	"fmt"
	"math"

	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

// shortValues is the most keys times values of a head that Short takes: packed they and the values fill half of a first-level cache.
const shortValues = 4096

// shortArgs is a short text: rows of all heads, ld values apart, and room for what is packed of one head.
type shortArgs struct {
	q, k, v, out *float32
	ldq, ldk     int // of queries and results, of keys and values, in bytes
	n            int // rows
	heads, group int // of keys and values, and queries of each
	hd           int
	scale        float32

	keys, values          *byte // 2*hd bytes for each row up to a multiple of 32
	query, results, state *byte // of four queries: 8*hd bytes, 16*hd and 640
}

// TakesShort tells whether Short attends n rows, of so many values a head, that see each other, with keys and values held as t.
func TakesShort(n, dim int, t KVType, spec *Spec) bool {
	return active().short != nil && t == KVBF16 && dim%32 == 0 && n*dim <= shortValues && spec.Mask == Mask{} && spec.Sinks == nil && !spec.extra()
}

// ShortHeads is how many of so many heads of keys and values a call of Short should take.
func ShortHeads(n, heads int) int { return max(heads*32/max(n, 32), 1) }

// Short is Attention of n rows to themselves, of the key and value heads h0 to h1-1 and without a cache, the same bits, where TakesShort says so: q and out are [n][spec.Heads*dim], k and v [n][heads*dim].
//
// Keys and values of a head are packed once and stay in a first-level cache; all of a call is one call of assembly. A subnormal result may be zero.
func Short(out, q, k, v []float32, n, heads, dim, h0, h1 int, spec *Spec, s *Scratch) {
	width, kw := spec.Heads*dim, heads*dim
	if n < 1 || !TakesShort(n, dim, KVBF16, spec) || h0 < 0 || h0 >= h1 || h1 > heads || spec.Heads%heads != 0 || len(q) < n*width || len(out) < n*width || len(k) < n*kw || len(v) < n*kw {
		panic(fmt.Sprintf("attn: Short: %d rows of %d heads on heads %d to %d of %d, %d values each, in %d queries, %d keys, %d values, %d results", n, spec.Heads, h0, h1, heads, dim, len(q), len(k), len(v), len(out)))
	}
	packed := 2 * dim * num.Pad(n, 32)
	if size := 2*packed + 24*dim + 640; len(s.short) < size {
		s.short = mem.Bytes(size)
	}
	group := spec.Heads / heads
	a := &s.shortArgs
	*a = shortArgs{
		q: &q[h0*group*dim], k: &k[h0*dim], v: &v[h0*dim], out: &out[h0*group*dim], ldq: 4 * width, ldk: 4 * kw, n: n, heads: h1 - h0, group: group, hd: dim, scale: float32(spec.Scale * math.Log2E),
		keys: &s.short[0], values: &s.short[packed], query: &s.short[2*packed], results: &s.short[2*packed+8*dim], state: &s.short[2*packed+24*dim],
	}
	active().short(a)
}
