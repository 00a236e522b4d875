package graph

import "slices"

func init() { Register[SequencePool]() }

// SequencePool makes one row of all rows of a sequence, by Func, one of SequencePoolFuncs: in x f32 [T, D]; out f32 [S, D], S counting
// the parts of the pass.
type SequencePool struct {
	Func string `json:"func"`
}

// SequencePoolFuncs are the functions of Pool; spec/ops.md has their formulas.
var SequencePoolFuncs = []string{"first", "last", "mean", "max", "mean_sqrt", "weighted_mean"}

// Kind implements Op.
func (SequencePool) Kind() string { return "sequence_pool" }

// Arity implements Op.
func (SequencePool) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a SequencePool) Infer(o *Operands) ([]Value, error) {
	if !o.Is(0, Float, 2) || o.Features(0) == 0 || o.g.symbol(o.In[0].Shape[0]) != "T" {
		return o.Fail("C1", "x is %s, must be f32 [T, D]", o.Show(0))
	}
	s := slices.Index(o.g.Symbols, "S")
	if s < 0 {
		return o.Fail("C2", "the graph has no symbol S, which counts the sequences of a pass")
	}
	if !slices.Contains(SequencePoolFuncs, a.Func) {
		return o.Unknown("C3", "func", a.Func, SequencePoolFuncs...)
	}
	return Result(Float, Dim(-1-s), o.In[0].Shape[1])
}

// symbol is the name of an extent, "" of a number.
func (g *Graph) symbol(d Dim) string {
	if i := -1 - int(d); d < 0 && i < len(g.Symbols) {
		return g.Symbols[i]
	}
	return ""
}
