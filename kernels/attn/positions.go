package attn

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/dot"
	"qpt/kernels/internal/mem"
)

// Positions are keys and queries of distances (disentangled attention, arXiv 2006.03654). With d = key's - query's
// position held within ±(L-1) and r = Rows[L-1+d], each head adds to its scores, in this order,
//
//	(query * Scale*log2(e)) . keys[r]
//	(queries[r] * Scale*log2(e)) . key
//
// in the order of dot.Rows; with a BF16 cache both factors are rounded to bfloat16 first.
type Positions struct {
	rows          []int
	heads, dim    int
	scale         float32
	keys, queries []float32 // [n][heads*dim], nil for none

	packed [2]struct { // by dot.Kind
		once    sync.Once
		keys    []byte    // [heads][n/32] blocks as those of a cache
		queries []float32 // [heads][n][hd], scaled
	}
}

// NewPositions are those of keys, or queries, or both, [n][heads*dim] each; rows [2L-1] are below n, scale is that of the Spec.
func NewPositions(rows []int, heads, dim int, scale float32, keys, queries []float32) *Positions {
	for _, x := range [][]float32{keys, queries} {
		for _, r := range rows {
			if x != nil && (r < 0 || (r+1)*heads*dim > len(x)) || len(rows)%2 == 0 {
				panic(fmt.Sprintf("attn: NewPositions: row %d of %d values for %d heads of %d, %d distances", r, len(x), heads, dim, len(rows)))
			}
		}
	}
	return &Positions{rows: rows, heads: heads, dim: dim, scale: scale, keys: keys, queries: queries}
}

// pack lays keys and queries out for a kind of cache.
func (p *Positions) pack(f dot.Kind) (keys []byte, queries []float32) {
	k := &p.packed[f]
	k.once.Do(func() {
		hd, width := num.Pad(p.dim, 32), p.heads*p.dim
		n := len(p.keys) / width
		head := num.Pad(n, 32) * hd // values
		size := dot.BlockSize(f, 1) / 16
		if p.keys != nil {
			k.keys = mem.Bytes(p.heads * head * size)
		}
		for i, x := range p.keys {
			r, h, d := i/width, i%width/p.dim, i%p.dim
			if f == dot.F32 {
				binary.LittleEndian.PutUint32(k.keys[4*(h*head+r/16*16*hd+d*16+r%16):], math.Float32bits(x))
			} else {
				binary.LittleEndian.PutUint16(k.keys[2*(h*head+r/16*16*hd+atKey(d)+r%16*2):], num.BF16(x))
			}
		}
		n = len(p.queries) / width
		k.queries = mem.Floats(p.heads * n * hd)
		half := make([]uint16, p.dim)
		for r := range n {
			for h := range p.heads {
				to, x := k.queries[(h*n+r)*hd:][:p.dim], p.queries[r*width+h*p.dim:][:p.dim]
				if scale := p.scale * math.Log2E; f == dot.F32 {
					scaleRow(to, x, scale)
				} else {
					elem.RoundBF16(half, to, x, scale)
				}
			}
		}
	})
	return k.keys, k.queries
}

// places is what Positions add for the queries of one call of attend, block after block of keys.
type places struct {
	hd        int
	kind      dot.Kind
	near, far int       // the least position of a query and the greatest
	keys      []byte    // of the head, nil for none
	queries   []float32 // [n][hd]

	byQuery []float32 // [rows][n] products of queries with keys of positions, those from row from on
	from, n int
	byKey   []float32 // [..][32] products of queries of positions, those from row first on, with the keys of a block
	first   int
	block   int // the position of its first key, -1: none yet
}

// begin takes up rows of queries q [rows][hd] of one head at positions pos, which see keys from lo to hi-1.
func (s *places) begin(p *Positions, f dot.Kind, head int, q []float32, rows, hd int, pos []int32, lo, hi int) {
	width := p.heads * p.dim
	keys, queries := p.pack(f)
	n := len(queries) / p.heads
	s.hd, s.kind, s.block, s.keys, s.queries = hd, f, -1, nil, queries[head*n:][:n]
	s.near, s.far = int(slices.Min(pos)), int(slices.Max(pos))
	if p.keys == nil {
		return
	}
	size := dot.BlockSize(f, hd)
	n = num.Pad(len(p.keys)/width, 32) / 16 * size
	s.keys = keys[head*n:][:n]
	first, last := p.span(lo-s.far, hi-1-s.near)
	s.from = first / 32 * 32
	s.n = num.Pad(last+1, 32) - s.from
	s.byQuery = mem.Sized(s.byQuery, rows*s.n)
	clear(s.byQuery)
	dot.Rows(f, s.byQuery, s.n, q, hd, s.keys[s.from/16*size:], size, rows, s.n/16, hd)
}

// span is the first and the last row of distances from lo to hi.
func (p *Positions) span(lo, hi int) (first, last int) {
	far := len(p.rows) / 2
	list := p.rows[min(max(lo, -far), far)+far : min(max(hi, -far), far)+far+1]
	return slices.Min(list), slices.Max(list)
}

// add adds to the scores x [..][32] of the queries from r0 on for a block of keys k, of which the first is at position key; there are keys keys.
func (s *places) add(p *Positions, x []float32, r0 int, pos []int32, k []byte, key, keys int) {
	n := min(32, keys-key)
	if len(s.queries) > 0 && s.block != key {
		first, last := p.span(key-s.far, key+n-1-s.near)
		s.block, s.first = key, first
		s.byKey = mem.Sized(s.byKey, (last-first+1)*32)
		clear(s.byKey)
		dot.Rows(s.kind, s.byKey, 32, s.queries[first*s.hd:], s.hd, k, dot.BlockSize(s.kind, s.hd), last-first+1, 2, s.hd)
	}
	far := len(p.rows) / 2
	for r := 0; len(x) > 0; r, x = r+1, x[32:] {
		d := key - int(pos[r0+r]) + far
		if s.keys != nil {
			line := s.byQuery[(r0+r)*s.n:][:s.n]
			for j := range n {
				x[j] += line[p.rows[min(max(d+j, 0), 2*far)]-s.from]
			}
		}
		if len(s.queries) > 0 {
			for j := range n {
				x[j] += s.byKey[(p.rows[min(max(d+j, 0), 2*far)]-s.first)*32+j]
			}
		}
	}
}
