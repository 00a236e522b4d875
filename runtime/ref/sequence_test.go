package ref_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// TestSequences: any cut of a text into passes, with others beside it, forked and truncated, gives the bits of one
// pass, also on the fast products. A model with dynamic RoPE is told where an append ends.
func TestSequences(t *testing.T) {
	for _, dir := range []string{"../../testdata/stories260K", "../../testdata/llama-variants/llama3-bias-untied", "../../testdata/llama-variants/dynamic-tied"} {
		m, w := model(t, dir)
		r := rand.New(rand.NewPCG(7, 8))
		texts := make([][]int32, 3)
		for i := range texts {
			for range 12 + r.IntN(12) {
				texts[i] = append(texts[i], r.Int32N(30))
			}
		}
		var whole []graph.Tensor
		for _, ids := range texts {
			whole = append(whole, run(t, m, w, ref.Seq{IDs: ids})[0])
		}
		seqs := make([]*ref.Sequence, len(texts))
		for i := range seqs {
			seqs[i] = ref.NewSequence(m.Graph)
		}
		opts := ref.Options{Threads: 2, Dot: linear.MatMul()}
		for left := true; left; {
			left = false
			b, ids := new(graph.Batch), []int32{}
			var at []int // text of each part
			for i, s := range seqs {
				if s.Len() == len(texts[i]) || r.IntN(4) == 0 {
					left = left || s.Len() < len(texts[i])
					continue
				}
				left = true
				n := 1 + r.IntN(min(5, len(texts[i])-s.Len()))
				p := graph.Part{Seq: s, N: n, End: len(texts[i])}
				for j := range n {
					if r.IntN(2) == 0 {
						p.Rows = append(p.Rows, int32(j))
					}
				}
				b.Parts, at = append(b.Parts, p), append(at, i)
				ids = append(ids, texts[i][s.Len():s.Len()+n]...)
			}
			if at == nil {
				continue
			}
			b.Inputs = map[string]graph.Tensor{"ids": {Shape: []int{len(ids)}, I: ids}}
			starts := make([]int, len(seqs))
			for i, s := range seqs {
				starts[i] = s.Len()
			}
			out, err := ref.Run(context.Background(), m.Graph, w, b, opts)
			if err != nil {
				t.Fatal(err)
			}
			row := 0
			for i, p := range b.Parts {
				for _, j := range p.Rows {
					near(t, fmt.Sprintf("%s: text %d position %d", dir, at[i], starts[at[i]]+int(j)), out[0].Row(row), whole[at[i]].Row(starts[at[i]]+int(j)), 0)
					row++
				}
			}
			if i := r.IntN(len(seqs)); seqs[i].Len() > 0 { // a copy goes on with other tokens, then the original goes back
				f := seqs[i].Fork()
				other := graph.Batch{Parts: []graph.Part{{Seq: f, N: 2, Rows: []int32{1}}}, Inputs: map[string]graph.Tensor{"ids": {Shape: []int{2}, I: []int32{7, 7}}}}
				if _, err := ref.Run(context.Background(), m.Graph, w, &other, opts); err != nil || f.Len() != seqs[i].Len()+2 {
					t.Fatal(f.Len(), err)
				}
				seqs[i].Truncate(max(0, seqs[i].Len()-r.IntN(3)))
			}
		}
	}
}

// TestFailedPass: a pass that fails leaves sequences as they were.
func TestFailedPass(t *testing.T) {
	m, w := model(t, "../../testdata/stories260K")
	s := ref.NewSequence(m.Graph)
	pass := func(ctx context.Context, ids ...int32) ([]graph.Tensor, error) {
		return ref.Run(ctx, m.Graph, w, &graph.Batch{Parts: []graph.Part{{Seq: s, N: len(ids), Rows: []int32{0}}},
			Inputs: map[string]graph.Tensor{"ids": {Shape: []int{len(ids)}, I: ids}}}, ref.Options{})
	}
	if _, err := pass(t.Context(), 1, 5, 9); err != nil {
		t.Fatal(err)
	}
	walk, err := ref.Start(m.Graph, w, &graph.Batch{Parts: []graph.Part{{Seq: s, N: 1}}, Inputs: map[string]graph.Tensor{"ids": {Shape: []int{1}, I: []int32{8}}}}, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := walk.Advance(t.Context(), len(m.Graph.Nodes)-1); err != nil || s.Len() != 3 { // all attentions have run
		t.Fatal(s.Len(), err)
	}
	out, err := pass(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "after a pass that did not end", out[0].F, run(t, m, w, ref.Seq{IDs: []int32{1, 5, 9, 2}, Rows: []int32{3}})[0].F, 0)
}

// TestBatchErrors: what a batch must not be.
func TestBatchErrors(t *testing.T) {
	m, w := model(t, "../../testdata/stories260K")
	other, _ := model(t, "../../testdata/llama-variants/linear-mha")
	seq := ref.NewSequence(m.Graph)
	ids := func(n int) map[string]graph.Tensor {
		return map[string]graph.Tensor{"ids": {Shape: []int{n}, I: make([]int32, n)}}
	}
	for _, c := range []struct {
		want string
		b    graph.Batch
	}{
		{"the batch has no parts", graph.Batch{Inputs: ids(0)}},
		{"part 1 of the batch has 0 rows", graph.Batch{Parts: []graph.Part{{N: 1}, {}}, Inputs: ids(1)}},
		{"part 0: its sequence belongs to another", graph.Batch{Parts: []graph.Part{{Seq: ref.NewSequence(other.Graph), N: 1}}, Inputs: ids(1)}},
		{"part 1: a sequence can be in one part", graph.Batch{Parts: []graph.Part{{Seq: seq, N: 1}, {Seq: seq, N: 1}}, Inputs: ids(2)}},
		{"rows wanted are [1 1]: must ascend within 0 to 1", graph.Batch{Parts: []graph.Part{{N: 2, Rows: []int32{1, 1}}}, Inputs: ids(2)}},
		{`input "ids" i32 [T] is missing`, graph.Batch{Parts: []graph.Part{{N: 2}}}},
		{`input "ids" has shape [3], must be [T]`, graph.Batch{Parts: []graph.Part{{N: 2}}, Inputs: ids(3)}},
		{`0 floats and 1 integers, must have 2`, graph.Batch{Parts: []graph.Part{{N: 2}}, Inputs: map[string]graph.Tensor{"ids": {Shape: []int{2}, I: make([]int32, 1)}}}},
		{`gives "pos"`, graph.Batch{Parts: []graph.Part{{N: 2}}, Inputs: map[string]graph.Tensor{"pos": {}}}},
		{`gives "image"`, graph.Batch{Parts: []graph.Part{{N: 2}}, Inputs: map[string]graph.Tensor{"image": {}}}},
	} {
		if _, err := ref.Run(t.Context(), m.Graph, w, &c.b, ref.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}

	for i := range m.Graph.Nodes {
		if op, ok := m.Graph.Nodes[i].Op.(graph.Attention); ok {
			op.Cache = ""
			m.Graph.Nodes[i].Op = op
		}
	}
	for i, want := range []string{"", "2 tokens after 2 must be one pass on an empty sequence"} {
		_, err := ref.Run(t.Context(), m.Graph, w, &graph.Batch{Parts: []graph.Part{{Seq: seq, N: 2}}, Inputs: ids(2)}, ref.Options{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("pass %d without a cache: %v, want %s", i, err, want)
		}
	}
}
