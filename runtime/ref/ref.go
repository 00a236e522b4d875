// Package ref is the FP32 yardstick: it walks a graph with plain loops and no
// cache, one node at a time, so that every result of the fast executor has a
// number to be held against. Read ref.go, then ops.go; linear.go holds the
// one loop that had to be made fast.
//
// All sequences go through a node together and weights stream from the Source
// in row chunks, each read once: memory holds the live values of the
// sequences and a few megabytes of weights, however large a layer is. Results do
// not depend on the number of threads or on which sequences run together.
//
//	logits, err := ref.Run(ctx, g, src, []ref.Seq{{IDs: prompt}}, ref.Options{})
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

// Seq is one sequence, from position 0.
type Seq struct {
	IDs  []int32 // [T] token ids
	Rows []int32 // [R] positions whose logits are wanted; nil for all
}

// Options of Run; the zero value works.
type Options struct {
	Threads int // goroutines; 0 for GOMAXPROCS

	// Dot, if set, computes products for linear layers: y[m][n0+j] = x[m]·w[j]
	// for the rows of w [rows, K], with the bits of the plain loop (numerics
	// N6.5). It is called from several goroutines. nil means the plain loop.
	Dot func(y [][]float32, n0 int, x [][]float32, w []float32)

	// Tap, if set, sees every node of every sequence: its resolved inputs and
	// its result. Calls come from one goroutine, in node order, then sequence
	// order. The tensors must neither be changed nor kept.
	Tap func(n *graph.Node, seq int, in []graph.Tensor, out graph.Tensor)

	// Block, if positive, computes the last node, which must be a Linear, for
	// so many rows at a time: the Tap sees block after block of each sequence
	// and Run returns nothing. Memory no longer grows with tokens x vocabulary.
	Block int
}

// Run computes the single output of a verified graph whose inputs are "ids",
// "pos" and "rows" for every sequence: logits [R, V].
func Run(ctx context.Context, g *graph.Graph, src graph.Source, seqs []Seq, opts Options) ([]graph.Tensor, error) {
	w, err := Start(g, src, seqs, opts)
	if err != nil {
		return nil, err
	}
	if err := w.Advance(ctx, len(g.Nodes)); err != nil {
		return nil, err
	}
	return w.Value(g.Outputs[0]), nil
}

// Walk is a run that stops between nodes.
type Walk struct {
	run
	opts Options
	last map[string]int            // value -> last node that reads it
	next int                       // node
	live map[string][]graph.Tensor // value -> one tensor a sequence
}

// Start checks the sequences and stands before the first node.
func Start(g *graph.Graph, src graph.Source, seqs []Seq, opts Options) (*Walk, error) {
	if len(g.Outputs) != 1 {
		return nil, fmt.Errorf("ref: the graph has %d outputs, must have 1", len(g.Outputs))
	}
	w := &Walk{run: run{g: g, src: src, threads: opts.Threads, dot: opts.Dot, params: g.ParamMap(), values: g.ValueMap()},
		opts: opts, last: g.LastUse(), live: map[string][]graph.Tensor{}}
	if w.threads <= 0 {
		w.threads = runtime.GOMAXPROCS(0)
	}
	if w.dot == nil {
		w.dot = Dot
	}
	for i, s := range seqs {
		if err := w.bind(w.live, s); err != nil {
			return nil, fmt.Errorf("ref: sequence %d: %w", i, err)
		}
	}
	return w, nil
}

// Value is a value of the graph, a tensor for each sequence: nil before it is
// computed and after its last reader. The tensors must not be changed.
func (w *Walk) Value(name string) []graph.Tensor { return w.live[name] }

// Floats calls f for the memory of every float value that nodes to come read,
// always in the same order, with its length. f may take it away (nil) and must bring it back before Advance.
func (w *Walk) Floats(f func(data *[]float32, n int) error) error {
	for _, name := range slices.Sorted(maps.Keys(w.live)) {
		for s := range w.live[name] {
			t := &w.live[name][s]
			if t.I != nil {
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
		in := make([][]graph.Tensor, len(n.In)) // [operand][sequence]
		for j, name := range n.In {
			in[j] = w.live[name]
		}
		if w.opts.Block > 0 && i == len(w.g.Nodes)-1 {
			return w.stream(ctx, n, in[0], w.opts)
		}
		out := make([]graph.Tensor, len(w.symbols))
		for s := range out {
			out[s] = w.alloc(n.Out[0], s)
		}
		if err := w.node(n, in, out); err != nil {
			return fmt.Errorf("ref: node %s: %w", n.Name, err)
		}
		if w.opts.Tap != nil {
			operands := make([]graph.Tensor, len(in))
			for s := range out {
				for j := range in {
					operands[j] = in[j][s]
				}
				w.opts.Tap(n, s, operands, out[s])
			}
		}
		w.live[n.Out[0]] = out
		for _, v := range slices.Concat(n.In, n.Out) {
			if w.last[v] == i {
				delete(w.live, v)
			}
		}
	}
	return nil
}

// stream computes a linear node block by block of rows and shows each to the Tap.
func (r *run) stream(ctx context.Context, n *graph.Node, in []graph.Tensor, opts Options) error {
	if _, ok := n.Op.(graph.Linear); !ok {
		return fmt.Errorf("ref: node %s: only a linear layer can be the last one here, not %s", n.Name, n.Op.Kind())
	}
	width := int(r.values[n.Out[0]].Shape[1])
	y := make([]float32, opts.Block*width)
	for s, x := range in {
		k := x.Shape[1]
		for r0 := 0; r0 < x.Shape[0]; r0 += opts.Block {
			if err := ctx.Err(); err != nil {
				return err
			}
			rows := min(opts.Block, x.Shape[0]-r0)
			part := graph.Tensor{Shape: []int{rows, k}, F: x.F[r0*k : (r0+rows)*k]}
			out := graph.Tensor{Shape: []int{rows, width}, F: y[:rows*width]}
			if err := r.node(n, [][]graph.Tensor{{part}}, []graph.Tensor{out}); err != nil {
				return fmt.Errorf("ref: node %s: %w", n.Name, err)
			}
			opts.Tap(n, s, []graph.Tensor{part}, out)
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
	params  map[string]graph.Param
	values  map[string]graph.Value
	symbols [][]int // [sequence][symbol] extent
	past    []past  // of a Decoder, nil otherwise
}

// bind sets the inputs of one more sequence and the extents of its symbols.
func (r *run) bind(live map[string][]graph.Tensor, s Seq) error {
	t := len(s.IDs)
	if t == 0 {
		return fmt.Errorf("no tokens")
	}
	pos := make([]int32, t)
	for i := range pos {
		pos[i] = int32(i)
	}
	rows := s.Rows
	if rows == nil {
		rows = pos
	}
	for _, i := range rows {
		if i < 0 || int(i) >= t {
			return fmt.Errorf("row %d wanted of %d tokens", i, t)
		}
	}
	feed := map[string][]int32{"ids": s.IDs, "pos": pos, "rows": rows}
	extents := make([]int, len(r.g.Symbols))
	for _, v := range r.g.Inputs {
		data, ok := feed[v.Name]
		if !ok || v.DType != graph.Int || len(v.Shape) != 1 {
			return fmt.Errorf("the graph wants input %q %s %s; ids, pos and rows i32 [n] are known",
				v.Name, v.DType, r.g.ShapeString(v.Shape))
		}
		if d := v.Shape[0]; d < 0 {
			extents[-1-d] = len(data)
		} else if int(d) != len(data) {
			return fmt.Errorf("input %q has %d values, must have %d", v.Name, len(data), d)
		}
		live[v.Name] = append(live[v.Name], graph.Tensor{Shape: []int{len(data)}, I: data})
	}
	r.symbols = append(r.symbols, extents)
	return nil
}

// alloc returns a zeroed float tensor for a value of sequence s.
func (r *run) alloc(value string, s int) graph.Tensor {
	var t graph.Tensor
	n := 1
	for _, d := range r.values[value].Shape {
		e := int(d)
		if d < 0 {
			e = r.symbols[s][-1-d]
		}
		t.Shape = append(t.Shape, e)
		n *= e
	}
	t.F = make([]float32, n)
	return t
}

// read returns a whole small parameter (a bias, a norm's weight), nil for "".
func (r *run) read(name string) ([]float32, error) {
	if name == "" {
		return nil, nil
	}
	dst := make([]float32, r.params[name].Shape[0])
	return dst, r.src.ReadRows(name, 0, 1, dst)
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

// eachRow calls f for every row of every sequence's result.
func (r *run) eachRow(out []graph.Tensor, f func(seq, row int)) {
	const block = 32
	type span struct{ seq, row int }
	var spans []span
	for s := range out {
		for row := 0; row < out[s].Rows(); row += block {
			spans = append(spans, span{s, row})
		}
	}
	r.each(len(spans), func(i int) {
		s := spans[i]
		for row := s.row; row < min(s.row+block, out[s.seq].Rows()); row++ {
			f(s.seq, row)
		}
	})
}
