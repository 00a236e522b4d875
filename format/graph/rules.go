package graph

import (
	"fmt"
	"math"
)

// The shape rules of spec/ops.md, one method per op: infer checks the
// constraints (C1).. in order and returns dtype and shape of the result.

// operands are the resolved inputs and parameters of one node; the number of
// each is already right, and required parameters are not nil.
type operands struct {
	g   *Graph
	op  Op
	in  []Value
	par []*Param
}

// rule is what every op kind implements beside Kind.
type rule interface {
	Op
	arity() (in, params, optional int) // optional parameters come last
	infer(o operands) (DType, []Dim, error)
}

func (o operands) fail(label, format string, a ...any) (DType, []Dim, error) {
	return "", nil, fmt.Errorf("%s (%s): %s", o.op.Kind(), label, fmt.Sprintf(format, a...))
}

// show prints operand i: "%x f32 [T, 64]".
func (o operands) show(i int) string {
	v := o.in[i]
	return fmt.Sprintf("%%%s %s %s", v.Name, v.DType, o.g.ShapeString(v.Shape))
}

// is reports whether operand i has this dtype and rank.
func (o operands) is(i int, t DType, rank int) bool {
	return o.in[i].DType == t && len(o.in[i].Shape) == rank
}

// features returns the last extent of operand i, or 0 unless it is a float of
// rank 1 or more whose last extent is a number.
func (o operands) features(i int) int {
	v := o.in[i]
	if v.DType != Float || len(v.Shape) == 0 || v.Shape[len(v.Shape)-1] < 0 {
		return 0
	}
	return int(v.Shape[len(v.Shape)-1])
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

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func oneOf(s string, list ...string) bool {
	for _, x := range list {
		if s == x {
			return true
		}
	}
	return false
}

func sameShape(a, b []Dim) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (Embedding) arity() (in, params, optional int) { return 1, 1, 0 }
func (Embedding) infer(o operands) (DType, []Dim, error) {
	if !o.is(0, Int, 1) {
		return o.fail("C1", "ids are %s, must be i32 [T]", o.show(0))
	}
	table := o.par[0]
	if len(table.Shape) != 2 {
		return o.fail("C2", "table %s has shape %v, must be [V, D]", table.Name, table.Shape)
	}
	return Float, []Dim{o.in[0].Shape[0], Dim(table.Shape[1])}, nil
}

func (Linear) arity() (in, params, optional int) { return 1, 2, 1 }
func (Linear) infer(o operands) (DType, []Dim, error) {
	k := o.features(0)
	if k == 0 {
		return o.fail("C1", "x is %s, must be f32 [.., K]", o.show(0))
	}
	w, bias := o.par[0], o.par[1]
	if len(w.Shape) != 2 || w.Shape[1] != k {
		return o.fail("C2", "weight %s has shape %v, must be [N, %d] to match %s", w.Name, w.Shape, k, o.show(0))
	}
	n := w.Shape[0]
	if bias != nil && !isShape(bias, n) {
		return o.fail("C3", "bias %s has shape %v, must be [%d] to match weight %s", bias.Name, bias.Shape, n, w.Name)
	}
	shape := append([]Dim(nil), o.in[0].Shape...)
	shape[len(shape)-1] = Dim(n)
	return Float, shape, nil
}

func (RMSNorm) arity() (in, params, optional int) { return 1, 1, 0 }
func (a RMSNorm) infer(o operands) (DType, []Dim, error) {
	d := o.features(0)
	if d == 0 {
		return o.fail("C1", "x is %s, must be f32 [.., D]", o.show(0))
	}
	if w := o.par[0]; !isShape(w, d) {
		return o.fail("C2", "weight %s has shape %v, must be [%d]", w.Name, w.Shape, d)
	}
	if !finite(a.Eps) || a.Eps < 0 || !finite(a.Offset) {
		return o.fail("C3", "eps %v, offset %v: must be finite, eps not negative", a.Eps, a.Offset)
	}
	return Float, o.in[0].Shape, nil
}

func (RoPE) arity() (in, params, optional int) { return 2, 0, 0 }
func (a RoPE) infer(o operands) (DType, []Dim, error) {
	if w := o.features(0); w == 0 || !o.is(0, Float, 2) || a.HeadDim <= 0 || w%a.HeadDim != 0 {
		return o.fail("C1", "x is %s, must be f32 [T, H*%d]", o.show(0), a.HeadDim)
	}
	if !o.is(1, Int, 1) || o.in[1].Shape[0] != o.in[0].Shape[0] {
		return o.fail("C2", "pos is %s, must be i32 [T] with the T of %s", o.show(1), o.show(0))
	}
	if a.Rotary < 2 || a.Rotary%2 != 0 || a.Rotary > a.HeadDim {
		return o.fail("C3", "rotary_dim %d must be even, from 2 to head_dim %d", a.Rotary, a.HeadDim)
	}
	if len(a.Freqs) != a.Rotary/2 {
		return o.fail("C4", "%d freqs for rotary_dim %d, must be %d", len(a.Freqs), a.Rotary, a.Rotary/2)
	}
	for i, f := range a.Freqs {
		if f < 0 || float64(float32(f)) != f { // NaN too; +Inf is a float32, so:
			return o.fail("C4", "freqs[%d] = %v must be a float32 number, not negative", i, f)
		}
		if math.IsInf(f, 0) {
			return o.fail("C4", "freqs[%d] is infinite", i)
		}
	}
	if !oneOf(a.Pairing, "half", "interleaved") {
		return o.fail("C5", `pairing %q must be "half" or "interleaved"`, a.Pairing)
	}
	if !finite(a.Scale) || a.Scale <= 0 {
		return o.fail("C6", "scale %v must be positive", a.Scale)
	}
	if d := a.Dynamic; d != nil {
		if !finite(d.Theta) || d.Theta <= 0 || !finite(d.Factor) || d.Factor < 1 || d.MaxPos < 1 || a.Rotary < 4 {
			return o.fail("C7", "dynamic theta %v, factor %v, max_pos %d, rotary_dim %d: must be > 0, >= 1, >= 1, >= 4",
				d.Theta, d.Factor, d.MaxPos, a.Rotary)
		}
	}
	return Float, o.in[0].Shape, nil
}

func (Attention) arity() (in, params, optional int) { return 4, 0, 0 }
func (a Attention) infer(o operands) (DType, []Dim, error) {
	if a.Heads < 1 || a.KVHeads < 1 || a.HeadDim < 1 || a.Heads%a.KVHeads != 0 {
		return o.fail("C1", "heads %d, kv_heads %d, head_dim %d: must be positive, heads a multiple of kv_heads", a.Heads, a.KVHeads, a.HeadDim)
	}
	if !o.is(0, Float, 2) || o.features(0)%a.HeadDim != 0 || o.features(0)/a.HeadDim != a.Heads {
		return o.fail("C2", "q is %s, must be f32 [T, %d*%d]", o.show(0), a.Heads, a.HeadDim)
	}
	t := o.in[0].Shape[0]
	for i, name := range []string{1: "k", 2: "v"} {
		if i > 0 && (!o.is(i, Float, 2) || o.in[i].Shape[0] != t || o.features(i)%a.HeadDim != 0 || o.features(i)/a.HeadDim != a.KVHeads) {
			return o.fail("C3", "%s is %s, must be f32 [T, %d*%d] with the T of q", name, o.show(i), a.KVHeads, a.HeadDim)
		}
	}
	if !o.is(3, Int, 1) || o.in[3].Shape[0] != t {
		return o.fail("C4", "pos is %s, must be i32 [T] with the T of q", o.show(3))
	}
	if !finite(a.Scale) || a.Scale <= 0 {
		return o.fail("C5", "scale %v must be positive", a.Scale)
	}
	switch m := a.Mask; {
	case !oneOf(m.Kind, "causal", "full"):
		return o.fail("C6", `mask %q must be "causal" or "full"`, m.Kind)
	case m.Window < 0 || m.Window > 0 && m.Kind != "causal":
		return o.fail("C6", "window %d of a %s mask: must be >= 0, and 0 unless causal", m.Window, m.Kind)
	case a.Cache != "" && m.Kind != "causal":
		return o.fail("C7", "cache %q with mask %q: a cache needs a causal mask", a.Cache, m.Kind)
	}
	return Float, o.in[0].Shape, nil
}

func (Unary) arity() (in, params, optional int) { return 1, 0, 0 }
func (a Unary) infer(o operands) (DType, []Dim, error) {
	if o.in[0].DType != Float {
		return o.fail("C1", "x is %s, must be f32", o.show(0))
	}
	if !oneOf(a.Func, "silu", "gelu", "gelu_tanh", "relu") {
		return o.fail("C2", "func %q is unknown; silu, gelu, gelu_tanh, relu", a.Func)
	}
	return Float, o.in[0].Shape, nil
}

func (Binary) arity() (in, params, optional int) { return 2, 0, 0 }
func (a Binary) infer(o operands) (DType, []Dim, error) {
	if o.in[0].DType != Float || o.in[1].DType != Float || !sameShape(o.in[0].Shape, o.in[1].Shape) {
		return o.fail("C1", "operands %s and %s must be f32 of one shape", o.show(0), o.show(1))
	}
	if !oneOf(a.Func, "add", "mul") {
		return o.fail("C2", "func %q is unknown; add, mul", a.Func)
	}
	return Float, o.in[0].Shape, nil
}

func (Gather) arity() (in, params, optional int) { return 2, 0, 0 }
func (Gather) infer(o operands) (DType, []Dim, error) {
	if !o.is(0, Float, 2) {
		return o.fail("C1", "x is %s, must be f32 [T, D]", o.show(0))
	}
	if !o.is(1, Int, 1) {
		return o.fail("C2", "rows are %s, must be i32 [R]", o.show(1))
	}
	return Float, []Dim{o.in[1].Shape[0], o.in[0].Shape[1]}, nil
}
