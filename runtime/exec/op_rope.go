package exec

import (
	"reflect"
	"slices"

	"qpt/format/graph"
	"qpt/kernels/elem"
)

func init() {
	register("rope", func(c *Compiler, i int) error {
		if err := c.wants(i, 1, "pos"); err != nil {
			return err
		}
		op := c.nodes[i].Op.(graph.RoPE)
		table := slices.IndexFunc(c.ropes, func(r graph.RoPE) bool { return sameRope(r, op) })
		if table < 0 {
			table = len(c.ropes)
			c.ropes = append(c.ropes, op)
		}
		// In place when nobody else reads the source.
		x, out := c.in(i, 0), c.out(i)
		c.need(x)
		if c.fuse && len(c.uses[x]) == 1 && c.own(x) {
			c.values[out].alias = c.root(x)
		}
		rotate := func(f *frame, op *rowOp, dst []float32, r int) {
			copy(dst, f.rowOf(op.src[0], r))
			f.rope[table].apply(f, dst, r)
		}
		c.emit(&rowOp{name: c.nodes[i].Name, what: "rope", src: []int{x, c.in(i, 1)}, out: out, fn: rotate}, out)
		c.record(i, len(c.steps)-1)
		return nil
	})
}

func sameRope(a, b graph.RoPE) bool {
	return a.HeadDim == b.HeadDim && a.Rotary == b.Rotary && a.Pairing == b.Pairing && a.Scale == b.Scale &&
		reflect.DeepEqual(a.Dynamic, b.Dynamic) && reflect.DeepEqual(a.Long, b.Long) && slices.Equal(a.Freqs, b.Freqs)
}

// ropeTable holds the sines and cosines of one kind of rotation for the positions
// met so far, and, with scaling that depends on a sequence's length, those of the
// sequences of this pass that are beyond.
type ropeTable struct {
	op    graph.RoPE
	plain *elem.Rope
	long  []longRope // by segment, when any is long
	any   bool
}

// longRope is the rotation of one segment at a length.
type longRope struct {
	*elem.Rope
	end, first, n int // the positions that its table holds
}

func newRopeTable(op graph.RoPE) ropeTable {
	return ropeTable{op: op, plain: newRope(op)}
}

func newRope(r graph.RoPE) *elem.Rope {
	return elem.NewRope(r.Freqs, r.Scale, r.Rotary, r.HeadDim, r.Pairing == "interleaved")
}

// bind computes what the positions of a pass need.
func (t *ropeTable) bind(segs []segment) {
	t.any = false
	most := 0
	for i, s := range segs {
		if limit := t.op.MaxPos(); limit == 0 || s.end <= limit {
			most = max(most, s.pos+s.n)
			continue
		}
		t.any = true
		for len(t.long) <= i {
			t.long = append(t.long, longRope{Rope: newRope(t.op)})
		}
		l := &t.long[i]
		if l.end != s.end || s.pos < l.first || s.pos+s.n > l.first+l.n {
			l.SetFreqs(t.op.FreqsAt(s.end))
			l.ReserveFrom(s.pos, s.n)
			l.end, l.first, l.n = s.end, s.pos, s.n
		}
	}
	t.plain.Reserve(most)
}

// apply rotates row r of the pass.
func (t *ropeTable) apply(f *frame, x []float32, r int) {
	rope := t.plain
	if t.any {
		for i := range f.segs {
			if s := &f.segs[i]; r >= s.r0 && r < s.r0+s.n {
				if s.end > t.op.MaxPos() {
					rope = t.long[i].Rope
				}
				break
			}
		}
	}
	rope.Apply(x, int(f.pos[r]))
}
