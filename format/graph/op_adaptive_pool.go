package graph

import "slices"

func init() { Register[AdaptivePool]() }

// AdaptivePool folds a dimension of S elements to as many as Size says: place o takes the elements from floor(o*S/O) to
// below ceil((o+1)*S/O): in x [.., S1 .. Sr, C]; out [.., O1 .. Or, C].
type AdaptivePool struct {
	Func string `json:"func"` // one of PoolFuncs
	Size []int  `json:"size"`
	// Single is as in Pool.
	Single bool `json:"single,omitempty"`
}

// Kind implements Op.
func (AdaptivePool) Kind() string { return "adaptive_pool" }

// Arity implements Op.
func (AdaptivePool) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a AdaptivePool) Infer(o *Operands) ([]Value, error) {
	lead, _, err := o.spatial(0, len(a.Size))
	if err != nil {
		return o.Fail("C1", "%v", err)
	}
	for _, n := range a.Size {
		if n < 1 || n >= 1<<20 {
			return o.Fail("C2", "size %v must be numbers above 0", a.Size)
		}
	}
	if !slices.Contains(PoolFuncs, a.Func) {
		return o.Unknown("C3", "func", a.Func, PoolFuncs...)
	}
	if a.Single && a.Func == "max" {
		return o.Fail("C4", "single: for mean only")
	}
	return Result(Float, positions(lead, a.Size, o.Features(0))...)
}
