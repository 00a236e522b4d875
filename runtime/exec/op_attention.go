package exec

import (
	"fmt"
	"slices"

	"qpt/format/graph"
	"qpt/kernels/attn"
)

func init() {
	register("attention", func(c *Compiler, i int) error {
		n := &c.nodes[i]
		op := n.Op.(graph.Attention)
		st := &attnStep{name: n.Name, cache: -1, q: c.in(i, 0), k: c.in(i, 1), v: -1, out: c.out(i), op: op}
		if op.Values == 0 {
			st.v = c.in(i, 2)
		}
		st.inner = len(c.values[st.q].Shape) > 2
		if !st.inner {
			if err := c.wants(i, op.Operands(), "pos"); err != nil {
				return err
			}
		}
		if err := st.extras(c, n); err != nil {
			return err
		}
		switch {
		case op.Cache != "":
			st.cache = len(c.caches)
			c.caches = append(c.caches, op)
		case !st.inner:
			c.whole = true
		}
		c.step(i, &kvStep{st}, st)
		return nil
	})
}

// extras fills in what an attention adds to the scores.
func (st *attnStep) extras(c *Compiler, n *graph.Node) (err error) {
	op := st.op
	st.spec = attn.Spec{
		Heads: op.Heads, Scale: float32(op.Scale), Softcap: float32(op.Softcap), Rounded: op.Rounded,
		Mask: attn.Mask{Causal: op.Mask.Kind == "causal", Window: op.Mask.Window},
	}
	for _, slope := range op.Slopes {
		st.spec.Slopes = append(st.spec.Slopes, float32(slope))
	}
	params := n.Params
	if op.Sinks {
		if st.spec.Sinks, err = c.vector(params[0], op.Heads); err != nil {
			return err
		}
		params = params[1:]
	}
	if op.Table() {
		table, err := c.w.Vector(params[0]) // [rows, Heads]
		if err != nil {
			return err
		}
		for h := range op.Heads {
			for _, row := range op.Relative {
				at := row*op.Heads + h
				if at >= len(table) {
					return fmt.Errorf("parameter %q has %d values, row %d of %d heads is wanted", params[0], len(table), row, op.Heads)
				}
				st.spec.Relative = append(st.spec.Relative, table[at])
			}
		}
	}
	if op.PosKeys || op.PosQueries {
		return st.places(c, n)
	}
	if !op.Bias {
		return nil
	}
	name := n.In[len(n.In)-1]
	st.bias = c.index[name]
	shape, lead := c.values[st.bias].Shape, c.values[st.q].Shape[:len(c.values[st.q].Shape)-2]
	by := strides(shape)
	dim := func(i int) int { // distance in the i-th dimension from the end, 0 where it repeats
		if k := len(shape) - i; k >= 0 && shape[k] != 1 {
			return by[k]
		}
		return 0
	}
	st.spec.Bias = attn.Bias{Head: dim(3), Query: dim(2), Key: dim(1)}
	before := shape[:max(len(shape)-3, 0)] // [Heads, Nq, Nk]: the instances
	switch {
	case !slices.ContainsFunc(before, func(d graph.Dim) bool { return d != 1 }): // the same for all
	case slices.Equal(before, lead):
		st.each = size(shape[len(before):])
	default:
		return fmt.Errorf("bias %q %s repeats in some of the leading dimensions %s: this executor repeats it in all or none", name, c.g.ShapeString(shape), c.g.ShapeString(lead))
	}
	return nil
}

// places takes up keys and queries of positions, which are the same in every pass.
func (st *attnStep) places(c *Compiler, n *graph.Node) error {
	var given [2][]float32
	at := st.op.Operands() + 1
	for i, on := range []bool{st.op.PosKeys, st.op.PosQueries} {
		if !on {
			continue
		}
		v := c.index[n.In[at]]
		k := slices.IndexFunc(c.consts, func(k constant) bool { return k.value == v })
		if k < 0 {
			return fmt.Errorf("operand %q: this executor takes only what depends on params alone there", n.In[at])
		}
		given[i] = c.consts[k].data
		at++
	}
	st.spec.Places = attn.NewPositions(st.op.Relative, st.op.Heads, st.op.HeadDim, st.spec.Scale, given[0], given[1])
	return nil
}

// kvStep puts the keys and values of a pass where the queries find them: into the caches of its
// sequences, or into pages that last as long as the step after it. An item is a run of positions.
type kvStep struct{ *attnStep }

func (st *kvStep) reads() []int {
	if st.v < 0 {
		return []int{st.k}
	}
	return []int{st.k, st.v}
}
func (st *kvStep) writes() []int { return nil }

func (st *kvStep) items(f *frame) int {
	f.layAttention(st.attnStep)
	return len(f.attn.keys)
}

func (st *kvStep) do(f *frame, worker, item int) {
	c, width := f.attn.keys[item], f.p.values[st.k].width
	var v []float32
	if st.v >= 0 {
		v = f.val[st.v][c.r0*width : c.r1*width]
	}
	f.attn.kv[c.seg].Put(c.pos, f.val[st.k][c.r0*width:c.r1*width], v)
}

// attnStep attends the queries of this pass; an item is one key/value head and a run of queries, or some heads of a short text.
type attnStep struct {
	name         string
	cache        int  // of a sequence, -1: none
	inner        bool // within the last dimension but one, not within sequences
	q, k, v, out int  // v is -1 where the keys hold the values
	op           graph.Attention
	spec         attn.Spec
	bias, each   int // the value added, with Bias, and how far apart those of two instances are
}

func (st *attnStep) node() string { return st.name }
func (st *attnStep) reads() []int {
	if st.op.Bias {
		return []int{st.q, st.bias}
	}
	return []int{st.q}
}
func (st *attnStep) writes() []int { return []int{st.out} }

func (st *attnStep) items(f *frame) int { return len(f.attn.short) + st.op.KVHeads*len(f.attn.queries) }

func (st *attnStep) do(f *frame, worker, item int) {
	if item < len(f.attn.short) {
		c := f.attn.short[item]
		s := f.segs[c.seg]
		rows := func(v int) []float32 { w := f.p.values[v].width; return f.val[v][s.r0*w:][:s.n*w] }
		attn.Short(rows(st.out), rows(st.q), rows(st.k), rows(st.v), s.n, st.op.KVHeads, st.op.HeadDim, c.h0, c.h1, &st.spec, &f.ws.attn[worker])
		return
	}
	item -= len(f.attn.short)
	c := f.attn.queries[item/st.op.KVHeads]
	width, wide, spec := f.p.values[st.q].width, f.p.values[st.out].width, st.spec
	if st.op.Bias {
		spec.Bias.Data = f.val[st.bias][c.seg*st.each+c.pos*spec.Bias.Query:] // from the first query of the call on
	}
	attn.Attention(f.val[st.out][c.r0*wide:], wide, f.val[st.q][c.r0*width:], width, f.attn.pos[c.r0:c.r1],
		f.attn.kv[c.seg], item%st.op.KVHeads, spec, &f.ws.attn[worker])
}

// attention is how the rows of one attention of a pass divide. It lives in the frame from a
// kvStep to the attnStep behind it.
type attention struct {
	kv            []*attn.KV // of each segment
	keys, queries []chunk
	short         []heads    // of segments whose keys and values need no place
	rest          []chunk    // of the other segments, where there are short ones
	pos           []int32    // of each query row
	local         []*attn.KV // those of kv that no sequence owns, kept for the next time
	place         []int32
}

// heads is some heads of keys and values of a segment.
type heads struct{ seg, h0, h1 int }

// layAttention finds keys, values and rows of each segment.
func (f *frame) layAttention(st *attnStep) {
	a := &f.attn
	a.kv, a.short = a.kv[:0], a.short[:0]
	if !st.inner {
		a.keys, a.pos = f.chunks, f.pos
		for i, s := range f.segs {
			switch {
			case s.seq != nil && st.cache >= 0:
				a.kv = append(a.kv, s.seq.kv[st.cache])
			case st.v >= 0 && !st.op.Bias && attn.TakesShort(s.n, st.op.HeadDim, f.ws.KV, &st.spec):
				a.kv = append(a.kv, nil)
				step := attn.ShortHeads(s.n, st.op.KVHeads)
				for h := 0; h < st.op.KVHeads; h += step {
					a.short = append(a.short, heads{i, h, min(h+step, st.op.KVHeads)})
				}
			default:
				a.kv = append(a.kv, f.localKV(st, i, s.n)) // also where sequences have none
			}
		}
		if len(a.short) > 0 {
			a.rest = a.rest[:0]
			for _, c := range f.chunks {
				if a.kv[c.seg] != nil {
					a.rest = append(a.rest, c)
				}
			}
			a.keys = a.rest
		}
		a.queries = a.keys
		return
	}
	shape := func(v int) (rows int) { s := f.p.values[v].Shape; return int(s[len(s)-2]) }
	nq, nk := shape(st.q), shape(st.k)
	n := f.rows[st.q] / nq
	a.place, f.inner[0], f.inner[1] = a.place[:0], f.inner[0][:0], f.inner[1][:0]
	for i := range n {
		a.kv = append(a.kv, f.localKV(st, i, nk))
		for j := range nq {
			a.place = append(a.place, int32(j))
		}
		f.inner[0] = cutSegment(f.inner[0], i, i*nk, nk, 0)
		f.inner[1] = cutSegment(f.inner[1], i, i*nq, nq, 0)
	}
	a.keys, a.queries, a.pos = f.inner[0], f.inner[1], a.place
}

// newKV is an empty cache of an attention.
func newKV(pool *attn.Pool, t attn.KVType, op graph.Attention) *attn.KV {
	if op.Values > 0 {
		return pool.NewKeys(t, op.KVHeads, op.HeadDim, op.Values).Windowed(kept(op))
	}
	return pool.NewKV(t, op.KVHeads, op.HeadDim).Windowed(kept(op))
}

// kept is the window of positions that a cache keeps, 0: all.
func kept(op graph.Attention) int {
	if op.Mask.Kind != "causal" {
		return 0
	}
	return op.Mask.Window
}

// localKV is the i-th cache of the pass's own, with room for n positions.
func (f *frame) localKV(st *attnStep, i, n int) *attn.KV {
	a := &f.attn
	for len(a.local) <= i {
		a.local = append(a.local, nil)
	}
	if a.local[i] != nil {
		a.local[i].Release()
	}
	a.local[i] = newKV(f.ws.pages, f.ws.KV, st.op)
	if err := a.local[i].Lay(n); err != nil {
		panic(err) // the pool has no budget
	}
	return a.local[i]
}
