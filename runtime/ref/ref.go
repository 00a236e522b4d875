// Package ref is the FP32 yardstick: it walks a graph with plain loops, one
// node at a time, so that every result of the fast executor has a
// number to be held against. Read ref.go, then op.go and an op or two (op_KIND.go); linear.go holds the
// one loop that had to be made fast.
//
// It takes the same graph.Batch as exec. All parts go through a node together and weights stream from the Source
// in row chunks, each read once: memory holds the live values of the
// parts and a few megabytes of weights, however large a layer is. Results do
// not depend on the number of threads, on which parts run together or on how a sequence is cut into passes.
//
//	logits, err := ref.Logits(ctx, g, src, []ref.Seq{{IDs: prompt}}, ref.Options{})
//	last := logits[0].Row(len(prompt) - 1) // [V]
package ref

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"qpt/format/graph"
)

// Options of Run; the zero value works.
type Options struct {
	Threads int // goroutines; 0 for GOMAXPROCS

	// Dot, if set, computes products for linear layers: y[m][n0+j] = x[m]·w[j]
	// for the rows of w [rows, K], with the bits of the plain loop (numerics
	// N6.5). It is called from several goroutines. nil means the plain loop.
	Dot func(y [][]float32, n0 int, x [][]float32, w []float32)

	// Fast has functions that are used as far as they are set.
	Fast Fast

	// Spare, if set, is where the memory of values comes from, and goes when their last reader is done. A walk with it cannot be forked, and what it
	// gives must not be kept.
	Spare *Spare

	// Tap, if set, sees every node of every part: its resolved inputs and
	// its first result. Calls come from one goroutine, in node order, then by part;
	// for values without rows of parts (symbols T and R) there is one call, part 0. The tensors must neither be changed nor kept.
	Tap func(n *graph.Node, part int, in []graph.Tensor, out graph.Tensor)

	// Block, if positive, computes the last node, which must be a Linear, for
	// so many rows at a time: the Tap sees block after block of each part
	// and Run returns nothing. Memory no longer grows with tokens x vocabulary.
	Block int
}

// Run carries out one pass and returns the outputs of a verified graph in order, the rows of
// all parts one after the other. The sequences of the parts take up their rows when all has gone well.
func Run(ctx context.Context, g *graph.Graph, src graph.Source, b *graph.Batch, opts Options) ([]graph.Tensor, error) {
	w, err := Start(g, src, b, opts)
	if err != nil {
		return nil, err
	}
	if err := w.Advance(ctx, len(g.Nodes)); err != nil || opts.Block > 0 {
		return nil, err
	}
	var out []graph.Tensor
	for _, name := range g.Outputs {
		out = append(out, join(w.Value(name)))
	}
	return out, nil
}

// Seq is one whole text of a language model.
type Seq struct {
	IDs   []int32 // [T] token ids
	Types []int32 // [T] of the tokens, for a graph that takes another integer of each; nil: 0
	Rows  []int32 // [R] positions whose logits are wanted, ascending; nil for all
}

// Texts is the batch of texts from position 0 for g, as input "ids", and their types, if it takes them.
func Texts(g *graph.Graph, seqs ...Seq) *graph.Batch {
	b := new(graph.Batch)
	ids, types := []int32{}, []int32{} // not nil: integers
	for _, s := range seqs {
		p := graph.Part{N: len(s.IDs), Rows: s.Rows}
		if p.Rows == nil {
			for i := range s.IDs {
				p.Rows = append(p.Rows, int32(i))
			}
		}
		b.Parts = append(b.Parts, p)
		ids = append(ids, s.IDs...)
		types = append(append(types, s.Types...), make([]int32, len(s.IDs)-len(s.Types))...)
	}
	b.Inputs = map[string]graph.Tensor{"ids": {Shape: []int{len(ids)}, I: ids}}
	for _, in := range g.Inputs {
		if in.Name != "ids" && in.Name != "pos" && in.Name != "rows" && in.DType == graph.Int {
			b.Inputs[in.Name] = graph.Tensor{Shape: []int{len(ids)}, I: types}
		}
	}
	return b
}

// Logits runs texts and returns the first output for each, [R, V].
func Logits(ctx context.Context, g *graph.Graph, src graph.Source, seqs []Seq, opts Options) ([]graph.Tensor, error) {
	w, err := Start(g, src, Texts(g, seqs...), opts)
	if err != nil {
		return nil, err
	}
	if err := w.Advance(ctx, len(g.Nodes)); err != nil {
		return nil, err
	}
	return w.Value(g.Outputs[0]), nil
}

// join puts the rows of parts together.
func join(parts []graph.Tensor) graph.Tensor {
	if len(parts) == 1 {
		return parts[0]
	}
	all := graph.Tensor{Shape: slices.Clone(parts[0].Shape), F: []float32{}}
	if parts[0].I != nil {
		all.F, all.I = nil, []int32{}
	}
	all.Shape[0] = 0
	for _, p := range parts {
		all.Shape[0] += p.Shape[0]
		all.F, all.I = append(all.F, p.F...), append(all.I, p.I...)
	}
	return all
}

// Walk is a run that stops between nodes.
type Walk struct {
	run
	opts Options
	last map[string]int            // value -> last node that reads it
	next int                       // node
	live map[string][]graph.Tensor // value -> one tensor a part, or one for all
}

// Start checks the batch and stands before the first node.
func Start(g *graph.Graph, src graph.Source, b *graph.Batch, opts Options) (*Walk, error) {
	w := &Walk{run: run{g: g, src: src, threads: opts.Threads, dot: opts.Dot, fast: opts.Fast, spare: opts.Spare, params: g.ParamMap(), values: g.ValueMap()},
		opts: opts, last: g.LastUse(), live: map[string][]graph.Tensor{}}
	if w.threads <= 0 {
		w.threads = runtime.GOMAXPROCS(0)
	}
	if w.dot == nil {
		w.dot = Dot
	}
	if err := w.bind(b, w.live); err != nil {
		return nil, fmt.Errorf("ref: %w", err)
	}
	return w, nil
}

// Value is a value of the graph, a tensor for each part, or one for all if it has no rows of
// parts: nil before it is computed and after its last reader. The tensors must not be changed.
func (w *Walk) Value(name string) []graph.Tensor { return w.live[name] }

// Floats calls f for the memory of every float value that nodes to come read,
// always in the same order, with its length. f may take it away (nil) and must bring it back before Advance.
func (w *Walk) Floats(f func(data *[]float32, n int) error) error {
	for _, name := range slices.Sorted(maps.Keys(w.live)) {
		for s := range w.live[name] {
			t := &w.live[name][s]
			if w.values[name].DType == graph.Int {
				continue
			}
			n := 1
			for _, d := range t.Shape {
				n *= d
			}
			if err := f(&t.F, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// Next is the node that Advance computes next.
func (w *Walk) Next() int { return w.next }

// Fork is another walk that stands at the same node.
func (w *Walk) Fork() *Walk {
	if w.spare != nil {
		panic("ref: Fork of a walk whose values are used again")
	}
	c := *w
	c.live = maps.Clone(w.live)
	return &c
}

// Advance computes the nodes before node end that are not computed yet.
func (w *Walk) Advance(ctx context.Context, end int) error {
	for ; w.next < end; w.next++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		i := w.next
		n := &w.g.Nodes[i]
		c := &Call{run: &w.run, Node: n}
		for _, name := range n.In {
			c.In = append(c.In, w.live[name])
		}
		if w.opts.Block > 0 && i == len(w.g.Nodes)-1 {
			return w.stream(ctx, n, c.In[0])
		}
		for _, name := range n.Out {
			c.Out = append(c.Out, w.alloc(name))
		}
		if err := c.do(); err != nil {
			return err
		}
		if w.opts.Tap != nil {
			operands := make([]graph.Tensor, len(c.In))
			for s := range c.Out[0] {
				for j := range operands {
					operands[j] = c.Operand(j, s)
				}
				w.opts.Tap(n, s, operands, c.Out[0][s])
			}
		}
		for j, name := range n.Out {
			w.live[name] = c.Out[j]
		}
		for _, v := range slices.Concat(n.In, n.Out) {
			if w.last[v] == i {
				w.drop(v)
			}
		}
	}
	if w.next == len(w.g.Nodes) {
		for _, p := range w.parts {
			if p.seq != nil {
				p.seq.n = p.pos + p.n
			}
		}
	}
	return nil
}

// drop forgets a value.
func (w *Walk) drop(name string) {
	if w.spare != nil && !slices.ContainsFunc(w.g.Inputs, func(v graph.Value) bool { return v.Name == name }) {
		for _, t := range w.live[name] {
			w.spare.Put(t.F)
		}
	}
	delete(w.live, name)
}

// stream computes a linear node block by block of rows and shows each to the Tap.
func (w *Walk) stream(ctx context.Context, n *graph.Node, in []graph.Tensor) error {
	if _, ok := n.Op.(graph.Linear); !ok {
		return fmt.Errorf("ref: node %s: only a linear layer can be the last one here, not %s", n.Name, n.Op.Kind())
	}
	block := w.opts.Block
	width := int(w.values[n.Out[0]].Shape[1])
	y := make([]float32, block*width)
	for s, x := range in {
		k := x.Shape[1]
		for r0 := 0; r0 < x.Shape[0]; r0 += block {
			if err := ctx.Err(); err != nil {
				return err
			}
			rows := min(block, x.Shape[0]-r0)
			part := graph.Tensor{Shape: []int{rows, k}, F: x.F[r0*k : (r0+rows)*k]}
			out := graph.Tensor{Shape: []int{rows, width}, F: y[:rows*width]}
			c := &Call{run: &w.run, Node: n, In: [][]graph.Tensor{{part}}, Out: [][]graph.Tensor{{out}}}
			if err := c.do(); err != nil {
				return err
			}
			w.opts.Tap(n, s, []graph.Tensor{part}, out)
		}
	}
	return nil
}

// run is what the nodes need to know of a walk.
type run struct {
	g       *graph.Graph
	src     graph.Source
	threads int
	dot     func(y [][]float32, n0 int, x [][]float32, w []float32)
	fast    Fast
	spare   *Spare
	params  map[string]graph.Param
	values  map[string]graph.Value
	parts   []part
	extents []int // of symbols other than T and R
}

// each calls f(0) .. f(n-1) from the run's goroutines.
func (r *run) each(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(r.threads, n) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
}
