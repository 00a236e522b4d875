package graph_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "qpt/format/graph"
)

// tiny is one attention block with every op: hidden 8, two heads of 4, one key head.
func tiny(t testing.TB) *Graph {
	t.Helper()
	b := NewBuilder()
	n, r := b.Symbol("T"), b.Symbol("R")
	ids, pos, rows := b.Input("ids", Int, n), b.Input("pos", Int, n), b.Input("rows", Int, r)
	embed := b.Param("embed.weight", 10, 8)
	h := b.Node("embed", Embedding{}, []string{ids}, embed)
	x := b.Node("norm", RMSNorm{Eps: 1e-5}, []string{h}, b.Param("norm.weight", 8))
	rope := RoPE{HeadDim: 4, Rotary: 4, Pairing: "half", Freqs: []float64{1, 0.5}, Scale: 1}
	q := b.Node("q_rope", rope, []string{b.Linear("q", x, b.Param("q.weight", 8, 8), b.Param("q.bias", 8)), pos})
	rope.Dynamic = &DynamicRoPE{Theta: 10000, Factor: 2, MaxPos: 16}
	k := b.Node("k_rope", rope, []string{b.Linear("k", x, b.Param("k.weight", 4, 8), ""), pos})
	v := b.Linear("v", x, b.Param("v.weight", 4, 8), "")
	a := b.Node("attn", Attention{Heads: 2, KVHeads: 1, HeadDim: 4, Scale: 0.5, Mask: Mask{Kind: "causal", Window: 6}, Cache: "attn"}, []string{q, k, v, pos})
	h = b.Binary("residual", "add", h, b.Node("act", Unary{Func: "silu"}, []string{a}))
	h = b.Node("gather", Gather{}, []string{h, rows})
	b.Output("logits", b.Linear("head", h, embed, ""))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestDump(t *testing.T) {
	var b bytes.Buffer
	if err := tiny(t).Dump(&b); err != nil {
		t.Fatal(err)
	}
	const want = `input %ids i32 [T]
input %pos i32 [T]
input %rows i32 [R]
%embed [T, 8] = embedding(%ids) {embed.weight [10, 8]}
%norm [T, 8] = rmsnorm(%embed) eps=0.00001 {norm.weight [8]}
%q [T, 8] = linear(%norm) {q.weight [8, 8], q.bias [8]}
%q_rope [T, 8] = rope(%q, %pos) head_dim=4 rotary_dim=4 pairing=half freqs=[1 0.5] scale=1
%k [T, 4] = linear(%norm) {k.weight [4, 8]}
%k_rope [T, 4] = rope(%k, %pos) head_dim=4 rotary_dim=4 pairing=half freqs=[1 0.5] scale=1 dynamic={theta=10000 factor=2 max_pos=16}
%v [T, 4] = linear(%norm) {v.weight [4, 8]}
%attn [T, 8] = attention(%q_rope, %k_rope, %v, %pos) heads=2 kv_heads=1 head_dim=4 scale=0.5 mask={kind=causal window=6} cache=attn
%act [T, 8] = unary(%attn) func=silu
%residual [T, 8] = binary(%embed, %act) func=add
%gather [R, 8] = gather(%residual, %rows)
%logits [R, 10] = linear(%gather) {embed.weight [10, 8]}
output %logits
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestRoundTrip(t *testing.T) {
	g := tiny(t)
	data, err := Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g, back); diff != "" {
		t.Error(diff)
	}
	again, err := Marshal(back)
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("second marshalling differs: %v\n%s\n%s", err, data, again)
	}
}

func TestLastUse(t *testing.T) {
	g := tiny(t)
	want := map[string]int{"ids": 0, "embed": 9, "norm": 6, "q": 3, "q_rope": 7, "k": 5, "k_rope": 7, "v": 7, "pos": 7,
		"attn": 8, "act": 9, "residual": 10, "rows": 10, "gather": 11, "logits": 12}
	if diff := cmp.Diff(want, g.LastUse()); diff != "" {
		t.Error(diff)
	}
}

// TestVerify breaks one thing at a time; each message must cite the rule.
func TestVerify(t *testing.T) {
	node := func(g *Graph, name string) *Node {
		for i := range g.Nodes {
			if g.Nodes[i].Name == name {
				return &g.Nodes[i]
			}
		}
		t.Fatalf("no node %s", name)
		return nil
	}
	value := func(g *Graph, name string) *Value {
		for i := range g.Values {
			if g.Values[i].Name == name {
				return &g.Values[i]
			}
		}
		t.Fatalf("no value %s", name)
		return nil
	}
	param := func(g *Graph, name string, shape ...int) {
		for i := range g.Params {
			if g.Params[i].Name == name {
				g.Params[i].Shape = shape
			}
		}
	}
	rope := func(f func(*RoPE)) func(g *Graph) {
		return func(g *Graph) {
			op := node(g, "k_rope").Op.(RoPE)
			f(&op)
			node(g, "k_rope").Op = op
		}
	}
	attn := func(f func(*Attention)) func(g *Graph) {
		return func(g *Graph) {
			op := node(g, "attn").Op.(Attention)
			f(&op)
			node(g, "attn").Op = op
		}
	}
	in := func(name string, i int, to string) func(g *Graph) {
		return func(g *Graph) { node(g, name).In[i] = to }
	}
	for _, c := range []struct {
		want  string
		wreck func(g *Graph)
	}{
		{`symbol "T" is defined twice`, func(g *Graph) { g.Symbols[1] = "T" }},
		{`value "pos" is defined twice`, func(g *Graph) { g.Inputs[0].Name = "pos" }},
		{`value "norm" is defined twice`, func(g *Graph) { node(g, "q").Out[0] = "norm"; value(g, "q").Name = "norm" }},
		{`node "q" is defined twice`, func(g *Graph) { node(g, "k").Name = "q" }},
		{`param "q.weight" is defined twice`, func(g *Graph) { g.Params[3].Name = "q.weight" }},
		{`holds '\n'`, func(g *Graph) { g.Inputs[0].Name = "a\nb" }},
		{`must have 1 to 256 bytes`, func(g *Graph) { node(g, "q").Name = strings.Repeat("x", 257) }},
		{`dtype "f16" must be f32 or i32`, func(g *Graph) { g.Inputs[0].DType = "f16" }},
		{`extent -3 is no symbol`, func(g *Graph) { g.Inputs[0].Shape[0] = -3 }},
		{`rank 0`, func(g *Graph) { g.Inputs[0].Shape = nil }},
		{`rank 9`, func(g *Graph) { g.Inputs[0].Shape = make([]Dim, 9) }},
		{`extent 0 out of range`, func(g *Graph) { param(g, "q.weight", 0, 8) }},
		{`param "q.weight", shape [-1 8]: extent -1 is no symbol`, func(g *Graph) { param(g, "q.weight", -1, 8) }},
		{`extent 2147483648 out of range`, func(g *Graph) { param(g, "q.weight", 1<<31, 8) }},
		{`more than 2^40 elements`, func(g *Graph) { param(g, "q.weight", 1<<30, 1<<30, 1<<30) }},
		{`op <nil> is unknown`, func(g *Graph) { node(g, "q").Op = nil }},
		{`op *graph.Linear is unknown`, func(g *Graph) { node(g, "q").Op = &Linear{} }},
		{`linear takes 1 inputs, has 2`, func(g *Graph) { node(g, "q").In = []string{"norm", "norm"} }},
		{`linear takes 2 params ("" for an absent optional one), has 1`, func(g *Graph) { node(g, "q").Params = []string{"q.weight"} }},
		{`linear has 2 results, must have 1`, func(g *Graph) { node(g, "q").Out = []string{"q", "r"} }},
		{`input "k" is not defined before its use`, in("q", 0, "k")},
		{`param "" (number 0 of linear) is not declared`, func(g *Graph) { node(g, "q").Params[0] = "" }},
		{`param "nope" (number 1 of linear) is not declared`, func(g *Graph) { node(g, "q").Params[1] = "nope" }},
		{`its result "q" must be entry 2 of values`, func(g *Graph) { g.Values[2].Name = "z" }},
		{`value "more" is the result of no node`, func(g *Graph) { g.Values = append(g.Values, Value{"more", Float, []Dim{1}}) }},
		{`result %q is f32 [R, 8], linear gives f32 [T, 8]`, func(g *Graph) { value(g, "q").Shape[0] = -2 }},
		{`result %q is i32 [T, 8], linear gives f32 [T, 8]`, func(g *Graph) { value(g, "q").DType = Int }},
		{`param "q.bias" is used by no node`, func(g *Graph) { node(g, "q").Params[1] = "" }},
		{`the graph has no outputs`, func(g *Graph) { g.Outputs = nil }},
		{`output "nope" is not defined`, func(g *Graph) { g.Outputs[0] = "nope" }},
		{`output "logits" is defined twice`, func(g *Graph) { g.Outputs = append(g.Outputs, "logits") }},
		{`at most 32768`, func(g *Graph) { g.Nodes = make([]Node, MaxNodes+1) }},

		{`node "embed": embedding (C1)`, func(g *Graph) { g.Inputs[0].DType = Float }},
		{`embedding (C2): table embed.weight has shape [80]`, func(g *Graph) { param(g, "embed.weight", 80) }},
		{`linear (C1): x is %ids i32 [T]`, in("q", 0, "ids")},
		{`linear (C2): weight q.weight has shape [8 9], must be [N, 8] to match %norm f32 [T, 8]`, func(g *Graph) { param(g, "q.weight", 8, 9) }},
		{`linear (C3): bias q.bias has shape [7], must be [8]`, func(g *Graph) { param(g, "q.bias", 7) }},
		{`rmsnorm (C1)`, in("norm", 0, "pos")},
		{`rmsnorm (C2)`, func(g *Graph) { param(g, "norm.weight", 9) }},
		{`rmsnorm (C3)`, func(g *Graph) { node(g, "norm").Op = RMSNorm{Eps: -1} }},
		{`rope (C1)`, rope(func(a *RoPE) { a.HeadDim = 3 })},
		{`rope (C1)`, rope(func(a *RoPE) { a.HeadDim = 0 })},
		{`rope (C2)`, in("k_rope", 1, "rows")},
		{`rope (C3)`, rope(func(a *RoPE) { a.Rotary = 3 })},
		{`rope (C3)`, rope(func(a *RoPE) { a.Rotary = 6 })},
		{`rope (C4): 3 freqs`, rope(func(a *RoPE) { a.Freqs = make([]float64, 3) })},
		{`rope (C4): freqs[1] = 0.1 must be a float32`, rope(func(a *RoPE) { a.Freqs = []float64{1, 0.1} })},
		{`rope (C5)`, rope(func(a *RoPE) { a.Pairing = "" })},
		{`rope (C6)`, rope(func(a *RoPE) { a.Scale = 0 })},
		{`rope (C7)`, rope(func(a *RoPE) { a.Dynamic = &DynamicRoPE{} })},
		{`attention (C1)`, attn(func(a *Attention) { a.KVHeads = 3 })},
		{`attention (C2)`, attn(func(a *Attention) { a.Heads = 1 })},
		{`attention (C3): v is`, in("attn", 2, "embed")},
		{`attention (C4)`, in("attn", 3, "rows")},
		{`attention (C5)`, attn(func(a *Attention) { a.Scale = 0 })},
		{`attention (C6): mask "prefix"`, attn(func(a *Attention) { a.Mask.Kind = "prefix" })},
		{`attention (C6): window -1`, attn(func(a *Attention) { a.Mask.Window = -1 })},
		{`attention (C7): cache "attn" with mask "full"`, attn(func(a *Attention) { a.Mask = Mask{Kind: "full"} })},
		{`unary (C1)`, in("act", 0, "pos")},
		{`unary (C2): func "sinh"`, func(g *Graph) { node(g, "act").Op = Unary{Func: "sinh"} }},
		{`binary (C1)`, in("residual", 1, "v")},
		{`binary (C2): func "hypot"`, func(g *Graph) { node(g, "residual").Op = Binary{Func: "hypot"} }},
		{`binary (C3): scalar 0.1 must be`, func(g *Graph) {
			x := 0.1
			node(g, "residual").Op, node(g, "residual").In = Binary{Func: "mul", Scalar: &x}, []string{"embed"}
		}},
		{`a symbol after a number`, func(g *Graph) { value(g, "q").Shape = []Dim{8, -1} }},
		{`gather (C1)`, in("gather", 0, "pos")},
		{`gather (C2)`, in("gather", 1, "embed")},
	} {
		g := tiny(t)
		c.wreck(g)
		if err := g.Verify(); err == nil || !errors.Is(err, ErrGraph) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
		if _, err := Marshal(g); err == nil {
			t.Errorf("%s: marshalled", c.want)
		}
	}

	// Two attentions with one cache.
	b := NewBuilder()
	n := b.Symbol("T")
	x, pos := b.Input("x", Float, n, 4), b.Input("pos", Int, n)
	op := Attention{Heads: 1, KVHeads: 1, HeadDim: 4, Scale: 1, Mask: Mask{Kind: "causal"}, Cache: "kv"}
	y := b.Node("a", op, []string{x, x, x, pos})
	b.Output("y", b.Node("b", op, []string{y, y, y, pos}))
	if _, err := b.Graph(); err == nil || !strings.Contains(err.Error(), `node "b": attention (C7)`) {
		t.Errorf("shared cache: %v", err)
	}
}

// TestBroadcast: extents of 1 and leading ones that are absent repeat; symbols are equal to themselves only.
func TestBroadcast(t *testing.T) {
	for _, c := range []struct{ a, b, want []Dim }{
		{[]Dim{-1, 4}, []Dim{-1, 4}, []Dim{-1, 4}},
		{[]Dim{-1, 4}, []Dim{4}, []Dim{-1, 4}},
		{[]Dim{-1, 4}, []Dim{-1, 1}, []Dim{-1, 4}},
		{[]Dim{-1, 3, 1}, []Dim{5}, []Dim{-1, 3, 5}},
		{[]Dim{1, 4}, []Dim{-1, 1}, []Dim{-1, 4}},
		{[]Dim{-1, 4}, []Dim{-2, 4}, nil},
		{[]Dim{-1, 4}, []Dim{-1, 2}, nil},
		{[]Dim{4, 1}, []Dim{-1}, []Dim{4, -1}}, // which Verify refuses
	} {
		for range 2 {
			if got, ok := Broadcast(c.a, c.b); ok != (c.want != nil) || ok && !slices.Equal(got, c.want) {
				t.Errorf("%v and %v give %v, want %v", c.a, c.b, got, c.want)
			}
			c.a, c.b = c.b, c.a
		}
	}
}

func TestBuilderErrors(t *testing.T) {
	for want, f := range map[string]func(b *Builder, x string){
		`node "y": linear (C2)`:                 func(b *Builder, x string) { b.Output("o", b.Linear("y", x, b.Param("w", 3, 3), "")) },
		`declared with shapes [3 4] and [4 3]`:  func(b *Builder, x string) { b.Param("w", 3, 4); b.Param("w", 4, 3) },
		`must be the result of the last node`:   func(b *Builder, x string) { b.Output("o", x) },
		`node "y": input "nope" is not defined`: func(b *Builder, x string) { b.Node("y", Unary{Func: "relu"}, []string{"nope"}) },
		`node "y" is defined twice`:             func(b *Builder, x string) { b.Output("o", b.Binary("y", "add", b.Binary("y", "add", x, x), x)) },
		`the graph has no outputs`:              func(b *Builder, x string) {},
	} {
		b := NewBuilder()
		f(b, b.Input("x", Float, 4))
		if _, err := b.Graph(); err == nil || !errors.Is(err, ErrGraph) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// hostile are documents that must be refused, by what the message must say.
var hostile = []struct{ want, doc string }{
	{`unexpected end`, ``},
	{`null in the document`, `null`},
	{`cannot unmarshal array`, `[]`},
	{`the graph has no outputs`, `{}`},
	{`key "nodes" appears twice`, `{"nodes":[],"nodes":[]}`},
	{`after top-level value`, `{} {}`},
	{`unknown field "extra"`, `{"extra":1}`},
	{`unknown field "Nodes"`, `{"Nodes":[]}`},
	{`null in nodes`, `{"nodes":null}`},
	{`unknown field "nodeſ"`, `{"nodeſ":[]}`},
	{`node "a": op "conv3d" is unknown: it needs a newer qpt`, `{"nodes":[{"name":"a","op":"conv3d","in":[],"out":[]}]}`},
	{`node "a": rmsnorm: json: unknown field "epsilon": it needs a newer qpt`, `{"nodes":[{"name":"a","op":"rmsnorm","attrs":{"epsilon":1},"in":[],"out":[]}]}`},
	{`unknown field "attributes"`, `{"nodes":[{"name":"a","op":"rmsnorm","attributes":{},"in":[],"out":[]}]}`},
	{`node "a": rmsnorm: json: cannot unmarshal string`, `{"nodes":[{"name":"a","op":"rmsnorm","attrs":{"eps":"1"},"in":[],"out":[]}]}`},
	{`cannot unmarshal number 1.5`, `{"inputs":[{"name":"x","dtype":"f32","shape":[1.5]}]}`},
	{`cannot unmarshal number 99999999999999999999`, `{"inputs":[{"name":"x","dtype":"f32","shape":[99999999999999999999]}]}`},
	{`extent -9223372036854775808 is no symbol`, `{"inputs":[{"name":"x","dtype":"f32","shape":[-9223372036854775808]}],"outputs":["x"]}`},
	{`nested deeper`, strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100)},
	{`UTF-8`, "{\"nodes\xff\":[]}"},
}

func TestHostile(t *testing.T) {
	for _, c := range hostile {
		_, err := Unmarshal([]byte(c.doc))
		if err == nil || !errors.Is(err, ErrGraph) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: %v, want %s", c.doc, err, c.want)
		}
		if errors.Is(err, ErrNewer) != (strings.Contains(c.want, "is unknown:") || strings.Contains(c.want, "unknown field")) {
			t.Errorf("%.80s: %v: is it an op or a key to come?", c.doc, err)
		}
	}
	if _, err := Unmarshal(make([]byte, MaxBytes+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Error(err)
	}
}

// FuzzUnmarshal: no panic, and what is accepted survives a round trip.
func FuzzUnmarshal(f *testing.F) {
	for _, c := range hostile {
		f.Add([]byte(c.doc))
	}
	data, err := Marshal(tiny(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Replace(data, []byte(`"shape":[-1,8]`), []byte(`"shape":[-1,0]`), 1))
	f.Add(bytes.Replace(data, []byte(`"shape":[8,8]`), []byte(`"shape":[8,8],"view":{"of":"qkv","shape":[2,8,24],"index":1,"transpose":true,"from":1,"block":1,"stride":3}`), 1))
	files, err := filepath.Glob("../../testdata/ops/*.json")
	if err != nil || files == nil {
		f.Fatal("no graphs of ops: ", err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var cases []struct{ Graph json.RawMessage }
		if err := json.Unmarshal(data, &cases); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(cases[0].Graph))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Unmarshal(data)
		if err != nil {
			if !errors.Is(err, ErrGraph) {
				t.Fatalf("not an ErrGraph: %v", err)
			}
			return
		}
		out, err := Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Unmarshal(out)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Marshal(back)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatal(err, "round trip differs")
		}
		if err := g.Dump(new(bytes.Buffer)); err != nil {
			t.Fatal(err)
		}
		g.LastUse()
		for i := range g.Nodes {
			for _, m := range g.Nodes[i].Linears() {
				if p := g.ParamMap()[m.Weight]; len(p.Shape) < 2 {
					t.Fatalf("matrix %v is %v", m, p)
				}
			}
		}
		v := Views(g, zeros{})
		for _, p := range g.Params {
			n := 1
			for _, d := range p.Shape {
				n = min(n*d, 1<<20) // more is not read
			}
			if p.View != nil && n < 1<<10 && p.View.Shape[0] < 1<<10 && p.View.Shape[len(p.View.Shape)-1] < 1<<10 {
				rows := p.Shape[0]
				if len(p.Shape) == 1 {
					rows = 1
				}
				if err := v.ReadRows(p.Name, 0, rows, make([]float32, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// zeros reads any part of any tensor.
type zeros struct{}

func (zeros) ReadRows(_ string, _, _ int, dst []float32) error { clear(dst); return nil }
func (zeros) ReadPart(_ string, from int, dst []float32) error { clear(dst); return nil }

// Inputs go by their own name before their number, and by no other.
func TestFind(t *testing.T) {
	g := &Graph{Inputs: []Value{{Name: "pixel_values"}, {Name: "mask"}}}
	for _, c := range []struct {
		i     int
		names string
		want  string
	}{
		{0, "input.0 pixel_values", "pixel_values"}, {0, "input.0 input.1", "input.0"}, {1, "input.0 input.1", "input.1"}, {0, "pixels", ""}, {1, "mask", "mask"},
	} {
		if got := g.Find(c.i, strings.Fields(c.names)); got != c.want {
			t.Errorf("input %d of %s: %q, want %q", c.i, c.names, got, c.want)
		}
	}
}
