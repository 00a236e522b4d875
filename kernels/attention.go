package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"qpt/internal/num"
)

// Attention, told once (numerics N6.3). For one query row at position p, which
// sees the positions [lo, hi), blocks of 32 positions aligned to multiples of
// 32 go through an online softmax (Milakov and Gimelshein, arXiv 1805.02867):
//
//	q = bf16(query * Scale)            m = -Inf, l = 0, O = 0
//	for each block that holds a visible position, in order:
//	  s[j] = q . k[j]                  in the order of dotRows
//	  M    = max(m, s[j] over visible j), NaN ignored
//	  p[j] = bf16(exp(s[j] - M)), 0 where not visible
//	  a    = exp(m - M)
//	  l    = l*a + sum(p): p[j] + p[j+16], then 8, 4, 2, 1 apart
//	  O    = O*a, then O += p v        in the order of dotRows
//	  m    = M
//	out = O / l
//
// l sums the rounded p, so that the weights of the values add up to one. With an
// F32 cache nothing is rounded to bf16. exp is the one of elem.go, each step
// one float32 rounding. Blocks without visible positions are skipped row
// by row, so the bits of a result do not depend on the other queries of the
// call; this needs finite values, since masked ones are multiplied by zero.

// Mask says which positions a query at position p sees: Causal, those up to p,
// and of them only the last Window if Window > 0; otherwise all of the cache.
type Mask struct {
	Causal bool
	Window int
}

// AttnSpec is what is constant over the calls of an attention layer.
type AttnSpec struct {
	Heads int     // query heads; head h reads key and value head h / (Heads/kvHeads)
	Scale float32 // on q k^T
	Mask  Mask
}

// AttnScratch is the working memory of one worker; the zero value is ready.
type AttnScratch struct {
	f    []float32
	mask []uint32
	kv   []byte
	args attnArgs
}

// attnRows rows, a query and head each, share one pass over keys and values;
// attnBlocks blocks are one call of attendBlocks.
const (
	attnRows   = 64
	attnBlocks = 8
)

// attnArgs is a run of blocks of a head for some rows.
type attnArgs struct {
	q    *float32 // [rows][hd]
	k, v *byte    // [blocks][32*hd]
	mask *uint32  // [blocks][rows] the visible positions
	o    *float32 // [rows][hd]
	s    *float32 // [rows][32] scores, then p
	m, l *float32 // [rows]

	rows, hd, blocks int
}

// Attention attends the queries at positions pos to the cache for all query
// heads of one key and value head, the unit of work to share between workers.
// Query i is at q[i*ldq], [Heads*headDim], its result likewise at out[i*ldo]; both
// slices start at head 0. Positions must be in the cache.
func Attention(out []float32, ldo int, q []float32, ldq int, pos []int32, kv *KV, kvHead int, spec AttnSpec, s *AttnScratch) {
	width := spec.Heads * kv.headDim
	n := len(pos)
	if n == 0 {
		return
	}
	if kvHead < 0 || kvHead >= kv.heads || spec.Heads%kv.heads != 0 || len(q) < (n-1)*ldq+width || len(out) < (n-1)*ldo+width {
		panic(fmt.Sprintf("kernels: Attention: head %d of %d for %d query heads, %d queries of width %d in %d values, results in %d", kvHead, kv.heads, spec.Heads, n, width, len(q), len(out)))
	}
	for _, p := range pos {
		if p < 0 || int(p) >= kv.len {
			panic(fmt.Sprintf("kernels: Attention: position %d, the cache holds %d", p, kv.len))
		}
	}
	group := spec.Heads / kv.heads
	s.grow(max(attnRows, group), kv)
	for r0, r1 := 0, 0; r0 < n; r0 = r1 {
		// Queries that see the same blocks go together.
		first, last := visible(pos[r0], kv, spec.Mask).blocks()
		for r1 = r0 + 1; r1 < n && (r1-r0+1)*group <= attnRows; r1++ {
			if f, l := visible(pos[r1], kv, spec.Mask).blocks(); f != first || l != last {
				break
			}
		}
		attend(out[r0*ldo:], ldo, q[r0*ldq:], ldq, pos[r0:r1], kv, kvHead, spec, s, first, last)
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
	case !m.Causal:
		return span{0, kv.len}
	case m.Window > 0:
		return span{max(0, end-m.Window), end}
	}
	return span{0, end}
}

func (s *AttnScratch) grow(rows int, kv *KV) {
	if n := rows * (2*kv.hd + 32 + 2); len(s.f) < n {
		s.f = alignedFloats(n)
	}
	if n := rows * attnBlocks; len(s.mask) < n {
		s.mask = make([]uint32, n)
	}
	if n := attnBlocks * 128 * kv.hd; kv.Type == KVI8 && len(s.kv) < n {
		s.kv = alignedBytes(n)
	}
}

// take cuts n values off the front of *f.
func take(f *[]float32, n int) []float32 {
	x := (*f)[:n:n]
	*f = (*f)[n:]
	return x
}

// attend is Attention for queries that see exactly the blocks first to last.
func attend(out []float32, ldo int, q []float32, ldq int, pos []int32, kv *KV, kvHead int, spec AttnSpec, s *AttnScratch, first, last int) {
	group, dim, hd := spec.Heads/kv.heads, kv.headDim, kv.hd
	rows := len(pos) * group
	f := s.f
	qs, o, sc := take(&f, rows*hd), take(&f, rows*hd), take(&f, rows*32)
	m, l := take(&f, rows), take(&f, rows)
	clear(o)
	clear(l)
	half := kv.Type != KVF32
	for r := range rows {
		m[r] = float32(math.Inf(-1))
		row := qs[r*hd:][:hd]
		clear(row[dim:])
		for d, v := range q[r/group*ldq+(kvHead*group+r%group)*dim:][:dim] {
			row[d] = v * spec.Scale
			if half {
				row[d] = num.FromBF16(num.BF16(row[d]))
			}
		}
	}
	format := F32
	if half {
		format = BF16
	}
	s.args = attnArgs{q: &qs[0], mask: &s.mask[0], o: &o[0], s: &sc[0], m: &m[0], l: &l[0], rows: rows, hd: hd}
	for i := first; i <= last; i += s.args.blocks {
		s.args.blocks = min(attnBlocks-i%attnBlocks, last+1-i) // within a chunk of the cache
		k, v := kv.blocks(kvHead, i, s.args.blocks, s.kv)
		s.args.k, s.args.v = &k[0], &v[0]
		for j := range s.args.blocks {
			for r := range rows {
				bits := ^uint32(0) // between first and last a query sees all
				if i+j == first || i+j == last {
					bits = visible(pos[r/group], kv, spec.Mask).bits(i + j)
				}
				s.mask[j*rows+r] = bits
			}
		}
		attendBlocks(format, &s.args)
	}
	for r := range rows {
		row := out[r/group*ldo+(kvHead*group+r%group)*dim:][:dim]
		for d := range row {
			row[d] = o[r*hd+d] / l[r]
		}
	}
}

func attendBlocksGeneric(f Format, a *attnArgs) {
	q, o := unsafe.Slice(a.q, a.rows*a.hd), unsafe.Slice(a.o, a.rows*a.hd)
	s, m, l := unsafe.Slice(a.s, a.rows*32), unsafe.Slice(a.m, a.rows), unsafe.Slice(a.l, a.rows)
	n := 2 * blockSize(f, a.hd) // bytes of the keys or values of 32 positions
	for i := range a.blocks {
		k, v := unsafe.Slice(a.k, a.blocks*n)[i*n:][:n], unsafe.Slice(a.v, a.blocks*n)[i*n:][:n]
		clear(s)
		dotRows(f, s, 32, q, a.hd, k, n/2, a.rows, 2, a.hd)
		softmaxBlock(a.rows, s, unsafe.Slice(a.mask, a.blocks*a.rows)[i*a.rows:], m, l, o, a.hd, f == BF16)
		dotRows(f, o, a.hd, s, 32, v, blockSize(f, 32), a.rows, a.hd/16, 32)
	}
}

// softmaxBlock turns the scores s [rows][32] of a block into p and
// brings m, l [rows] and o [rows][hd] up to date.
func softmaxBlock(rows int, s []float32, mask []uint32, m, l, o []float32, hd int, half bool) {
	for r := range rows {
		s := s[r*32:][:32]
		top := m[r]
		for j, v := range s {
			if mask[r]>>j&1 != 0 && v > top {
				top = v
			}
		}
		var lane [16]float32
		for j, v := range s {
			s[j] = 0
			if mask[r]>>j&1 != 0 {
				s[j] = exp32(v - top)
				if half {
					s[j] = num.FromBF16(num.BF16(s[j]))
				}
			}
		}
		for j := range lane {
			lane[j] = s[j] + s[j+16]
		}
		alpha := exp32(m[r] - top)
		m[r] = top
		l[r] = float32(l[r]*alpha) + foldLanes(&lane)
		for d := range hd {
			o[r*hd+d] *= alpha
		}
	}
}
