package rewrite

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"qpt/convert/hf"
	"qpt/convert/safetensors"
	"qpt/convert/safetensors/sttest"
	"qpt/format/graph"
	"qpt/runtime/ref"
)

func load(t *testing.T, dir string) (*graph.Graph, graph.Source) {
	t.Helper()
	m, err := hf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := sttest.Open(t, dir)
	return m.Graph, source{c.Checkpoint}
}

type source struct{ c *safetensors.Checkpoint }

func (s source) ReadRows(name string, r0, r1 int, dst []float32) error {
	return s.c.ReadRows(name, r0, r1, dst)
}

// The turned model computes the same logits within float rounding: plain, tied, grouped heads, biases.
// Its values are the original's turned as the record says, and what that does not name is the same. Left out
// at one place, the rotation shows.
func TestRotateKeepsTheFunction(t *testing.T) {
	for _, name := range []string{"stories260K", "llama-variants/dynamic-tied", "llama-variants/linear-mha", "llama-variants/llama3-bias-untied"} {
		g, src := load(t, "../../testdata/"+name)
		m, err := Rotate(g, src, 3)
		if err != nil {
			t.Fatal(err)
		}
		tied := g.Nodes[0].Params[0] == g.Nodes[len(g.Nodes)-1].Params[0]
		copies := len(m.Record.Params)
		if (m.CopyOf("lm_head.weight") != "") != tied || len(m.Notes) != copies || len(m.Graph.Params) != len(g.Params)+copies {
			t.Errorf("%s: copies %v, notes %v", name, m.Record.Params, m.Notes)
		}
		ids := make([]int32, 40)
		for i := range ids {
			ids[i] = int32(i*37+1) % int32(g.ParamMap()[g.Nodes[0].Params[0]].Shape[0])
		}
		run := func(g *graph.Graph, src graph.Source) map[string][]float32 {
			values := map[string][]float32{}
			tap := func(n *graph.Node, _ int, _ []graph.Tensor, out graph.Tensor) { values[n.Out[0]] = slices.Clone(out.F) }
			if _, err := ref.Logits(context.Background(), g, src, []ref.Seq{{IDs: ids}}, ref.Options{Tap: tap, Threads: 2}); err != nil {
				t.Fatal(err)
			}
			return values
		}
		want, got := run(g, src), run(m.Graph, m)
		sqnr := func(x, y []float32) float64 {
			var xx, dd float64
			for i, v := range x {
				xx += float64(v) * float64(v)
				dd += float64(v-y[i]) * float64(v-y[i])
			}
			return 10 * math.Log10(xx/dd)
		}
		if d := sqnr(want["logits"], got["logits"]); d < 100 {
			t.Errorf("%s: SQNR of the logits %.1f dB", name, d)
		}
		// The record makes the same model of the original again, and translates its values.
		rec := m.Record
		again, err := Replay(m.Graph, rec, src)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Original(m.Graph, rec)
		if err == nil {
			back.Hidden = g.Hidden // which are turned
		}
		if err != nil || !reflect.DeepEqual(back, g) {
			t.Errorf("%s: the original's graph is another: %v", name, err)
		}
		for value, x := range want {
			y := got[value]
			turned := again.Turned(value)
			if d := sqnr(x, y); turned && m.values[value].Rotation.Block > 1 && d > 20 {
				t.Errorf("%s: value %s is not turned: %.1f dB", name, value, d)
			}
			if d := sqnr(x, again.From(value, y)); d < 80 {
				t.Errorf("%s: value %s: %.1f dB", name, value, d)
			}
			if d := sqnr(y, again.To(value, x)); d < 80 {
				t.Errorf("%s: value %s, turned: %.1f dB", name, value, d)
			}
		}
		if layers := (len(g.Nodes) - 4) / 16; len(rec.Values) < 8*layers {
			t.Errorf("%s: %d values of %d turned", name, len(rec.Values), len(want))
		}
		for _, p := range m.Graph.Params {
			n := 1
			for _, d := range p.Shape {
				n *= d
			}
			rows := 1
			if len(p.Shape) > 1 {
				rows = p.Shape[0]
			}
			a, b := make([]float32, n), make([]float32, n)
			if err := errors.Join(m.ReadRows(p.Name, 0, rows, a), again.ReadRows(p.Name, 0, rows, b)); err != nil || !slices.Equal(a, b) {
				t.Errorf("%s: parameter %s replayed is another: %v", name, p.Name, err)
			}
		}
		delete(m.params, "model.layers.0.mlp.down_proj.weight")
		if d := sqnr(want["logits"], run(m.Graph, m)["logits"]); d > 30 {
			t.Errorf("%s: a matrix not turned goes unnoticed: %.1f dB", name, d)
		}
	}
}

// What rotation cannot follow is an error by the node's name; heads that it cannot turn are noted.
func TestRotateRefuses(t *testing.T) {
	g, src := load(t, "../../testdata/stories260K")
	at := func(g *graph.Graph, name string) *graph.Node {
		return &g.Nodes[slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return n.Name == name })]
	}
	for _, c := range []struct {
		change func(g *graph.Graph)
		want   string
	}{
		{func(g *graph.Graph) { at(g, "model.layers.1.attn_residual").Op = graph.Binary{Func: "mul"} }, "node model.layers.1.attn_residual (mul)"},
		{func(g *graph.Graph) {
			at(g, "model.layers.2.mlp.act_fn").In = []string{at(g, "model.layers.2.post_attention_layernorm").Out[0]}
		}, "node model.layers.2.mlp.act_fn (unary) reads norm model.layers.2.post_attention_layernorm"},
		{func(g *graph.Graph) {
			at(g, "model.layers.2.mlp.act_fn").In = []string{at(g, "model.layers.2.attn_residual").Out[0]}
		}, "node model.layers.2.mlp.act_fn (unary) reads the residual stream"},
		{func(g *graph.Graph) { g.Outputs = []string{at(g, "gather").Out[0]} }, "is a result of the model"},
		{func(g *graph.Graph) {
			at(g, "model.layers.0.mlp.up_proj").Params = at(g, "model.layers.0.mlp.gate_proj").Params
		}, `model.layers.0.mlp.gate_proj and model.layers.0.mlp.up_proj share the parameter`},
		{func(g *graph.Graph) { g.Nodes = g.Nodes[1:] }, "no embedding"},
	} {
		x := *g
		x.Nodes, x.Outputs = slices.Clone(g.Nodes), slices.Clone(g.Outputs)
		c.change(&x)
		if _, err := Rotate(&x, src, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	x := *g
	x.Nodes = slices.Clone(g.Nodes)
	a := at(&x, "model.layers.0.self_attn")
	a.In = []string{a.In[0], a.In[1], a.In[1], a.In[3]}
	_, notes, err := find(&x, 0)
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "the values of model.layers.0.self_attn stay as they are: they come from no linear layer") {
		t.Errorf("%v, %v", notes, err)
	}
}
