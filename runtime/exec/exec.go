// Package exec runs a graph with packed weights: planned memory, fused steps,
// quantized kernels. It is the fast one of the two executors; runtime/ref is the
// yardstick, and both take the same graph.Batch.
//
// Three things are apart. Compile turns a graph into a Program: immutable, used by
// any number of passes. A Workspace holds the buffers of one pass and belongs to a
// pool of cores; it serves any program. A Sequence owns only the states that the
// graph declares, keys and values in pages, so that an empty one takes next to nothing.
//
//	ws := exec.NewWorkspace(0)
//	seq := prog.NewSequence(pages, 4096)
//	out, err := prog.Run(ctx, ws, &graph.Batch{
//		Parts:  []graph.Part{{Seq: seq, N: len(ids), Rows: []int32{int32(len(ids) - 1)}}},
//		Inputs: map[string]graph.Tensor{"ids": {Shape: []int{len(ids)}, I: ids}},
//	})
//
// A pass runs rows of many sequences together: linear layers see one matrix of all
// rows, attention sees each part alone. Results do not depend on the number of
// workers, on how a sequence is cut into passes, or on what else is in the batch
// (numerics N7). Once buffers have grown to their size, a pass allocates nothing.
//
// Fusions, all of which keep every bit: linears that read one value share its
// quantized rows and one parallel region (QKV); norms quantize each row while it
// is in cache and never store it; a linear layer ends in a sink (sink.go), which adds to
// the residual stream, applies an activation, multiplies gate and up, and makes the rows of the
// next layer where these are made value by value; rotations happen in place; convolutions around a depthwise one are made
// some lines at a time (chain.go), so that what lies between stays in a cache. What depends on params alone is computed
// once, by Compile. Program.Dump shows what a graph has become.
//
// An op is one file op_<kind>.go that ends in a call of Register.
package exec

import (
	"fmt"
	"math"

	"qpt/format/graph"
	"qpt/kernels/linear"
)

// Layer is one linear layer: packed weights and how its input rows are stored.
type Layer struct {
	Weight *linear.Weight
	Form   linear.ActForm
	Static bool // A8 by Weights.Static instead of row by row
}

// Weights finds the constants of a graph by parameter name.
type Weights interface {
	// Linear returns a matrix [N, K]; bias names its [N] vector or is "".
	Linear(name, bias string) (Layer, error)
	// Vector returns a float32 parameter that no linear multiplies, flat.
	Vector(name string) ([]float32, error)
	// Static returns the scale and zero point of a value that layers with
	// Static set read.
	Static(value string) (scale float32, zero int32, err error)
	// Stored tells whether a value is kept as codes, whoever reads it, and their scale and zero point.
	Stored(value string) (scale float32, zero int32, ok bool)
}

// Options of Compile; the zero value fuses.
type Options struct {
	// NoFuse makes one step a node and keeps each result until its last use,
	// so that every node can be looked at. The results are the same bits.
	NoFuse bool
}

// Program is a compiled graph, safe for concurrent use.
type Program struct {
	g       *graph.Graph
	steps   []step
	values  []value
	index   map[string]int // value name -> values index
	slots   int
	acts    []actSpec
	actUses [][]int           // the values whose rows each holds
	caches  []graph.Attention // the states of a sequence
	ropes   []graph.RoPE
	checks  []check
	consts  []constant
	outs    []int // values
	ids     int   // the value of input "ids", or -1
	pos     int   // of "pos"
	rows    int   // of "rows"
	symT    int   // index of the symbol T, or -1
	symR    int
	symS    int  // of S, the parts of a pass
	whole   bool // some attention keeps no cache: a sequence must be one pass
	// byNode lists the steps that compute a node, in order (NoFuse only).
	byNode [][]int
}

// value is a graph value and the slot that holds it. Its rows are all dimensions
// but the last, its width the last one; an i32 or symbolic vector has width 1.
type value struct {
	graph.Value
	lead  []graph.Dim // the dimensions that count rows
	width int
	alias int  // value whose memory this one shares; itself for most
	slot  int  // -1 while it never lies in memory
	last  int  // last step that reads it
	bytes bool // codes of another value, in place of float32
}

// floats is the memory of so many rows.
func (v *value) floats(rows int) int {
	if v.bytes {
		return (rows*v.width+3)/4 + 1 // kernels read whole words
	}
	return rows * v.width
}

// check is a range that integers given to a pass must keep: 0 <= x < below.
type check struct {
	value int
	below int
	what  string // of the table that they index
}

// actSpec is a buffer of quantized rows. Static rows have their own: the same
// value may be read in both ways.
type actSpec struct {
	form   linear.ActForm
	k      int
	static bool
	want   linear.CodedRows // of Weight.Rows
	// owner is 0 for the buffer that rows are prepared in just before their layers run, and a number
	// for one that a layer's sink fills for later ones.
	owner int
}

// rows makes room for so many.
func (a actSpec) rows(n int) *linear.Acts {
	return linear.NewActsFor(a.form, a.want, n, a.k)
}

// own is the same with another owner.
func (a actSpec) own(owner int) actSpec {
	a.owner = owner
	return a
}

// quant is what a rowStep quantizes to: a buffer and, if it is static, the
// value's scale and zero point.
type quant struct {
	acts  int
	scale float32 // 0: row by row
	zero  int32
}

// step is one unit of execution. items is the number of independent parts for
// the sizes of this pass; do runs one of them.
type step interface {
	node() string // the last graph node that it completes
	reads() []int
	writes() []int
	items(f *frame) int
	do(f *frame, worker, item int)
}

// OutputWidth is the number of values in a row of the first output: the
// vocabulary of a language model.
func (p *Program) OutputWidth() int { return p.values[p.outs[0]].width }

// Vocab is the number of token ids that the tables read by input "ids" hold; huge if none does.
func (p *Program) Vocab() int {
	n := math.MaxInt32
	for _, c := range p.checks {
		if c.value == p.ids {
			n = min(n, c.below)
		}
	}
	return n
}

// Whole tells whether some attention keeps no cache, so that a sequence must be one pass.
func (p *Program) Whole() bool { return p.whole }

// Graph is what the program was compiled from.
func (p *Program) Graph() *graph.Graph { return p.g }

// ids, pos, rows and shapes of the inputs.
func (p *Program) findInputs() error {
	g := p.g
	p.ids, p.pos, p.rows, p.symT, p.symR, p.symS = -1, -1, -1, -1, -1, -1
	for i, s := range g.Symbols {
		switch s {
		case "T":
			p.symT = i
		case "R":
			p.symR = i
		case "S":
			p.symS = i
		}
	}
	for _, in := range g.Inputs {
		at := map[string]*int{"ids": &p.ids, "pos": &p.pos, "rows": &p.rows}[in.Name]
		if at == nil {
			continue
		}
		if want := map[string]string{"ids": "i32 [T]", "pos": "i32 [T]", "rows": "i32 [R]"}[in.Name]; want != string(in.DType)+" "+g.ShapeString(in.Shape) {
			if in.Name == "ids" {
				continue // an input like others
			}
			return fmt.Errorf("graph input %q is %s %s, must be %s", in.Name, in.DType, g.ShapeString(in.Shape), want)
		}
		*at = p.index[in.Name]
	}
	return nil
}
