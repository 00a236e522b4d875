package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/internal/cpu"
	"qpt/kernels/attn"
	"qpt/runtime/ref"
)

const stories = "../../testdata/stories260K"

var kvTypes = []attn.KVType{attn.KVF32, attn.KVBF16, attn.KVI8}

// TestFused: fusing changes no bit, in prefill and in decode, whatever the
// scheme; and it happens: a Llama layer is 12 steps, 11 where the gated rows are what down reads.
func TestFused(t *testing.T) {
	// The steps of a layer: norm, qkv, rope, rope, cache, attention, rows of o, o,
	// norm, gated, rows of down unless they are made value by value, down. Around them embedding, gather, norm, head.
	for _, c := range []struct {
		dir    string
		layers int
	}{{stories, 5}, {variants + "llama3-bias-untied", 2}, {variants + "dynamic-tied", 2}, {variants + "linear-mha", 1}} {
		m, x := model(t, c.dir)
		ids := randomIDs(25, m.Vocab)
		for i, scheme := range append(schemes, "mixed") {
			w := x.as(scheme)
			if scheme == "mixed" {
				w = x.mixed(mixture)
			}
			opt := stateOptions{Context: 32, KV: kvTypes[i%3]}
			fused, plain := compile(t, m.Graph, w, Options{}), compile(t, m.Graph, w, Options{NoFuse: true})
			each := 12
			if scheme == "f32" || scheme == "bf16" || scheme == "s8s8" {
				each = 11
			}
			if want := c.layers*each + 4; scheme != "mixed" && len(fused.steps) != want {
				t.Errorf("%s %s: %d steps, want %d", c.dir, scheme, len(fused.steps), want)
			}
			a, b := newState(t, fused, 2, opt), newState(t, plain, 1, opt)
			what := fmt.Sprintf("%s %s", c.dir, scheme)
			same(t, what+" prefill", runAll(t, a, ids[:20]), runAll(t, b, ids[:20]))
			want := run(t, b, ids[20:], 1)
			for pos, row := range run(t, a, ids[20:], 1) {
				same(t, what+" decode", row, want[pos])
			}
		}
	}
}

// TestSplits: numerics N7: threads, batch and cuts change no bit, on any ISA.
func TestSplits(t *testing.T) {
	m, x := model(t, stories)
	ids := randomIDs(75, m.Vocab)
	for _, isa := range levels(t) {
		restore := cpu.SetMax(isa)
		for i, scheme := range append(schemes, "mixed") {
			if isa < cpu.AVX512 && !testing.Short() && scheme != "f32" && scheme != "bf16" && scheme != "mixed" {
				continue // slow there, and TestLinearISA holds them to the faster ones
			}
			w := x.as(scheme)
			if scheme == "mixed" {
				w = x.mixed(mixture)
			}
			p := compile(t, m.Graph, w, Options{})
			opt := stateOptions{Context: len(ids), KV: kvTypes[i%3]}
			all, v := runAll(t, newState(t, p, 1, opt), ids), p.OutputWidth()
			for _, c := range []struct {
				threads, batch int
				calls          []int
			}{
				{1, 1, []int{75}}, {2, 7, []int{75}}, {3, 32, []int{75}}, {2, 512, []int{75}},
				{2, 0, []int{1}}, {3, 7, []int{31, 2, 9, 1}}, {1, 0, []int{40, 1}},
			} {
				opt.Batch = c.batch
				for pos, row := range run(t, newState(t, p, c.threads, opt), ids, c.calls...) {
					what := fmt.Sprintf("%v %s, %d threads, batch %d, calls of %v, position %d", isa, scheme, c.threads, c.batch, c.calls, pos)
					same(t, what, row, all[pos*v:(pos+1)*v])
				}
			}
		}
		restore()
	}
}

// TestSplitsLong crosses a chunk of the cache (256 positions) and of the rotation table.
func TestSplitsLong(t *testing.T) {
	m, x := model(t, stories)
	ids := randomIDs(300, m.Vocab)
	p := compile(t, m.Graph, x.as("da8w4"), Options{})
	for _, kv := range kvTypes {
		opt := stateOptions{Context: 300, KV: kv}
		want := run(t, newState(t, p, 2, opt), ids, 300)[299]
		opt.Batch = 37
		same(t, kv.String()+" batch 37", run(t, newState(t, p, 2, opt), ids, 300)[299], want)
		same(t, kv.String()+" decode", run(t, newState(t, p, 2, opt), ids, 250, 1)[299], want)
	}
}

// TestLinearISA: on the same inputs every integer layer gives the same bits on
// every ISA (numerics N7), from one row to many.
func TestLinearISA(t *testing.T) {
	m, x := model(t, stories)
	for _, scheme := range []string{"a16w8", "a16w6", "a16w4", "da8w8", "da8w6", "da8w4", "i4f", "s8s8", "mixed"} {
		w := x.as(scheme)
		if scheme == "mixed" {
			w = x.mixed(func(name string) string {
				return strings.NewReplacer("f32", "da8w8", "bf16", "a16w4").Replace(mixture(name))
			})
		}
		p := compile(t, m.Graph, w, Options{NoFuse: true})
		for _, n := range []int{1, 5, 33} {
			ids := randomIDs(n, m.Vocab)
			st := newState(t, p, 2, stateOptions{Context: n})
			s, err := p.Trace(st.ws, tokens(nil, ids, true))
			if err != nil {
				t.Fatal(err)
			}
			i := 0
			_, err = ref.Logits(context.Background(), m.Graph, x, []ref.Seq{{IDs: ids}}, ref.Options{Tap: func(node *graph.Node, _ int, in []graph.Tensor, out graph.Tensor) {
				i++
				if _, ok := node.Op.(graph.Linear); !ok {
					return
				}
				var want []float32
				for _, isa := range levels(t) {
					restore := cpu.SetMax(isa)
					got := s.Local(i-1, [][]float32{in[0].F})
					restore()
					if want == nil {
						want = append(want, got...)
						// A wrong scale or order would be equally wrong everywhere.
						if db := sqnr(got, out.F); db < 12 && scheme != "s8s8" || db < 8 {
							t.Errorf("%s %s: %.1f dB", scheme, node.Name, db)
						}
					}
					same(t, fmt.Sprintf("%s %s, %d rows, %v", scheme, node.Name, n, isa), got, want)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestTrace: the nodes of a traced pass are those of Run, and Local of a node leaves the others alone.
func TestTrace(t *testing.T) {
	m, x := model(t, variants+"llama3-bias-untied")
	p := compile(t, m.Graph, x.as("f32"), Options{NoFuse: true})
	ids := randomIDs(9, m.Vocab)
	want := runAll(t, newState(t, p, 1, stateOptions{Context: 9}), ids)
	var traces []*Trace
	for range 2 {
		tr, err := p.Trace(newState(t, p, 2, stateOptions{Context: 9}).ws, tokens(nil, ids, true))
		if err != nil {
			t.Fatal(err)
		}
		traces = append(traces, tr)
	}
	s, alone := traces[0], traces[1]
	kept := map[string][]float32{}
	var last []float32
	for i, n := range m.Graph.Nodes {
		last = slices.Clone(s.Node(i))
		kept[n.Out[0]] = last
		in, before := make([][]float32, len(n.In)), make([][]float32, len(n.In))
		for j, name := range n.In {
			in[j] = kept[name] // nil for inputs of the graph
			before[j] = slices.Clone(in[j])
		}
		same(t, n.Name+" alone", alone.Local(i, in), last)
		if i > 1 { // the maker of in[0], on other numbers
			alone.Local(i-1, [][]float32{make([]float32, len(kept[m.Graph.Nodes[i-1].In[0]]))})
		}
		for j, name := range n.In {
			same(t, n.Name+" must not write to "+name, in[j], before[j])
		}
	}
	same(t, "last node", last, want)
	fused := newState(t, compile(t, m.Graph, x.as("f32"), Options{}), 1, stateOptions{Context: 9})
	if _, err := fused.p.Trace(fused.ws, tokens(nil, ids, true)); err == nil {
		t.Error("a trace of a fused program was started")
	}
}

// TestNoAllocs: a decoded token allocates nothing.
func TestNoAllocs(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which runs with -short, checks pointers by allocating")
	}
	m, x := model(t, stories)
	for i, scheme := range append(schemes, "mixed") {
		w := x.as(scheme)
		if scheme == "mixed" {
			w = x.mixed(mixture)
		}
		s := newState(t, compile(t, m.Graph, w, Options{}), 2, stateOptions{Context: 512, KV: kvTypes[i%3]})
		run(t, s, randomIDs(33, m.Vocab), 31, 1)
		ctx, b := context.Background(), tokens(s.seq, []int32{7}, true)
		n := testing.AllocsPerRun(100, func() {
			if _, err := s.p.Run(ctx, s.ws, b); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations a token", scheme, n)
		}
	}
}

// TestTruncate: a sequence cut back goes on as a fresh one would, also across the length where dynamic RoPE sets in.
func TestTruncate(t *testing.T) {
	for _, dir := range []string{stories, variants + "dynamic-tied"} {
		m, x := model(t, dir)
		ids := randomIDs(25, m.Vocab)
		for _, kv := range kvTypes {
			p := compile(t, m.Graph, x.as("da8w8"), Options{})
			opt := stateOptions{Context: 25, KV: kv}
			s := newState(t, p, 2, opt)
			for _, n := range []int{25, 12, 0, 25, 24, 3} {
				s.Truncate(n)
				if s.Len() > n {
					t.Fatalf("%d tokens after Truncate(%d)", s.Len(), n)
				}
				old := s.Len()
				if end := min(n+8, 14); old < end {
					fresh := newState(t, p, 1, opt)
					run(t, fresh, ids[:old], 25)
					same(t, fmt.Sprintf("%s %v after Truncate(%d)", dir, kv, n), runAll(t, s, ids[old:end]), runAll(t, fresh, ids[old:end]))
				}
				run(t, s, ids[s.Len():], 25)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	m, x := model(t, stories)
	p := compile(t, m.Graph, x.as("da8w4"), Options{})
	s := newState(t, p, 1, stateOptions{Context: 10, Batch: 4})
	ctx := context.Background()
	dead, cancel := context.WithCancel(ctx)
	cancel()
	run(t, s, []int32{1, 2, 3}, 3)
	for _, c := range []struct {
		ctx  context.Context
		ids  []int32
		all  bool
		want string
	}{
		{ctx, nil, false, "no tokens"},
		{ctx, make([]int32, 8), false, "8 tokens do not fit in the context: 3 of 10"},
		{ctx, []int32{1, 1, 1, 512}, false, "token 512 at position 6 is not in the vocabulary of 512"},
		{ctx, []int32{-1}, false, "token -1 at position 3"},
		{dead, []int32{1}, false, context.Canceled.Error()},
	} {
		if _, err := s.Run(c.ctx, c.ids, c.all); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d tokens: error %v, want %q", len(c.ids), err, c.want)
		}
		if s.Len() != 3 {
			t.Fatalf("%q: %d tokens in the sequence, want 3 as before", c.want, s.Len())
		}
	}
	fresh := newState(t, p, 1, stateOptions{Context: 10})
	same(t, "after errors", run(t, s, []int32{4, 5}, 2)[4], run(t, fresh, []int32{1, 2, 3, 4, 5}, 5)[4])

	broken := errors.New("lost")
	if _, err := Compile(m.Graph, failing{x.as("f32"), broken}, Options{}); !errors.Is(err, broken) || !strings.Contains(err.Error(), `node "model.layers.0.mlp.gate_proj"`) {
		t.Errorf("weights that fail: %v", err)
	}
}

// failing fails on one layer.
type failing struct {
	*weights
	err error
}

func (f failing) Linear(name, bias string) (Layer, error) {
	if strings.Contains(name, "layers.0.mlp.up_proj") {
		return Layer{}, f.err
	}
	return f.weights.Linear(name, bias)
}
