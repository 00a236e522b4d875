package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"qpt/convert/safetensors"
	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/exec"
	"qpt/runtime/ref"
)

// integers holds the file's integer layers against their definition: the FP32 executor runs a text on the file's own weights, and of every
// layer of int8 or 16-bit activations the fast executor's results on the same inputs must be, bit for bit, the sums of N3.5 taken plainly. It
// returns how many layers that were.
func integers(m *runtime.Model, g *safetensors.Checkpoint) (layers int, err error) {
	p, err := exec.Compile(m.Graph, m, exec.Options{NoFuse: true})
	if err != nil {
		return 0, err
	}
	in := inputs(g, "p1.")
	if longer := inputs(g, "p2."); longer != nil {
		in = longer
	}
	b := &graph.Batch{Inputs: inputs(g, "")}
	if b.Inputs == nil {
		b = ref.Texts(m.Graph, ref.Seq{IDs: in["input_ids"].I})
	}
	if types, ok := in["token_type_ids"]; ok {
		b.Inputs["token_type_ids"] = types
	}
	index, values := map[string]int{}, m.Graph.ValueMap()
	for i := range m.Graph.Nodes {
		index[m.Graph.Nodes[i].Name] = i
	}
	err = m.Exclusive(context.Background(), func(ws *exec.Workspace) error {
		trace, err := p.Trace(ws, b)
		if err != nil {
			return err
		}
		var wrong error
		tap := func(n *graph.Node, _ int, in []graph.Tensor, out graph.Tensor) {
			if wrong != nil {
				return
			}
			args := make([][]float32, len(in))
			for i, x := range in {
				args[i] = x.F
			}
			// Nodes that choose experts run on the same inputs too: the choices are those of in.
			got := trace.Local(index[n.Name], args)
			if len(n.In) == 0 || !slices.ContainsFunc(values[n.In[0]].Shape, func(d graph.Dim) bool { return d < 0 }) { // what depends on params alone is computed before
				return
			}
			is := false
			if is, wrong = same(m, n, in, got); is {
				layers++
			}
		}
		if _, err := ref.Run(context.Background(), m.Graph, stored{m}, b, ref.Options{Dot: linear.MatMul(), Tap: tap}); err != nil {
			return err
		}
		return wrong
	})
	return layers, err
}

// same compares what the fast executor made of a node's inputs with N3.5, if the node is an integer layer.
func same(m *runtime.Model, n *graph.Node, in []graph.Tensor, got []float32) (is bool, err error) {
	list := n.Linears()
	if _, patches := n.Op.(graph.Conv); len(list) == 0 || patches {
		return false, nil
	}
	x, each := in[0], 1
	expert, experts := n.Op.(graph.ExpertLinear)
	var idx []int32
	if len(in) > 1 {
		idx = in[1].I
	}
	first, err := m.Linear(list[0].Weight, list[0].Bias)
	if err != nil {
		return false, err
	}
	width := first.Weight.N
	rows := len(got) / width
	if experts {
		each = rows / x.Rows()
	}
	for i := range rows {
		of := list[0]
		if experts {
			of = list[expert.Of(idx, i)]
		}
		l, err := m.Linear(of.Weight, of.Bias)
		if err != nil {
			return false, err
		}
		if l.Form != linear.A8 && l.Form != linear.A16 || l.Static || l.Weight.Format == linear.Codes {
			return false, nil
		}
		want := plain(l, x.Row(i/each))
		for j, w := range want {
			if y := got[i*width+j]; math.Float32bits(y) != math.Float32bits(w) {
				return true, fmt.Errorf("integers: row %d, output %d of %s is %v, the sum is %v", i, j, n.Name, y, w)
			}
		}
	}
	return true, nil
}

// plain is N3.1 to N3.5, or with wild columns N3.7, of one row.
func plain(l exec.Layer, x []float32) []float32 {
	w := l.Weight
	most := float32(127)
	if l.Form == linear.A16 {
		most = 32767
	}
	var top float32
	for _, v := range x {
		top = max(top, float32(math.Abs(float64(v))))
	}
	var scale, inv float32
	if top >= 1e-30 {
		scale, inv = top/most, most/top
	}
	q := make([]int64, len(x))
	if w.Wild != nil {
		var hi, lo float32
		for k, v := range x {
			if !slices.Contains(w.Wild, int32(k)) {
				hi, lo = max(hi, v), min(lo, v)
			}
		}
		if scale, inv = 0, 0; hi-lo >= 1e-30 {
			scale, inv = (hi-lo)/255, 255/(hi-lo)
		}
		z := math.RoundToEven(float64(float32(-lo * inv)))
		for k, v := range x {
			q[k] = int64(min(max(math.RoundToEven(float64(float32(v*inv))), -z), 255-z))
		}
	} else {
		for k, v := range x {
			q[k] = int64(math.RoundToEven(float64(float32(v * inv))))
		}
	}
	codes := make([]int8, w.K)
	y := make([]float32, w.N)
	for j := range y {
		linear.Row(w, j, codes)
		var sum int64
		for k, c := range codes {
			sum += q[k] * int64(c)
		}
		f := float32(float32(sum) * scale)
		y[j] = float32(f * w.Scale[j])
		var bias float32
		if w.Bias != nil {
			bias = w.Bias[j]
		}
		for i, k := range w.Wild {
			bias = num.FMA32(x[k], w.WildData[(j/16*len(w.Wild)+i)*16+j%16], bias)
		}
		if w.Bias != nil || w.Wild != nil {
			y[j] += bias
		}
	}
	return y
}

// stored reads the file's weights as floats.
type stored struct{ m *runtime.Model }

// ReadRows implements graph.Source.
func (s stored) ReadRows(name string, r0, r1 int, dst []float32) error {
	if t := s.m.Tensor(name); t != nil && len(t.Shape) == 2 {
		if l, err := s.m.Linear(name, ""); err == nil {
			for r := r0; r < r1; r++ {
				linear.EmbedRow(dst[(r-r0)*l.Weight.K:][:l.Weight.K], l.Weight, r)
			}
			return nil
		}
	}
	v, err := s.m.Vector(name)
	if err != nil {
		return err
	}
	width := len(dst) / (r1 - r0) // a vector is one row
	copy(dst, v[r0*width:])
	return nil
}
