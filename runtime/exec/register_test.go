package exec_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/linear"
	"qpt/runtime/exec"
	"qpt/runtime/ref"
)

// Swing is an op of this test alone: y = Factor * x + w, the row turned round. All that tells it is here.
type Swing struct {
	Factor float64 `json:"factor"`
}

func (Swing) Kind() string       { return "swing" }
func (Swing) Arity() graph.Arity { return graph.Arity{In: 1, Params: 1} }
func (Swing) Infer(o *graph.Operands) ([]graph.Value, error) {
	if d := o.Features(0); d == 0 || !slices.Equal(o.Params[0].Shape, []int{d}) {
		return o.Fail("C1", "x is %s, w %v", o.Show(0), o.Params[0].Shape)
	}
	return graph.Result(graph.Float, o.In[0].Shape...)
}

func (op Swing) row(y, x, w []float32) {
	for i, v := range x {
		y[len(y)-1-i] = float32(float32(op.Factor)*v) + w[i]
	}
}

func init() {
	graph.Register[Swing]()
	ref.Register(func(c *ref.Call, op Swing) error {
		w, err := c.Param(0)
		if err == nil {
			c.EachRow(func(s, i int) { op.row(c.Out[0][s].Row(i), c.In[0][s].Row(i), w) })
		}
		return err
	})
	exec.Register("swing", func(n *graph.Node, w exec.Weights) (func(r *exec.Row), error) {
		v, err := w.Vector(n.Params[0])
		op := n.Op.(Swing)
		return func(r *exec.Row) { op.row(r.Dst, r.In(0), v) }, err
	})
}

// constants are the params of the test's graph, float32 in both executors.
type constants map[string][]float32

func (c constants) ReadRows(name string, r0, r1 int, dst []float32) error {
	copy(dst, c[name][r0*len(dst)/(r1-r0):])
	return nil
}
func (c constants) Vector(name string) ([]float32, error)           { return c[name], nil }
func (c constants) Static(string) (scale float32, z int32, e error) { return 1, 0, nil }
func (c constants) Stored(string) (scale float32, z int32, ok bool) { return 0, 0, false }
func (c constants) Linear(name, _ string) (exec.Layer, error) {
	w := linear.NewWeight(linear.F32, 5, 7, 0)
	w.PutFloatRows(0, c[name], 5)
	w.Bias = make([]float32, num.Pad(5, 16))
	return exec.Layer{Weight: w, Form: linear.AF32}, nil
}

// TestForeignOp: an op that is told in one place is stored, printed, verified and run by both executors.
func TestForeignOp(t *testing.T) {
	c := constants{"w": nil, "m": nil}
	for i := range 7 {
		c["w"] = append(c["w"], float32(i)-2.5)
	}
	for i := range 35 {
		c["m"] = append(c["m"], float32(i%11)/8-0.5)
	}
	b := graph.NewBuilder()
	x := b.Input("x", graph.Float, b.Symbol("T"), 7)
	h := b.Node("swing", Swing{Factor: 1.5}, []string{b.Node("act", graph.Unary{Func: "relu"}, []string{x})}, b.Param("w", 7))
	b.Output("y", b.Binary("sum", "add", b.Linear("fc", h, b.Param("m", 5, 7), ""), b.Linear("again", h, "m", "")))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	data, err := graph.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = graph.Unmarshal(data); err != nil {
		t.Fatal(err)
	}
	var dump bytes.Buffer
	if err := g.Dump(&dump); err != nil || !strings.Contains(dump.String(), "%swing [T, 7] = swing(%act) factor=1.5 {w [7]}\n") {
		t.Errorf("%v\n%s", err, &dump)
	}
	in := graph.Tensor{Shape: []int{3, 7}}
	for i := range 21 {
		in.F = append(in.F, float32(math.Sin(float64(i))))
	}
	batch := &graph.Batch{Parts: []graph.Part{{N: 2}, {N: 1}}, Inputs: map[string]graph.Tensor{"x": in}}
	want, err := ref.Run(t.Context(), g, c, batch, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, noFuse := range []bool{false, true} {
		p, err := exec.Compile(g, c, exec.Options{NoFuse: noFuse})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Run(t.Context(), exec.NewWorkspace(2), batch)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range want[0].F {
			if d := got[0].F[i] - v; !(d*d < 1e-10) {
				t.Errorf("fused %v: value %d is %v, want %v", !noFuse, i, got[0].F[i], v)
			}
		}
	}
}
