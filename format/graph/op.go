package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"qpt/internal/num"
)

// Op is what a node does: the attributes of one kind of op, as a plain struct
// used by value (graph.Linear{}, never a pointer), and what a graph asks of
// every kind. spec/ops.md says what each means. One file tells one kind
// (op_KIND.go); the executors register how they run it.
type Op interface {
	Kind() string // as stored
	// Arity may depend on the attributes, which nobody has checked yet.
	Arity() Arity
	// Infer checks the constraints (C1).. of spec/ops.md in order and returns
	// dtype and shape of each result, without names.
	Infer(o *Operands) ([]Value, error)
}

// Arity says how many operands a node has.
type Arity struct {
	In       int  // inputs
	More     bool // In or more of them: Infer looks at the number
	Params   int
	Optional int // so many of Params, the last ones, may be absent ("")
}

// Matrix is a param [N, K], of a convolution [N, taps.., C/groups], of a node that multiplies one of its inputs: what
// calibration, cost and mixed precision look at.
type Matrix struct {
	Weight, Bias string // params; Bias is "" for none
	Input        string // the value [.., K] that it multiplies, of a convolution [.., C] of which it does patches
	Routed       bool   // only some rows of Input meet it (experts)
}

// multiplier is what ops with matrices implement.
type multiplier interface{ Linears(n *Node) []Matrix }

// Turns is how often a token meets each matrix: the experts of a node share its choices evenly.
func (g *Graph) Turns() map[string]float64 {
	m, values := map[string]float64{}, g.ValueMap()
	for i := range g.Nodes {
		n := &g.Nodes[i]
		rows := 1.0
		for _, d := range values[n.Out[0]].Shape[:len(values[n.Out[0]].Shape)-1] {
			rows *= max(1, float64(d)) // a symbol counts once
		}
		list := n.Linears()
		for _, x := range list {
			m[x.Weight] += rows / float64(len(list))
		}
	}
	return m
}

// Linears lists the matrices of n that multiply its inputs, in order of its
// params; none for most ops. The table of an embedding multiplies nothing.
func (n *Node) Linears() []Matrix {
	if op, ok := n.Op.(multiplier); ok {
		return op.Linears(n)
	}
	return nil
}

// kinds is the registry: how the attributes of each kind are decoded.
var kinds = map[string]func(attrs []byte) (Op, error){}

// Register makes a kind of op known to Unmarshal; it panics if the kind is taken. Call it from an init function.
func Register[T Op]() {
	var op T
	if kinds[op.Kind()] != nil {
		panic(fmt.Sprintf("graph: op %q is registered twice", op.Kind()))
	}
	kinds[op.Kind()] = decode[T]
}

// Kinds lists the ops that this version knows, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Operands are the resolved inputs and params of one node: their numbers are
// right, and params that are not optional are not nil.
type Operands struct {
	In     []Value
	Params []*Param

	op Op
	g  *Graph
}

// Fail is an error that cites a constraint: "linear (C2): ...".
func (o *Operands) Fail(label, format string, a ...any) ([]Value, error) {
	return nil, fmt.Errorf("%s (%s): %s", o.op.Kind(), label, fmt.Sprintf(format, a...))
}

// Unknown is the error about an attribute that is none of the names known to this version; a newer one may know it.
func (o *Operands) Unknown(label, attr, name string, known ...string) ([]Value, error) {
	return nil, fmt.Errorf("%s (%s): %s %q is unknown, must be one of %s: %w", o.op.Kind(), label, attr, name, strings.Join(known, ", "), ErrNewer)
}

// Result is the one result of an op.
func Result(t DType, shape ...Dim) ([]Value, error) {
	return []Value{{DType: t, Shape: shape}}, nil
}

// Show prints input i: "%x f32 [T, 64]".
func (o *Operands) Show(i int) string {
	v := o.In[i]
	return fmt.Sprintf("%%%s %s %s", v.Name, v.DType, o.g.ShapeString(v.Shape))
}

// Is reports whether input i has this dtype and rank.
func (o *Operands) Is(i int, t DType, rank int) bool {
	return o.In[i].DType == t && len(o.In[i].Shape) == rank
}

// Features returns the last extent of input i, or 0 unless it is a float of
// rank 1 or more whose last extent is a number.
func (o *Operands) Features(i int) int {
	v := o.In[i]
	if v.DType != Float || len(v.Shape) == 0 || v.Shape[len(v.Shape)-1] < 0 {
		return 0
	}
	return int(v.Shape[len(v.Shape)-1])
}

// Like returns the shape of input i with another last extent.
func (o *Operands) Like(i int, last Dim) []Dim {
	s := o.In[i].Shape
	return append(s[:len(s)-1:len(s)-1], last)
}

func isShape(p *Param, want ...int) bool {
	if len(p.Shape) != len(want) {
		return false
	}
	for i, d := range want {
		if p.Shape[i] != d {
			return false
		}
	}
	return true
}

// single reports whether x is a finite binary32 number.
func single(x float64) bool { return num.Finite(x) && float64(float32(x)) == x }

// prod multiplies extents that are numbers; checkShape has bounded the product.
func prod(shape []Dim) int {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return n
}

// symbols returns how many extents of a shape are symbols; they come first.
func symbols(shape []Dim) int {
	n := 0
	for n < len(shape) && shape[n] < 0 {
		n++
	}
	return n
}
