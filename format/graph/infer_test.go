package graph_test

import (
	"fmt"
	"strings"
	"testing"

	. "qpt/format/graph"
)

// TestInfer: what each op makes of operands, or the constraint that they break.
// Operands are shapes, "i" before those of i32; T and S are symbols, the params follow a "|".
func TestInfer(t *testing.T) {
	scalar := 0.5
	attn := func(f func(a *Attention)) Attention {
		a := Attention{Heads: 2, KVHeads: 1, HeadDim: 4, Scale: 0.5, Mask: Mask{Kind: "full"}}
		f(&a)
		return a
	}
	for _, c := range []struct {
		op       Op
		operands string
		want     string
	}{
		{Conv{}, "T,5,6,3 | 7,3,3,3 7", "f32 [T, 3, 4, 7]"},
		{Conv{Window: Window{Stride: []int{2, 2}, Pad: []int{1, 1, 0, 2}, Dilation: []int{2, 1}}, Groups: 2}, "T,5,6,4 | 6,3,3,2 -", "f32 [T, 2, 3, 6]"},
		{Conv{}, "T,5,6 | 7,3,3,3 -", "(C1)"},
		{Conv{}, "5,6,3 | 7,3 -", "(C1)"},
		{Conv{}, "T,5,6,3 | 7,3,3,4 -", "(C2)"},
		{Conv{Groups: -1}, "T,5,6,3 | 7,3,3,3 -", "(C2)"},
		{Conv{}, "T,5,6,3 | 7,3,3,3 6", "(C3)"},
		{Conv{Window: Window{Stride: []int{2}}}, "T,5,6,3 | 7,3,3,3 -", "(C4)"},
		{Conv{Window: Window{Stride: []int{0, 1}}}, "T,5,6,3 | 7,3,3,3 -", "(C4)"},
		{Conv{Window: Window{Pad: []int{-1, 0, 0, 0}}}, "T,5,6,3 | 7,3,3,3 -", "(C4)"},
		{Conv{}, "T,2,6,3 | 7,3,3,3 -", "(C5)"},
		{ConvTranspose{Window: Window{Stride: []int{2, 2}}, Extra: []int{1, 0}}, "T,5,6,3 | 7,2,2,3 7", "f32 [T, 11, 12, 7]"},
		{ConvTranspose{}, "5,3,3 | 7,2,2,3 7", "f32 [6, 4, 7]"},
		{ConvTranspose{}, "T,3 | 7,2,2,3 7", "(C1)"},
		{ConvTranspose{Groups: 2}, "T,5,6,4 | 7,2,2,2 -", "(C2)"},
		{ConvTranspose{}, "T,5,6,3 | 7,2,2,3 8", "(C3)"},
		{ConvTranspose{Extra: []int{1}}, "T,5,6,3 | 7,2,2,3 -", "(C4)"},
		{ConvTranspose{Extra: []int{1, 0}}, "T,5,6,3 | 7,2,2,3 -", "(C5)"},
		{Pool{Func: "max", Kernel: []int{3, 3}, Window: Window{Stride: []int{2, 2}}, Ceil: true}, "T,6,7,3", "f32 [T, 3, 3, 3]"},
		{Pool{Func: "max", Kernel: []int{3}}, "T,2,3", "(C3)"},
		{Pool{Func: "max"}, "T,6,7,3", "(C1)"},
		{Pool{Func: "max", Kernel: []int{0, 3}}, "T,6,7,3", "(C2)"},
		{Pool{Func: "sum", Kernel: []int{3, 3}}, "T,6,7,3", "(C4)"},
		{Pool{Func: "max", Kernel: []int{3, 3}, Padded: true}, "T,6,7,3", "(C5)"},
		{AdaptivePool{Func: "mean", Size: []int{1, 9}}, "T,6,7,3", "f32 [T, 1, 9, 3]"},
		{AdaptivePool{Func: "mean", Size: []int{1, 9}}, "T,3", "(C1)"},
		{AdaptivePool{Func: "mean", Size: []int{1, 0}}, "T,6,7,3", "(C2)"},
		{AdaptivePool{Func: "min", Size: []int{1, 1}}, "T,6,7,3", "(C3)"},
		{BatchNorm{Eps: 1e-5}, "T,6,3 | 3 3 - 3", "f32 [T, 6, 3]"},
		{BatchNorm{}, "T | 3 3 - 3", "(C1)"},
		{BatchNorm{}, "T,3 | 3 3 - 4", "(C2)"},
		{BatchNorm{Eps: -1}, "T,3 | 3 3 - -", "(C3)"},
		{GroupNorm{Groups: 2}, "T,5,6 | 6 6", "f32 [T, 5, 6]"},
		{GroupNorm{Groups: 2}, "6 | 6 6", "(C1)"},
		{GroupNorm{Groups: 4}, "T,5,6 | 6 6", "(C2)"},
		{GroupNorm{Groups: 2}, "T,5,6 | 6 5", "(C3)"},
		{GroupNorm{Groups: 2, Eps: -1}, "T,5,6 | - -", "(C4)"},
		{Pad{Pad: []int{1, 2, 0, 0}, Mode: "reflect"}, "T,5,6", "f32 [T, 8, 6]"},
		{Pad{Pad: []int{1, 2, 0, 0, 0, 0}, Mode: "constant"}, "T,5,6", "(C1)"},
		{Pad{Pad: []int{1, 2}, Mode: "wrap"}, "T,5,6", "(C2)"},
		{Pad{Pad: []int{1, 2}, Mode: "edge", Value: 1}, "T,5,6", "(C3)"},
		{Pad{Pad: []int{-1, 2}, Mode: "constant"}, "T,5,6", "(C4)"},
		{Resize{Mode: "linear", Size: []int{4, 2}}, "T,5,6,3", "f32 [T, 4, 2, 3]"},
		{Resize{Mode: "linear", Size: []int{4, 2}}, "5,6,3", "f32 [4, 2, 3]"},
		{Resize{Mode: "linear"}, "T,6,3", "(C1)"},
		{Resize{Mode: "linear", Size: []int{0}}, "T,6,3", "(C2)"},
		{Resize{Mode: "lanczos", Size: []int{4}}, "T,6,3", "(C3)"},
		{Resize{Mode: "nearest", Size: []int{4}, Corners: true}, "T,6,3", "(C4)"},
		{MatMul{}, "T,5,6 T,7,6", "f32 [T, 5, 7]"},
		{MatMul{}, "T,6 T,6", "(C1)"},
		{MatMul{}, "T,5,6 T,7,5", "(C2)"},
		{Unary{Func: "elu", Alpha: &scalar}, "T,8", "f32 [T, 8]"},
		{Unary{Func: "elu"}, "T,8", "(C3)"},
		{LayerNorm{Eps: 1e-5}, "T,8 | 8 8", "f32 [T, 8]"},
		{LayerNorm{}, "T,2,8 | 8 -", "f32 [T, 2, 8]"},
		{LayerNorm{}, "T,8 | - -", "f32 [T, 8]"},
		{LayerNorm{}, "T | - -", "(C1)"},
		{LayerNorm{}, "T,8 | 8 7", "(C2): bias"},
		{LayerNorm{Eps: -1}, "T,8 | - -", "(C3)"},
		{Unary{Func: "relu2"}, "T,8", "f32 [T, 8]"},
		{Binary{Func: "sub"}, "T,3,8 8", "f32 [T, 3, 8]"},
		{Binary{Func: "sub"}, "T,3,1 T,1,5", "f32 [T, 3, 5]"},
		{Binary{Func: "sub"}, "T,8 S,8", "(C1)"},
		{Binary{Func: "sub"}, "T,8 iT,8", "(C1)"},
		{Binary{Func: "div", Scalar: &scalar}, "T,8", "f32 [T, 8]"},
		{Binary{Func: "div", Scalar: &scalar}, "T,8 T,8", "takes 1 inputs"},
		{Softmax{}, "T,8", "f32 [T, 8]"},
		{Softmax{}, "iT,8", "(C1)"},
		{TopK{K: 3}, "T,8", "f32 [T, 3], i32 [T, 3]"},
		{TopK{K: 9}, "T,8", "(C2)"},
		{TopK{K: 1}, "T", "(C1)"},
		{Take{}, "T,8 iT,3", "f32 [T, 3]"},
		{Take{}, "T iT,3", "(C1)"},
		{Take{}, "T,8 T,3", "(C2)"},
		{Take{}, "T,8 iS,3", "(C2)"},
		{OneHot{N: 5}, "iT,3", "f32 [T, 5]"},
		{OneHot{N: 5}, "T,3", "(C1)"},
		{OneHot{}, "iT,3", "(C2)"},
		{ExpertLinear{Experts: 2}, "T,8 iT,3 | 5,8 5,8", "f32 [T, 3, 5]"},
		{ExpertLinear{Experts: 2, Bias: true}, "T,3,8 iT,3 | 5,8 5,8 5 5", "f32 [T, 3, 5]"},
		{ExpertLinear{Experts: 2}, "T iT,3 | 5,8 5,8", "(C1)"},
		{ExpertLinear{Experts: 2}, "T,4,8 iT,3 | 5,8 5,8", "(C2)"},
		{ExpertLinear{Experts: 2}, "T,8 T,3 | 5,8 5,8", "(C2)"},
		{ExpertLinear{}, "T,8 iT,3", "(C3)"},
		{ExpertLinear{Experts: -5}, "T,8 iT,3", "(C3)"},
		{ExpertLinear{Experts: 2}, "T,8 iT,3 | 5,8 6,8", "(C4)"},
		{ExpertLinear{Experts: 2}, "T,8 iT,3 | 5 5,8", "(C4)"},
		{ExpertLinear{Experts: 2, Bias: true}, "T,8 iT,3 | 5,8 5,8 5 8", "(C5)"},
		{WeightedSum{}, "T,3,8 T,3", "f32 [T, 8]"},
		{WeightedSum{}, "T,8 T", "(C1)"},
		{WeightedSum{}, "T,3,8 T,8", "(C2)"},
		{Concat{Axis: 1}, "T,8 T,3 T,1", "f32 [T, 12]"},
		{Concat{Axis: 1}, "1,4 T,3,4", "f32 [T, 4, 4]"},
		{Concat{Axis: 0}, "T,8 T,8", "(C1)"},
		{Concat{Axis: 2}, "T,8", "(C1)"},
		{Concat{Axis: 1}, "T,8 S,3", "(C2)"},
		{Concat{Axis: 1}, "T,8 iT,3", "(C2)"},
		{Concat{Axis: 2}, "T,2,8 T,8", "(C2)"},
		{Slice{Axis: 1, From: 1, To: 8, Step: 3}, "T,8", "f32 [T, 3]"},
		{Slice{Axis: 1, To: 8}, "T,8", "f32 [T, 8]"},
		{Slice{Axis: 1, To: 8}, "iT,8", "(C1)"},
		{Slice{Axis: 0, To: 8}, "T,8", "(C2)"},
		{Slice{Axis: 1, From: 8, To: 8}, "T,8", "(C3)"},
		{Slice{Axis: 1, From: 1, To: 9}, "T,8", "(C3)"},
		{Slice{Axis: 1, To: 8, Step: -1}, "T,8", "(C3)"},
		{Reshape{Shape: []Dim{-1, 2, 4}}, "T,8", "f32 [T, 2, 4]"},
		{Reshape{Shape: []Dim{2, 4}}, "8", "f32 [2, 4]"},
		{Reshape{Shape: []Dim{-1, 8}}, "iT,8", "i32 [T, 8]"},
		{Reshape{Shape: []Dim{8, -1}}, "T,8", "(C1)"},
		{Reshape{}, "T,8", "(C1)"},
		{Reshape{Shape: []Dim{-2, 8}}, "T,8", "(C2)"},
		{Reshape{Shape: []Dim{-1, 7}}, "T,8", "(C2)"},
		{Reshape{Shape: []Dim{8}}, "T,8", "(C2)"},
		{Transpose{Perm: []int{0, 2, 1}}, "T,8,3", "f32 [T, 3, 8]"},
		{Transpose{Perm: []int{0, 2, 1}}, "iT,8,3", "(C1)"},
		{Transpose{Perm: []int{1, 0}}, "T,8", "(C2)"},
		{Transpose{Perm: []int{0, 1, 1}}, "T,8,3", "(C2)"},
		{Transpose{Perm: []int{0, 1}}, "T,8,3", "(C2)"},
		{Transpose{}, "T,8,3", "(C2)"},
		{Constant{}, "| 2,3", "f32 [2, 3]"},
		{Reduce{Func: "mean", Axis: 1}, "T,8,3", "f32 [T, 1, 3]"},
		{Reduce{Func: "mean", Axis: 1}, "iT,8", "(C1)"},
		{Reduce{Func: "mean", Axis: 0}, "T,8", "(C2)"},
		{Reduce{Func: "prod", Axis: 1}, "T,8", "(C3)"},

		{attn(func(a *Attention) {}), "T,8 T,4 T,4 iT", "f32 [T, 8]"},
		{attn(func(a *Attention) {}), "T,8 T,4 T,4", "(C4)"},
		{attn(func(a *Attention) {}), "T,8 T,4 T,4 iT iT", "(C12)"},
		{attn(func(a *Attention) {}), "T,5,8 T,7,4 T,7,4", "f32 [T, 5, 8]"},
		{attn(func(a *Attention) {}), "2,3,5,8 2,3,7,4 2,3,7,4", "f32 [2, 3, 5, 8]"},
		{attn(func(a *Attention) {}), "T,5,8 T,7,4 T,6,4", "(C3)"},
		{attn(func(a *Attention) {}), "T,5,8 S,7,4 S,7,4", "(C3)"},
		{attn(func(a *Attention) {}), "T,0,8 T,7,4 T,7,4", "(C2)"},
		{attn(func(a *Attention) {}), "T,5,8 T,0,4 T,0,4", "(C3)"},
		{attn(func(a *Attention) { a.Mask.Window = 2 }), "T,5,8 T,5,4 T,5,4", "f32 [T, 5, 8]"},
		{attn(func(a *Attention) { a.Mask.Window = 2 }), "T,5,8 T,7,4 T,7,4", "(C6)"},
		{attn(func(a *Attention) { a.Mask.Kind = "causal" }), "T,5,8 T,7,4 T,7,4", "(C6)"},
		{attn(func(a *Attention) { a.Mask.Kind = "causal"; a.Cache = "c" }), "T,5,8 T,5,4 T,5,4", "(C7)"},
		{attn(func(a *Attention) { a.Softcap = -1 }), "T,8 T,4 T,4 iT", "(C8)"},
		{attn(func(a *Attention) { a.Slopes = []float64{1, 0.5} }), "T,8 T,4 T,4 iT", "f32 [T, 8]"},
		{attn(func(a *Attention) { a.Slopes = []float64{1} }), "T,8 T,4 T,4 iT", "(C9)"},
		{attn(func(a *Attention) { a.Slopes = []float64{1, 0.1} }), "T,8 T,4 T,4 iT", "(C9)"},
		{attn(func(a *Attention) { a.Sinks = true }), "T,8 T,4 T,4 iT | 2", "f32 [T, 8]"},
		{attn(func(a *Attention) { a.Sinks = true }), "T,8 T,4 T,4 iT | 3", "(C10)"},
		{attn(func(a *Attention) { a.Sinks, a.Relative = true, []int{0, 2, 1} }), "T,8 T,4 T,4 iT | 2 3,2", "f32 [T, 8]"},
		{attn(func(a *Attention) { a.Relative = []int{0, 3, 1} }), "T,8 T,4 T,4 iT | 3,2", "(C11)"},
		{attn(func(a *Attention) { a.Relative = []int{0, 1} }), "T,8 T,4 T,4 iT | 3,2", "(C11)"},
		{attn(func(a *Attention) { a.Relative = []int{0} }), "T,8 T,4 T,4 iT | 3,3", "(C11)"},
		{attn(func(a *Attention) { a.Bias = true }), "T,5,8 T,7,4 T,7,4 2,5,7", "f32 [T, 5, 8]"},
		{attn(func(a *Attention) { a.Bias = true }), "T,5,8 T,7,4 T,7,4 T,1,1,7", "f32 [T, 5, 8]"},
		{attn(func(a *Attention) { a.Bias = true }), "T,5,8 T,7,4 T,7,4 5,5,7", "(C12)"},
		{attn(func(a *Attention) { a.Bias = true }), "T,5,8 T,7,4 T,7,4", "(C12)"},
		{attn(func(a *Attention) { a.Bias = true }), "T,8 T,4 T,4 iT 2,5,5", "(C12)"},
	} {
		what := fmt.Sprintf("%T%+v of %s", c.op, c.op, c.operands)
		if got := infer(c.op, c.operands); got != c.want && !strings.Contains(got, c.op.Kind()+" "+c.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", what, got, c.want)
		}
	}
}

// infer is the shape of what op makes of operands, or its error.
func infer(op Op, operands string) string {
	b := NewBuilder()
	symbols := map[string]Dim{"T": b.Symbol("T"), "S": b.Symbol("S")}
	ins, pars, _ := strings.Cut(operands, "|")
	extents := func(s string) (shape []Dim, n []int) {
		for _, d := range strings.Split(s, ",") {
			x, ok := symbols[d]
			if !ok {
				fmt.Sscan(d, &x)
			}
			shape, n = append(shape, x), append(n, int(x))
		}
		return shape, n
	}
	var in, params []string
	for i, s := range strings.Fields(ins) {
		dtype := Float
		if s[0] == 'i' {
			dtype, s = Int, s[1:]
		}
		shape, _ := extents(s)
		in = append(in, b.Input(fmt.Sprint("x", i), dtype, shape...))
	}
	for i, s := range strings.Fields(pars) {
		if s == "-" {
			params = append(params, "")
			continue
		}
		_, shape := extents(s)
		params = append(params, b.Param(fmt.Sprint("p", i), shape...))
	}
	out := []string{"y", "z"}
	if _, ok := op.(TopK); !ok {
		out = out[:1]
	}
	b.Nodes("node", op, in, params, out...)
	b.Output("y", "y")
	g, err := b.Graph()
	if err != nil {
		return err.Error()
	}
	data, err := Marshal(g)
	if err != nil {
		return err.Error()
	}
	if g, err = Unmarshal(data); err != nil {
		return err.Error()
	}
	var s []string
	for _, v := range g.Values {
		s = append(s, string(v.DType)+" "+g.ShapeString(v.Shape))
	}
	return strings.Join(s, ", ")
}

// TestLinears: the matrices of a node, with their biases and inputs.
func TestLinears(t *testing.T) {
	for _, c := range []struct {
		node Node
		want string
	}{
		{Node{Op: Linear{}, In: []string{"x"}, Params: []string{"w", ""}}, "[{w  x false}]"},
		{Node{Op: ExpertLinear{Experts: 2, Bias: true}, In: []string{"x", "i"}, Params: []string{"w0", "w1", "b0", "b1"}}, "[{w0 b0 x true} {w1 b1 x true}]"},
		{Node{Op: Embedding{}, In: []string{"ids"}, Params: []string{"table"}}, "[]"},
	} {
		if got := fmt.Sprint(c.node.Linears()); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
