// Package attn attends queries to a cache of keys and values.
//
// A KV is the cache of one layer: Grow it, Put rows, and call Attention for each key and value head,
// the unit of work to share, with one Scratch a worker.
package attn

import (
	"fmt"
	"math"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/mem"
)

// Attention, told once (numerics N6.3). For one query row at position p, which
// sees the positions [lo, hi), blocks of 32 positions aligned to multiples of
// 32 go through an online softmax (Milakov and Gimelshein, arXiv 1805.02867),
// in powers of two:
//
//	q = bf16(query * (Scale*log2(e)))  m = -Inf, l[16] = 0, O = 0; with a sink m = sink*log2(e), l[0] = 1
//	for each block that holds a visible position, in order:
//	  s[j] = q . k[j]                  in the order of dot.Rows
//	  s[j] = what extras.go makes of it, if there are a softcap or biases
//	  s[j] = -Inf                      where not visible
//	  M    = max(m, s[j])
//	  p[j] = bf16(2^(s[j] - M))
//	  a    = 2^(m - M)
//	  l[i] = l[i]*a + (p[2i] + p[2i+1])
//	  O    = O*a, then O += p v        in the order of dot.Rows
//	  m    = M
//	out = O * (1 / sum(l)), lanes 8 apart, then 4, 2, 1
//
// l sums the rounded p, so that the weights of the values add up to one. With an
// F32 cache nothing is rounded to bf16. 2^x is exp2. Blocks
// without visible positions are skipped row by row, so the bits of a result do not
// depend on the other queries of the call; this needs finite values, since masked
// ones are multiplied by zero.
//
// With AVX-512 a block goes through one call of assembly; a softcap or biases, and
// other instruction sets, take it step by step (blocks.go), with the same bits.

// Mask says which positions a query at position p sees: Causal, those up to p, and of them only
// the last Window if Window > 0; otherwise all of the cache, or those nearer than Window on either side.
type Mask struct {
	Causal bool
	Window int
}

// Spec is what is constant over the calls of an attention layer, but for Bias.
type Spec struct {
	Heads int     // query heads; head h reads key and value head h / (Heads/kvHeads)
	Scale float32 // on q k^T
	Mask  Mask

	Softcap  float32    // c > 0: scaled scores s become c*tanh(s/c)
	Slopes   []float32  // [Heads] ALiBi: takes away slope * |key's - query's position|
	Rounded  bool       // of slopes, bfloat16 numbers: adds Scale * bfloat16(slope * key's position) instead
	Relative []float32  // [Heads][2L-1]: adds the number at L-1 + key's - query's position, held within ±(L-1)
	Places   *Positions // needs as many key heads as Heads
	Bias     Bias
	Sinks    []float32 // [Heads] a logit that joins the softmax's sum and has no value
}

// Bias is added to the scores: Data[h*Head + i*Query + j*Key] for head h, query i of the call and
// the key at position j. A stride of 0 repeats. No Data is none.
type Bias struct {
	Data             []float32
	Head, Query, Key int
}

// Scratch is the working memory of one worker; the zero value is ready.
type Scratch struct {
	f    []float32
	h    []uint16
	mask []uint32
	kv   []byte
	args attnArgs

	short     []byte
	shortArgs shortArgs

	spec Spec // of the call
	x    extras
	at   places
}

// Up to attnRows rows, a query and head each, share one expansion of an int8
// cache; attnBlocks blocks are one call of attendBlocks. In it, strips of
// attnStrip rows, with all they need in the first-level cache, pass over the
// blocks, 16 rows at a time.
const (
	attnRows   = 128
	attnBlocks = 4
	attnStrip  = 32
)

// attnArgs is a run of blocks of a head for some rows. What has rows has room
// for a multiple of 16.
type attnArgs struct {
	q    *float32 // [rows][hd]
	q16  *uint16  // the same as bfloat16, unless the cache is F32
	k, v *byte    // [blocks][size], 32*hd elements each
	mask *uint32  // [2][rows] the visible positions of the first block and of the last
	o    *float32 // [rows][hd]
	m    *float32 // [rows]
	l    *float32 // [rows][16]
	s    *float32 // [16][32] scores, then p
	p    *uint16  // [16][32] p as bfloat16

	rows, hd, size, blocks int

	at    [attnBlocks]int // of each block in mask, in bytes, or -1: all is visible
	mode  int             // which assembly
	tiles *[64]byte       // configuration of AMX
}

// Attention attends the queries at positions pos to the cache for all query
// heads of one key and value head, the unit of work to share between workers.
// Query i is at q[i*ldq], [Heads*headDim], its result at out[i*ldo], [Heads*d] with the width d of a value; both
// slices start at head 0. Positions must be in the cache under a causal mask or a window; without, they
// count only for Slopes and Relative, so that queries may be others than the keys.
func Attention(out []float32, ldo int, q []float32, ldq int, pos []int32, kv *KV, kvHead int, spec Spec, s *Scratch) {
	width, wide := spec.Heads*kv.headDim, spec.Heads*kv.valDim
	n := len(pos)
	if n == 0 {
		return
	}
	if kvHead < 0 || kvHead >= kv.heads || spec.Heads%kv.heads != 0 || len(q) < (n-1)*ldq+width || len(out) < (n-1)*ldo+wide {
		panic(fmt.Sprintf("attn: Attention: head %d of %d for %d query heads, %d queries of width %d in %d values, results in %d", kvHead, kv.heads, spec.Heads, n, width, len(q), len(out)))
	}
	whole := spec.Mask == Mask{} // all see all
	for _, p := range pos {
		if whole && p >= 0 && kv.len > 0 && kv.from == 0 {
			continue
		}
		if p < 0 || int(p) >= kv.len && (spec.Mask.Causal || spec.Mask.Window > 0) || kv.len == 0 || visible(p, kv, spec.Mask).lo < kv.from {
			panic(fmt.Sprintf("attn: Attention: position %d, the cache holds %d to %d", p, kv.from, kv.len))
		}
	}
	spec.check(n, kv)
	s.spec = spec
	if kv.high > kv.len {
		panic("attn: Attention after KV.Truncate; Grow comes first")
	}
	group := spec.Heads / kv.heads
	s.grow(num.Pad(max(attnRows, group), 16), kv)
	for r0, r1 := 0, 0; r0 < n; r0 = r1 {
		// Queries that see the same blocks go together.
		first, last := visible(pos[r0], kv, spec.Mask).blocks()
		for r1 = r0 + 1; r1 < n && (r1-r0+1)*group <= attnRows; r1++ {
			if whole {
				continue
			}
			if f, l := visible(pos[r1], kv, spec.Mask).blocks(); f != first || l != last {
				break
			}
		}
		attend(out[r0*ldo:], ldo, q[r0*ldq:], ldq, pos[r0:r1], kv, kvHead, s, first, last)
		s.spec.Bias.skip(r1 - r0)
	}
}

// span is the positions [lo, hi) that a query sees.
type span struct{ lo, hi int }

func (s span) blocks() (first, last int) { return s.lo / 32, (s.hi - 1) / 32 }

// bits returns the visible positions of block i.
func (s span) bits(i int) uint32 {
	lo, hi := max(s.lo-32*i, 0), min(s.hi-32*i, 32)
	return uint32(1<<hi - 1<<lo)
}

func visible(pos int32, kv *KV, m Mask) span {
	end := int(pos) + 1
	switch {
	case !m.Causal && m.Window > 0:
		return span{max(0, end-m.Window), min(kv.len, int(pos)+m.Window)}
	case !m.Causal:
		return span{0, kv.len}
	case m.Window > 0:
		return span{max(0, end-m.Window), end}
	}
	return span{0, end}
}

func (s *Scratch) grow(rows int, kv *KV) {
	if n := rows*(2*kv.hd+16+1) + 16*32; len(s.f) < n {
		s.f = mem.Floats(n)
	}
	if n := rows*kv.hd + 16*32; len(s.h) < n {
		s.h = make([]uint16, n)
	}
	if n := rows * 2; len(s.mask) < n {
		s.mask = make([]uint32, n)
	}
	if n := attnBlocks * 128 * kv.hd; (kv.Type == KVI8 || kv.parts == 1) && len(s.kv) < n {
		s.kv = mem.Bytes(n)
	}
}

// take cuts n values off the front of *f.
func take(f *[]float32, n int) []float32 {
	x := (*f)[:n:n]
	*f = (*f)[n:]
	return x
}

// attend is Attention for queries that see exactly the blocks first to last.
func attend(out []float32, ldo int, q []float32, ldq int, pos []int32, kv *KV, kvHead int, s *Scratch, first, last int) {
	spec := &s.spec
	group, dim, hd := spec.Heads/kv.heads, kv.headDim, kv.hd
	rows := len(pos) * group
	pad := num.Pad(rows, 16)
	f := s.f
	qs, o, l, m, sc := take(&f, pad*hd), take(&f, pad*hd), take(&f, pad*16), take(&f, pad), take(&f, 16*32)
	q16, p16 := s.h[:pad*hd], s.h[pad*hd:][:16*32]
	clear(o)
	clear(l)
	for r := range m {
		m[r] = float32(math.Inf(-1))
		if spec.Sinks != nil {
			m[r] = spec.Sinks[kvHead*group+r%group] * math.Log2E
			l[r*16] = 1
		}
	}
	format, size := dot.BF16, 64*hd
	if kv.Type == KVF32 {
		format, size = dot.F32, 128*hd
	}
	scale := float32(spec.Scale * math.Log2E)
	var head, tail uint32
	for i := range pos {
		if i == 0 || spec.Mask != (Mask{}) {
			sees := visible(pos[i], kv, spec.Mask)
			head, tail = sees.bits(first), sees.bits(last)
		}
		for r := i * group; r < (i+1)*group; r++ {
			s.mask[r], s.mask[pad+r] = head, tail
		}
	}
	prepare(qs, q16, q[kvHead*group*dim:], ldq, len(pos), group, kv, format, scale, spec.extra())
	if spec.Places != nil {
		s.at.begin(spec.Places, format, kvHead, qs, rows, hd, pos, 32*first, min(32*(last+1), kv.len))
	}
	a := &s.args
	*a = attnArgs{q: &qs[0], q16: &q16[0], mask: &s.mask[0], o: &o[0], m: &m[0], l: &l[0], s: &sc[0], p: &p16[0], rows: rows, hd: hd, size: size}
	for i := first; i <= last; i += a.blocks {
		a.blocks = min(attnBlocks-i%attnBlocks, last+1-i) // within a page
		k, v := kv.blocks(kvHead, i, a.blocks, s.kv)
		a.k, a.v = &k[0], &v[0]
		for j := range a.blocks {
			switch i + j {
			case first:
				a.at[j] = 0
			case last:
				a.at[j] = 4 * pad
			default:
				a.at[j] = -1
			}
		}
		switch fused := active().attend; {
		case spec.extra():
			s.x = extras{spec, pos, kvHead * group, group, i * 32, kv.len, &s.at, s.x.f}
			attendBySteps(format, a, &s.x)
		case fused != nil:
			fused(format, a)
		default:
			attendBySteps(format, a, nil)
		}
	}
	for i := range pos {
		y := out[i*ldo+kvHead*group*kv.valDim:][:group*kv.valDim]
		active().divideRows(y, o[i*group*hd:], l[i*group*16:], group, kv.valDim, hd)
	}
}

// prepare makes the rows of n positions, group heads each, times scale: for F32 qs, else q16, as attend takes it, and what it was made of as float32 in qs if that is wanted or comes of itself.
func prepare(qs []float32, q16 []uint16, q []float32, ldq, n, group int, kv *KV, format dot.Kind, scale float32, wanted bool) {
	dim, hd := kv.headDim, kv.hd
	if f := active().queries; f != nil && format == dot.BF16 && dim == hd && !wanted {
		f(q16, q, ldq, n, group*dim, scale)
		return
	}
	for i := range n {
		x, n := q[i*ldq:][:group*dim], dim
		if dim == hd {
			n = len(x) // all heads at once
		}
		for r := i * group * hd; len(x) > 0; r, x = r+hd, x[n:] {
			if format == dot.F32 {
				scaleRow(qs[r:][:n], x[:n], scale)
			} else {
				elem.RoundBF16(q16[r:][:n], qs[r:][:n], x[:n], scale)
			}
			if n == dim {
				clear(qs[r+dim:][:hd-dim])
				clear(q16[r+dim:][:hd-dim])
			}
		}
	}
	if pack := active().pack; pack != nil && format == dot.BF16 {
		pack(q16, q16)
	}
}

func scaleRow(dst, x []float32, scale float32) {
	for i, v := range x {
		dst[i] = v * scale
	}
}
