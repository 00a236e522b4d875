package exec

import "qpt/format/graph"

// other adds one or a few nodes of the ops that Llama lacks to a random graph; w, of width 16, is another value if ok. The result has a
// width that the other ops know, or no name if v does not fit.
func (b *builder) other(name string, v, w operand, ok bool) operand {
	out := v
	lead := b.t
	if v.rows {
		lead = b.r
	}
	width := graph.Dim(v.width)
	unary := func(name, f, x string) string { return b.Node(name, graph.Unary{Func: f}, []string{x}) }
	constant := func(name string, shape ...int) string {
		return b.Node(name, graph.Constant{}, nil, b.param(name+".w", 0.5, shape...))
	}
	switch b.rng.IntN(14) {
	case 0:
		bias := ""
		if b.rng.IntN(2) == 0 {
			bias = b.param(name+"b.w", 0.5, v.width)
		}
		out.name = b.Node(name, graph.LayerNorm{Eps: 1e-5}, []string{v.name}, b.param(name+".w", 0.5, v.width), bias)
	case 1:
		out.name = b.Scalar(name, []string{"add", "sub", "mul", "div", "max", "min"}[b.rng.IntN(6)], v.name, 0.75)
	case 2: // a row or a number for all
		c := constant(name+"c", []int{v.width, 1}[b.rng.IntN(2)])
		in := []string{v.name, c}
		if b.rng.IntN(2) == 0 {
			in[0], in[1] = in[1], in[0]
		}
		out.name = b.Binary(name, []string{"add", "sub", "mul", "max"}[b.rng.IntN(4)], in[0], in[1])
	case 3: // a number for each row
		out.name = b.Binary(name, "mul", v.name, unary(name+"g", "sigmoid", b.linear(name+"l", v.name, 1, v.width)))
	case 4:
		if v.width == 16 {
			return operand{}
		}
		out.width = 16
		op := graph.Slice{Axis: 1, From: v.width - 16, To: v.width}
		if v.width == 32 && b.rng.IntN(2) == 0 {
			op = graph.Slice{Axis: 1, From: 1, To: 32, Step: 2}
		}
		out.name = b.Node(name, op, []string{v.name})
	case 5:
		if !ok || v.width != 16 {
			return operand{}
		}
		out.width = 32
		out.name = b.Node(name, graph.Concat{Axis: 1}, []string{v.name, w.name})
	case 6: // each head apart
		if v.width == 43 {
			return operand{}
		}
		h := b.Node(name+"h", graph.Reshape{Shape: []graph.Dim{lead, width / 8, 8}}, []string{v.name})
		h = b.norm(name+"n", h, 8)
		if b.rng.IntN(2) == 0 {
			h = b.Binary(name+"s", "add", h, constant(name+"c", v.width/8, 8))
		}
		out.name = b.Node(name, graph.Reshape{Shape: []graph.Dim{lead, width}}, []string{h})
	case 7:
		if v.width == 43 {
			return operand{}
		}
		h := b.Node(name+"h", graph.Reshape{Shape: []graph.Dim{lead, 4, width / 4}}, []string{v.name})
		h = b.Node(name+"t", graph.Transpose{Perm: []int{0, 2, 1}}, []string{h})
		out.name = b.Node(name, graph.Reshape{Shape: []graph.Dim{lead, width}}, []string{h})
	case 8:
		out.name = b.Node(name, graph.Softmax{}, []string{v.name})
	case 9:
		out.name = unary(name, []string{"quick_gelu", "relu2", "sigmoid", "tanh", "neg"}[b.rng.IntN(5)], v.name)
	case 10: // a mixture
		const e, k, f = 5, 2, 24
		p := b.Node(name+"p", graph.Softmax{}, []string{b.linear(name+"l", v.name, e, v.width)})
		top, idx := name+"t", name+"i"
		b.Nodes(top, graph.TopK{K: k}, []string{p}, nil, top, idx)
		if b.rng.IntN(2) == 0 {
			top = b.Binary(name+"d", "div", top, b.Node(name+"r", graph.Reduce{Func: "sum", Axis: 1}, []string{top}))
		}
		experts := func(what string, n, k int, x string) string {
			op := graph.ExpertLinear{Experts: e, Bias: b.rng.IntN(2) == 0}
			var params []string
			for i := range e {
				params = append(params, b.param(name+what+string(rune('0'+i))+".w", 0.2, n, k))
			}
			for i := 0; op.Bias && i < e; i++ {
				params = append(params, b.param(name+what+string(rune('0'+i))+".b", 0.2, n))
			}
			return b.Node(name+what, op, []string{x, idx}, params...)
		}
		y := experts("down", v.width, f, unary(name+"a", "silu", experts("up", f, v.width, v.name)))
		out.name = b.Node(name, graph.WeightedSum{}, []string{y, top})
	case 11: // the same for every sequence
		out.name = b.Binary(name, "add", v.name, b.linear(name+"l", constant(name+"c", 1, 16), v.width, 16))
	case 12:
		if v.rows || v.width != 32 {
			return operand{}
		}
		k := b.linear(name+"k", v.name, 16, 32)
		op := graph.Attention{Heads: 4, KVHeads: 2, HeadDim: 8, Scale: 0.35, Cache: name, Mask: graph.Mask{Kind: "causal", Window: []int{0, 5}[b.rng.IntN(2)]}}
		var params []string
		if b.rng.IntN(2) == 0 {
			op.Softcap = 2
		}
		if b.rng.IntN(2) == 0 {
			op.Slopes = []float64{0.5, 0.25, 0.125, 0.0625}
		}
		if b.rng.IntN(2) == 0 {
			op.Sinks = true
			params = append(params, b.param(name+"s.w", 1, 4))
		}
		if b.rng.IntN(2) == 0 {
			op.Relative = []int{0, 1, 3, 2, 2}
			params = append(params, b.param(name+"r.w", 1, 4, 4))
		}
		out.name = b.Node(name, op, []string{v.name, k, k, b.pos}, params...)
	case 13:
		if v.rows {
			return operand{}
		}
		out.name = b.latent(name, v.name, v.width, 3, []int{24, 9}[b.rng.IntN(2)])
	}
	return out
}
