package exec

import (
	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/attn"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
)

// rowKind is what a rowOp computes for one row.
type rowKind uint8

const (
	rowCopy rowKind = iota
	rowEmbed
	rowGather
	rowNorm
	rowRope
	rowUnary
	rowSiLUMul
	rowAdd
	rowMul
)

// rowOp computes row r of a value from row r of its sources (from any row, for gather and embedding).
type rowOp struct {
	name   string
	kind   rowKind
	src    []int
	sym    int // symbol of the rows
	width  int // of a row of the result
	table  *linear.Weight
	vec    []float32
	eps    float64
	offset float32
	rope   int
	unary  func(dst, x []float32)
	isSiLU bool
}

// rowStep is a rowOp over all rows; each row goes to dst (-1: nowhere) and,
// quantized, to quant.
type rowStep struct {
	rowOp
	dst   int
	quant []quant
}

// rowChunk rows are one item: small enough to share, big enough to pay for the hand-over.
const rowChunk = 8

func (st *rowStep) node() string { return st.name }
func (st *rowStep) reads() []int { return st.src }
func (st *rowStep) writes() []int {
	if st.dst < 0 {
		return nil
	}
	return []int{st.dst}
}

func (st *rowStep) items(s *State) int {
	rows := s.dims[st.sym]
	for _, q := range st.quant {
		s.acts[q.acts].Reset(rows)
	}
	if rows <= 2 {
		return 1
	}
	return (rows + rowChunk - 1) / rowChunk
}

func (st *rowStep) do(s *State, worker, item int) {
	rows := s.dims[st.sym]
	for r := item * rowChunk; r < min((item+1)*rowChunk, rows); r++ {
		var dst []float32
		if st.dst >= 0 {
			dst = s.rowOf(st.dst, r)
		} else if st.kind == rowCopy {
			dst = s.rowOf(st.src[0], r)
		} else {
			dst = s.row[worker][:st.width]
		}
		st.row(s, dst, r)
		for _, q := range st.quant {
			if q.scale > 0 {
				s.acts[q.acts].QuantizeStatic(r, r+1, dst, 0, q.scale, q.zero)
			} else {
				s.acts[q.acts].Quantize(r, r+1, dst, 0)
			}
		}
	}
}

// rowOf is row r of value v.
func (s *State) rowOf(v, r int) []float32 {
	w := s.p.values[v].width
	return s.val[v][r*w : (r+1)*w]
}

// row computes row r into dst.
func (op *rowOp) row(s *State, dst []float32, r int) {
	switch op.kind {
	case rowEmbed:
		linear.EmbedRow(dst, op.table, int(s.ints[op.src[0]][r]))
		return
	case rowGather:
		copy(dst, s.rowOf(op.src[0], int(s.ints[op.src[1]][r])))
		return
	}
	x := s.rowOf(op.src[0], r)
	switch op.kind {
	case rowCopy:
		copy(dst, x)
	case rowNorm:
		elem.RMSNorm(dst, x, op.vec, op.eps, op.offset)
	case rowRope:
		copy(dst, x)
		s.rope[op.rope].Apply(dst, int(s.ints[op.src[1]][r]))
	case rowUnary:
		op.unary(dst, x)
	case rowSiLUMul:
		elem.SiLUMul(dst, x, s.rowOf(op.src[1], r))
	case rowAdd:
		elem.Add(dst, x, s.rowOf(op.src[1], r))
	case rowMul:
		elem.Mul(dst, x, s.rowOf(op.src[1], r))
	}
}

// linearStep multiplies the prepared rows by the weights of one or more layers
// in one parallel region; an item is a run of 16-column blocks.
type linearStep struct {
	name   string
	acts   int
	sym    int
	layers []Layer
	dst    []int
	add    []bool
}

func (st *linearStep) node() string  { return st.name }
func (st *linearStep) reads() []int  { return nil }
func (st *linearStep) writes() []int { return st.dst }

// chunk is the number of blocks in an item: four or more, so that a kernel
// call has 64 columns to work on, and about four items a worker, so that a
// worker that lost its core costs little.
func (st *linearStep) chunk(s *State) (chunk, items int) {
	blocks := 0
	for _, l := range st.layers {
		blocks += (l.Weight.N + 15) / 16
	}
	chunk = max(num.Pad(blocks/(4*s.pool.Workers()), 4), 4)
	for _, l := range st.layers {
		items += ((l.Weight.N+15)/16 + chunk - 1) / chunk
	}
	return chunk, items
}

func (st *linearStep) items(s *State) int {
	_, items := st.chunk(s)
	return items
}

func (st *linearStep) do(s *State, worker, item int) {
	chunk, _ := st.chunk(s)
	for i, l := range st.layers {
		blocks := (l.Weight.N + 15) / 16
		n := (blocks + chunk - 1) / chunk
		if item >= n {
			item -= n
			continue
		}
		linear.Linear(s.val[st.dst[i]], l.Weight.N, s.acts[st.acts], l.Weight, item*chunk, min((item+1)*chunk, blocks),
			linear.Epilogue{Add: st.add[i]}, &s.gemm[worker])
		return
	}
}

// kvStep appends keys and values to a cache; an item is a run of positions.
type kvStep struct {
	name        string
	cache, k, v int
}

func (st *kvStep) node() string  { return st.name }
func (st *kvStep) reads() []int  { return []int{st.k, st.v} }
func (st *kvStep) writes() []int { return nil }

func (st *kvStep) items(s *State) int {
	rows := s.dims[s.p.values[st.k].rowSym]
	s.kv[st.cache].Grow(s.len, rows)
	return (rows + queryChunk - 1) / queryChunk
}

func (st *kvStep) do(s *State, worker, item int) {
	rows, width := s.dims[s.p.values[st.k].rowSym], s.p.values[st.k].width
	r0, r1 := item*queryChunk, min((item+1)*queryChunk, rows)
	s.kv[st.cache].Put(s.len+r0, s.val[st.k][r0*width:r1*width], s.val[st.v][r0*width:r1*width])
}

// attnStep attends the queries of this call to the cache; an item is one
// key/value head and a run of queries.
type attnStep struct {
	name   string
	cache  int
	q, out int
	op     graph.Attention
	spec   attn.Spec
}

// queryChunk queries or positions are one item.
const queryChunk = 32

func (st *attnStep) node() string  { return st.name }
func (st *attnStep) reads() []int  { return []int{st.q} }
func (st *attnStep) writes() []int { return []int{st.out} }

func (st *attnStep) items(s *State) int {
	rows := s.dims[s.p.values[st.q].rowSym]
	return st.op.KVHeads * ((rows + queryChunk - 1) / queryChunk)
}

func (st *attnStep) do(s *State, worker, item int) {
	rows := s.dims[s.p.values[st.q].rowSym]
	chunks := (rows + queryChunk - 1) / queryChunk
	r0 := (chunks - 1 - item/st.op.KVHeads) * queryChunk // the last queries see most: they go first
	r1 := min(r0+queryChunk, rows)
	width := s.p.values[st.q].width
	attn.Attention(s.val[st.out][r0*width:], width, s.val[st.q][r0*width:], width, s.pos[r0:r1], s.kv[st.cache], item%st.op.KVHeads, st.spec, &s.attn[worker])
}
