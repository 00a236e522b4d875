package graph

import (
	"slices"
)

func init() { Register[Unary]() }

// Unary applies Func, one of UnaryFuncs, to each element: in x, any shape; out the same shape.
type Unary struct {
	Func string `json:"func"`
	// Alpha of leaky_relu and elu.
	Alpha *float64 `json:"alpha,omitempty"`
}

// UnaryFuncs are the functions of Unary; spec/ops.md has their formulas.
var UnaryFuncs = []string{"silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "relu2", "sigmoid", "tanh", "exp", "neg",
	"relu6", "hardswish", "hardsigmoid", "leaky_relu", "elu", "abs", "sqrt", "rsqrt", "floor", "ceil", "round", "trunc", "sign", "log", "sin", "cos", "erf"}

// Kind implements Op.
func (Unary) Kind() string { return "unary" }

// Arity implements Op.
func (Unary) Arity() Arity { return Arity{In: 1} }

// Infer implements Op.
func (a Unary) Infer(o *Operands) ([]Value, error) {
	if o.In[0].DType != Float {
		return o.Fail("C1", "x is %s, must be f32", o.Show(0))
	}
	if !slices.Contains(UnaryFuncs, a.Func) {
		return o.Unknown("C2", "func", a.Func, UnaryFuncs...)
	}
	if takes := a.Func == "leaky_relu" || a.Func == "elu"; takes != (a.Alpha != nil) || takes && !single(*a.Alpha) {
		return o.Fail("C3", "alpha must be a finite float32 number of leaky_relu or elu, and of no other function")
	}
	return Result(Float, o.In[0].Shape...)
}
