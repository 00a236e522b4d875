package exec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"qpt/format/graph"
)

// builder makes small graphs over random weights.
type builder struct {
	*graph.Builder
	rng            *rand.Rand
	x              tensors
	ids, pos, rows string
	t, r           graph.Dim
	vocab          int
}

func newBuilder(seed uint64) *builder {
	b := &builder{Builder: graph.NewBuilder(), rng: rand.New(rand.NewPCG(seed, 1)), x: tensors{}, vocab: 40}
	b.t, b.r = b.Symbol("T"), b.Symbol("R")
	b.ids, b.pos, b.rows = b.Input("ids", graph.Int, b.t), b.Input("pos", graph.Int, b.t), b.Input("rows", graph.Int, b.r)
	return b
}

// param makes a random tensor of that standard deviation.
func (b *builder) param(name string, std float64, shape ...int) string {
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(b.rng.NormFloat64() * std)
	}
	b.x[name] = tensor{shape, v}
	return b.Param(name, shape...)
}

func (b *builder) embed(name string, width int) string {
	return b.Node(name, graph.Embedding{}, []string{b.ids}, b.param(name+".w", 1, b.vocab, width))
}

func (b *builder) linear(name, x string, n, k int) string {
	bias := ""
	if b.rng.IntN(2) == 0 {
		bias = b.param(name+".b", 0.3, n)
	}
	return b.Linear(name, x, b.param(name+".w", 1/math.Sqrt(float64(k)), n, k), bias)
}

func (b *builder) norm(name, x string, width int) string {
	return b.Node(name, graph.RMSNorm{Eps: 1e-5, Offset: float64(b.rng.IntN(2))}, []string{x}, b.param(name+".w", 0.5, width))
}

// latent attention of n heads on x [T, w]: the keys hold the values, and each head has a matrix of its own before and after.
func (b *builder) latent(at, x string, w, n, values int) string {
	const nope, key = 8, 24
	heads := func(name, x string, n2, k int) string { // [T, n*k] to [T, n*n2]
		var params []string
		for i := range n {
			params = append(params, b.param(fmt.Sprintf("%s.%d.w", name, i), 0.3, n2, k))
		}
		x = b.Node(name+".in", graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(n), graph.Dim(k)}}, []string{x})
		x = b.Node(name+".each", graph.ExpertLinear{Experts: n}, []string{x}, params...)
		return b.Node(name, graph.Reshape{Shape: []graph.Dim{-1, graph.Dim(n * n2)}}, []string{x})
	}
	q := heads(at+"q", b.linear(at+"q_nope", x, n*nope, w), key, nope)
	op := graph.Attention{Heads: n, KVHeads: 1, HeadDim: key, Values: values, Scale: 0.3, Mask: graph.Mask{Kind: "causal"}, Cache: at + "attn"}
	y := b.Node(at+"attn", op, []string{q, b.linear(at+"k", x, key, w), b.pos})
	return b.linear(at+"o", heads(at+"v", y, 7, values), w, n*7)
}

func (b *builder) rope(name, x string, head int) string {
	r := graph.RoPE{HeadDim: head, Rotary: head, Pairing: []string{"half", "interleaved"}[b.rng.IntN(2)], Scale: 1}
	if b.rng.IntN(2) == 0 {
		r.Rotary = head / 2
	}
	for i := range r.Rotary / 2 {
		r.Freqs = append(r.Freqs, float64(float32(math.Pow(100, -float64(i)/4))))
	}
	return b.Node(name, r, []string{x, b.pos})
}

// graph finishes with a head over h [T, width].
func (b *builder) graph(t testing.TB, h string, width int) *graph.Graph {
	t.Helper()
	h = b.Node("gather", graph.Gather{}, []string{h, b.rows})
	b.Output("logits", b.linear("head", h, b.vocab, width))
	return b.done(t)
}

func (b *builder) done(t testing.TB) *graph.Graph {
	t.Helper()
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// checkGraph compares fused and unfused execution bit for bit, prefill and
// decode, one thread and three, and float execution with the FP32 executor.
func checkGraph(t *testing.T, g *graph.Graph, x tensors, w *weights) (fused *Program) {
	t.Helper()
	ids := randomIDs(37, 40)
	opt := stateOptions{Context: 40}
	fused = compile(t, g, w, Options{})
	a, b := newState(t, fused, 3, opt), newState(t, compile(t, g, w, Options{NoFuse: true}), 1, opt)
	same(t, "prefill", runAll(t, a, ids[:35]), runAll(t, b, ids[:35]))
	want := run(t, b, ids[35:], 1)
	for pos, row := range run(t, a, ids[35:], 1) {
		same(t, "decode", row, want[pos])
	}
	exact := newState(t, compile(t, g, x.as("f32"), Options{}), 2, opt)
	near(t, runAll(t, exact, ids), reference(t, g, x, ids))
	return fused
}

// near allows for other orders of the same sums.
func near(t *testing.T, got, want []float32) {
	t.Helper()
	if db := sqnr(got, want); !(db > 100) {
		t.Errorf("%.1f dB from the FP32 executor, want 100", db)
	}
}

// TestRandomGraphs: whatever the shape of a graph, fusing and planning memory
// change no bit. Values have many readers or none, operands are swapped, the
// output may be anywhere.
func TestRandomGraphs(t *testing.T) {
	inPlace, shared, gated, sunk, active, n := 0, 0, 0, 0, 0, uint64(300)
	if testing.Short() {
		n = 60
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g, x := randomGraph(t, seed)
			w := x.mixed(func(name string) string {
				if seed%2 == 0 { // gate and up alike
					name = strings.Replace(name, "g.w", "u.w", 1)
				}
				return schemes[(len(name)*7+int(name[len(name)-3])+int(seed))%len(schemes)]
			})
			fused := checkGraph(t, g, x, w)
			for _, st := range fused.steps {
				switch st := st.(type) {
				case *linearStep:
					for _, t := range st.layers {
						if t.add >= 0 {
							inPlace++
						}
						if t.gate != nil {
							gated++
						}
						if t.next {
							sunk++
						}
						if t.fn != nil && t.gate == nil {
							active++
						}
					}
					if len(st.layers) > 1 {
						shared++
					}
				}
			}
			if t.Failed() {
				g.Dump(t.Output())
			}
		})
	}
	if n := int(n) / 5; inPlace < n || shared < n || gated < n || sunk < n || active < n {
		t.Errorf("%d additions in place, %d shared inputs, %d gates, %d results as rows, %d activations: the graphs do not try every fusion often enough", inPlace, shared, gated, sunk, active)
	}
}

// operand is a float value of a random graph.
type operand struct {
	name  string
	width int
	rows  bool // [R, width], else [T, width]
}

func randomGraph(t *testing.T, seed uint64) (*graph.Graph, tensors) {
	b := newBuilder(seed)
	widths := []int{16, 32, 43}
	live := []operand{{b.embed("embed", 32), 32, false}}
	pick := func(ok func(v operand) bool) (operand, bool) {
		// Mostly the newest, as in real models.
		for range 20 {
			i := len(live) - 1 - min(int(b.rng.ExpFloat64()*2), len(live)-1)
			if ok(live[i]) {
				return live[i], true
			}
		}
		return operand{}, false
	}
	tokens := func(v operand) bool { return !v.rows }
	for i := 0; i < 8+b.rng.IntN(16); i++ {
		name := fmt.Sprintf("n%02d", i)
		v, _ := pick(func(operand) bool { return true })
		out := operand{"", v.width, v.rows}
		switch op := b.rng.IntN(18); op {
		case 0, 1, 2, 3:
			out.width = widths[b.rng.IntN(len(widths))]
			out.name = b.linear(name, v.name, out.width, v.width)
		case 4:
			out.name = b.norm(name, v.name, v.width)
		case 5:
			f := []string{"silu", "gelu", "relu", "gelu_tanh"}[b.rng.IntN(4)]
			out.name = b.Node(name, graph.Unary{Func: f}, []string{v.name})
		case 6, 7, 8: // h + linear(norm(h)) or so, the addition at once or later
			x := b.norm(name+"n", v.name, v.width)
			live = append(live, operand{x, v.width, v.rows})
			y := b.linear(name+"l", x, v.width, v.width)
			if op == 6 {
				live = append(live, operand{y, v.width, v.rows})
				continue
			}
			in := []string{v.name, y}
			if b.rng.IntN(2) == 0 {
				in[0], in[1] = in[1], in[0]
			}
			out.name = b.Binary(name, "add", in[0], in[1])
		case 9, 10:
			u, ok := pick(func(u operand) bool { return u.width == v.width && u.rows == v.rows })
			if !ok {
				continue
			}
			out.name = b.Binary(name, "add", v.name, u.name)
			if op == 10 { // silu(linear) * linear, bounded
				g, u := b.linear(name+"g", v.name, 43, v.width), b.linear(name+"u", v.name, 43, v.width)
				g = b.Node(name+"s", graph.Unary{Func: []string{"silu", "gelu_tanh"}[b.rng.IntN(2)]}, []string{g})
				in := []string{g, u}
				if b.rng.IntN(4) == 0 {
					in[0], in[1] = u, g
				}
				out.width, out.name = 43, b.Binary(name+"m", "mul", in[0], in[1])
				if b.rng.IntN(4) == 0 {
					live = append(live, operand{g, 43, v.rows})
				}
			}
		case 11:
			q, ok := pick(func(v operand) bool { return !v.rows && v.width == 32 })
			if !ok {
				continue
			}
			if b.rng.IntN(2) == 0 {
				q.name = b.rope(name+"r", q.name, 8)
			}
			k := b.linear(name+"k", q.name, 16, 32)
			out = operand{"", 32, false}
			out.name = b.Node(name, graph.Attention{Heads: 4, KVHeads: 2, HeadDim: 8, Scale: 0.35, Cache: name,
				Mask: graph.Mask{Kind: "causal", Window: []int{0, 1, 5}[b.rng.IntN(3)]}}, []string{q.name, k, k, b.pos})
		case 12:
			v, ok := pick(tokens)
			if !ok || i < 6 {
				continue
			}
			out = operand{b.Node(name, graph.Gather{}, []string{v.name, b.rows}), v.width, true}
		default:
			w, ok := pick(func(w operand) bool { return w.width == 16 && w.rows == v.rows })
			if out = b.other(name, v, w, ok); out.name == "" {
				continue
			}
		}
		live = append(live, out)
	}
	v, _ := pick(tokens)
	if v.name == "" {
		v = live[0]
	}
	g := b.graph(t, v.name, v.width)
	outputs := []string{"gather", "logits"}
	for _, v := range live {
		if v.rows {
			outputs = append(outputs, v.name)
		}
	}
	g.Outputs[0] = outputs[b.rng.IntN(len(outputs))]
	if err := g.Verify(); err != nil {
		t.Fatal(err)
	}
	return g, b.x
}

// TestGraphs: shapes that a pass got wrong or that only look as if they could be fused.
func TestGraphs(t *testing.T) {
	const w = 32
	gate, relu := graph.Unary{Func: "silu"}, graph.Unary{Func: "relu"}
	for _, c := range []struct {
		name  string
		build func(b *builder) string // returns a value [T, w]
	}{
		{"sum of two layers that run together", func(b *builder) string {
			h := b.embed("h", w)
			return b.Binary("sum", "add", b.linear("a", h, w, w), b.linear("b", h, w, w))
		}},
		{"residual of a layer that runs early, made later", func(b *builder) string {
			h := b.embed("h", w)
			a := b.linear("a", h, w, w)
			r := b.linear("r", b.norm("n", a, w), w, w)
			return b.Binary("sum", "add", r, b.linear("b", h, w, w))
		}},
		{"both layers of a step add to one value", func(b *builder) string {
			h := b.embed("h", w)
			n := b.norm("n", h, w)
			sum := b.Binary("sum", "add", h, b.linear("a", n, w, w))
			return b.Binary("sum2", "add", b.linear("b", n, w, w), sum)
		}},
		{"layer added to its own input", func(b *builder) string {
			h := b.linear("a", b.embed("h", w), w, w)
			return b.Binary("sum", "add", b.linear("b", h, w, w), h)
		}},
		{"layer added to itself", func(b *builder) string {
			y := b.linear("a", b.embed("h", w), w, w)
			return b.Binary("sum", "add", y, y)
		}},
		{"residual read again later", func(b *builder) string {
			h := b.linear("a", b.embed("h", w), w, w)
			sum := b.Binary("sum", "add", h, b.linear("b", b.norm("n", h, w), w, w))
			return b.Binary("again", "mul", sum, h)
		}},
		{"residual read by an operation that waits", func(b *builder) string {
			h := b.linear("a", b.embed("h", w), w, w)
			late := b.norm("late", h, w)
			sum := b.Binary("sum", "add", h, b.linear("b", b.norm("n", h, w), w, w))
			return b.Binary("end", "add", sum, late)
		}},
		{"result of a layer read twice", func(b *builder) string {
			h := b.embed("h", w)
			y := b.linear("a", h, w, w)
			sum := b.Binary("sum", "add", h, y)
			return b.Binary("end", "mul", sum, y)
		}},
		{"gate that is read twice", func(b *builder) string {
			h := b.embed("h", w)
			g := b.Node("g", gate, []string{b.linear("a", h, w, w)})
			m := b.Binary("m", "mul", g, b.linear("b", h, w, w))
			return b.Binary("end", "add", m, g)
		}},
		{"gate on the right, and of its own factor", func(b *builder) string {
			y := b.linear("a", b.embed("h", w), w, w)
			m := b.Binary("m", "mul", y, b.Node("g", gate, []string{y}))
			return b.Binary("m2", "mul", b.Node("g2", gate, []string{m}), m)
		}},
		{"activation of a sum, read by a layer and by a sum (ResNet)", func(b *builder) string {
			h := b.linear("a", b.embed("h", w), w, w)
			r := b.Node("r", relu, []string{b.Binary("sum", "add", h, b.linear("b", b.norm("n", h, w), w, w))})
			return b.Node("r2", relu, []string{b.Binary("sum2", "add", b.linear("d", b.Node("r1", relu, []string{b.linear("c", r, w, w)}), w, w), r)})
		}},
		{"results as rows of several layers, of two lives at once", func(b *builder) string {
			h := b.embed("h", w)
			x, y := b.linear("x", h, w, w), b.linear("y", h, w, w)
			z := b.Binary("z", "add", b.linear("y2", y, w, w), b.linear("x2", x, w, w))
			return b.Binary("sum", "add", z, b.linear("x4", b.linear("x3", x, w, w), w, w))
		}},
		{"layers that are each other's gates", func(b *builder) string {
			h := b.embed("h", w)
			x, y := b.linear("x", h, w, w), b.linear("y", h, w, w)
			return b.Binary("m", "mul", b.Node("s", gate, []string{x}), b.Node("r", relu, []string{y}))
		}},
		{"two gated pairs of one value", func(b *builder) string {
			h := b.embed("h", w)
			g1, u1, g2, u2 := b.linear("g1", h, w, w), b.linear("u1", h, w, w), b.linear("g2", h, w, w), b.linear("u2", h, w, w)
			m1 := b.Binary("m1", "mul", b.Node("s1", gate, []string{g1}), u1)
			m2 := b.Binary("m2", "mul", u2, b.Node("s2", relu, []string{g2}))
			return b.Binary("sum", "add", m1, b.linear("end", m2, w, w))
		}},
		{"gate of one value, factor of another", func(b *builder) string {
			h := b.embed("h", w)
			g := b.Node("g", gate, []string{b.linear("a", h, w, w)})
			return b.Binary("m", "mul", g, b.linear("b", b.norm("n", h, w), w, w))
		}},
		{"value rotated and read", func(b *builder) string {
			y := b.linear("a", b.embed("h", w), w, w)
			return b.Binary("sum", "add", b.rope("r", y, 16), y)
		}},
		{"rotated twice, added to a layer", func(b *builder) string {
			h := b.embed("h", w)
			r := b.rope("r2", b.rope("r1", b.linear("a", h, w, w), 16), 8)
			return b.Binary("sum", "add", b.linear("b", r, w, w), r)
		}},
		{"result that nobody reads", func(b *builder) string {
			h := b.embed("h", w)
			b.linear("dead", h, 48, w)
			b.norm("dead2", h, w)
			return b.linear("a", h, w, w)
		}},
		{"tables of positions and of tokens", func(b *builder) string {
			p := b.Node("p", graph.Embedding{}, []string{b.pos}, b.param("p.w", 1, 60, w))
			return b.Binary("sum", "add", b.embed("h", w), p)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(2) {
				b := newBuilder(seed)
				y := c.build(b)
				g := b.graph(t, y, w)
				for _, scheme := range []string{"f32", "bf16", "da8w8", "s8s8"} {
					checkGraph(t, g, b.x, b.x.as(scheme))
				}
			}
		})
	}
}

// TestAttention: grouped heads and masks against the FP32 executor, prefill and decode.
func TestAttention(t *testing.T) {
	const n = 75
	ids := randomIDs(n, 40)
	for _, c := range []struct{ heads, kv, dim int }{{4, 4, 8}, {8, 2, 16}, {6, 1, 40}, {3, 3, 64}} {
		for _, window := range []int{0, 1, 2, 31, 32, 33, 64} {
			b := newBuilder(uint64(window))
			h := b.embed("h", 32)
			q := b.linear("q", h, c.heads*c.dim, 32)
			k, v := b.linear("k", h, c.kv*c.dim, 32), b.linear("v", h, c.kv*c.dim, 32)
			y := b.Node("attn", graph.Attention{Heads: c.heads, KVHeads: c.kv, HeadDim: c.dim, Scale: 1 / math.Sqrt(float64(c.dim)),
				Mask: graph.Mask{Kind: "causal", Window: window}, Cache: "attn"}, []string{q, k, v, b.pos})
			g := b.graph(t, y, c.heads*c.dim)
			want := reference(t, g, b.x, ids)
			p := compile(t, g, b.x.as("f32"), Options{})
			for i, kv := range kvTypes {
				atLeast := []float64{110, 40, 30}[i] // bf16 keeps 8 bits, int8 7 of the largest
				s := newState(t, p, 2, stateOptions{Context: n, KV: kv})
				got := runAll(t, s, ids)
				if db := sqnr(got, want); !(db > atLeast) {
					t.Errorf("%+v window %d %v: %.1f dB, want %v", c, window, kv, db, atLeast)
				}
				s.Truncate(0)
				for pos, row := range run(t, s, ids, 20, 1) {
					same(t, fmt.Sprintf("%+v window %d %v position %d", c, window, kv, pos), row, got[pos*40:(pos+1)*40])
				}
			}
		}
	}
}

// TestWhole: attention without a cache sees the tokens of one call, and only one call is allowed.
func TestWhole(t *testing.T) {
	for _, mask := range []string{"full", "causal"} {
		b := newBuilder(3)
		h := b.embed("h", 32)
		y := b.Node("attn", graph.Attention{Heads: 4, KVHeads: 4, HeadDim: 8, Scale: 0.3, Mask: graph.Mask{Kind: mask}},
			[]string{b.linear("q", h, 32, 32), b.linear("k", h, 32, 32), b.linear("v", h, 32, 32), b.pos})
		g := b.graph(t, y, 32)
		ids := randomIDs(40, 40)
		s := newState(t, compile(t, g, b.x.as("f32"), Options{}), 2, stateOptions{Context: 64, Batch: 40})
		for range 2 {
			near(t, runAll(t, s, ids), reference(t, g, b.x, ids))
			if _, err := s.Run(t.Context(), ids[:1], false); err == nil || !strings.Contains(err.Error(), "one pass") {
				t.Errorf("%s: a second call: %v", mask, err)
			}
			s.Truncate(0)
		}
		if _, err := s.Run(t.Context(), randomIDs(41, 40), false); err == nil || !strings.Contains(err.Error(), "one pass") {
			t.Errorf("%s: more tokens than a pass: %v", mask, err)
		}
	}
}

// TestPositions: a table of positions bounds the sequence.
func TestPositions(t *testing.T) {
	b := newBuilder(4)
	p := b.Node("p", graph.Embedding{}, []string{b.pos}, b.param("p.w", 1, 10, 32))
	g := b.graph(t, b.Binary("sum", "add", b.embed("h", 32), p), 32)
	s := newState(t, compile(t, g, b.x.as("f32"), Options{}), 1, stateOptions{Context: 20})
	run(t, s, randomIDs(10, 40), 10)
	if _, err := s.Run(t.Context(), []int32{1}, false); err == nil || !strings.Contains(err.Error(), "10 positions") {
		t.Errorf("token 11: %v", err)
	}
}

// TestCompileErrors: valid graphs that this executor cannot run, or that do
// not fit their weights, are refused; none may panic when it runs.
func TestCompileErrors(t *testing.T) {
	embed := func(b *builder, index string) string {
		return b.Node("e", graph.Embedding{}, []string{index}, b.param("e.w", 1, b.vocab, 32))
	}
	for _, c := range []struct {
		want  string
		build func(b *builder)
	}{
		{`node "e": operand "rows"`, func(b *builder) { b.Output("y", embed(b, b.rows)) }},
		{`operand "pos": this executor takes only the graph's "rows"`, func(b *builder) {
			h := b.Node("g", graph.Gather{}, []string{b.embed("h", 32), b.pos})
			b.graph(t, h, 32)
		}},
		{`only rows of T tokens`, func(b *builder) {
			h := b.Node("g", graph.Gather{}, []string{b.embed("h", 32), b.rows})
			b.Output("y", b.Node("g2", graph.Gather{}, []string{h, b.rows}))
		}},
		{`operand "ids": this executor takes only the graph's "pos"`, func(b *builder) {
			b.pos = b.ids
			b.graph(t, b.rope("r", b.embed("h", 32), 8), 32)
		}},
		{`operand "ids": this executor takes only the graph's "pos"`, func(b *builder) {
			h := b.embed("h", 32)
			b.graph(t, b.Node("a", graph.Attention{Heads: 4, KVHeads: 4, HeadDim: 8, Scale: 1, Mask: graph.Mask{Kind: "causal"}, Cache: "a"}, []string{h, h, h, b.ids}), 32)
		}},
		{`parameter "h.w" has rows of 24 values, the graph wants 32`, func(b *builder) {
			b.graph(t, b.embed("h", 32), 32)
			b.x["h.w"] = tensor{[]int{40, 24}, b.x["h.w"].data}
		}},
		{`parameter "a.w" is [16, 64], the graph wants [32, 32]`, func(b *builder) {
			b.graph(t, b.linear("a", b.embed("h", 32), 32, 32), 32)
			b.x["a.w"] = tensor{[]int{16, 64}, b.x["a.w"].data}
		}},
		{`parameter "n.w" has 31 values, the rows have 32`, func(b *builder) {
			b.graph(t, b.norm("n", b.embed("h", 32), 32), 32)
			b.x["n.w"] = tensor{[]int{31}, b.x["n.w"].data[:31]}
		}},
		{`integer sums hold 65536`, func(b *builder) {
			b.vocab = 1
			b.graph(t, b.embed("h", 65537), 65537)
		}},
	} {
		b := newBuilder(1)
		c.build(b)
		_, err := Compile(b.done(t), b.x.as("da8w8"), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
