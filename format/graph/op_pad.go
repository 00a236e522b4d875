package graph

import "slices"

func init() { Register[Pad]() }

// Pad adds elements before and after those of each dimension: in x; out x with greater extents. Mode is one of PadModes:
// constant (Value), reflect (without the edge) or edge.
type Pad struct {
	Pad   []int   `json:"pad"` // before and after each of the last len/2 dimensions
	Mode  string  `json:"mode"`
	Value float64 `json:"value,omitempty"`
}

// PadModes are the modes of Pad.
var PadModes = []string{"constant", "reflect", "edge"}

// Kind implements Op.
func (Pad) Kind() string { return "pad" }

// Arity implements Op.
func (Pad) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Pad) Infer(o *Operands) ([]Value, error) {
	shape := slices.Clone(o.In[0].Shape)
	if o.In[0].DType != Float || len(a.Pad)%2 != 0 || len(a.Pad) > 2*(len(shape)-symbols(shape)) {
		return o.Fail("C1", "x is %s, must be f32, and pad %v two numbers for each of its last dimensions that are numbers", o.Show(0), a.Pad)
	}
	if !slices.Contains(PadModes, a.Mode) {
		return o.Unknown("C2", "mode", a.Mode, PadModes...)
	}
	if !single(a.Value) || a.Value != 0 && a.Mode != "constant" {
		return o.Fail("C3", "value %v must be a finite float32 number, in mode constant only", a.Value)
	}
	at := len(shape) - len(a.Pad)/2
	for i, p := range a.Pad {
		d := &shape[at+i/2]
		if x := o.In[0].Shape[at+i/2]; p < 0 || p >= maxExtent || a.Mode == "reflect" && p >= int(x) && p > 0 || a.Mode == "edge" && x == 0 {
			return o.Fail("C4", "pad %v of %s: must not be negative, nor reach beyond what is reflected", a.Pad, o.Show(0))
		}
		*d += Dim(p)
	}
	return Result(Float, shape...)
}
