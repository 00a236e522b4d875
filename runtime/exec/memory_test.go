package exec

import (
	"slices"
	"testing"

	"qpt/format/graph"
	"qpt/kernels/linear"
)

// The largest models of this family stay below the limit, graphs that ask for
// gigabytes with a few bytes of weights do not.
func TestLeastMemory(t *testing.T) {
	p := Program{
		caches: slices.Repeat([]graph.Attention{{Heads: 128, KVHeads: 8, HeadDim: 128}}, 126), // Llama 3.1 405B
		ropes:  []graph.RoPE{{Freqs: make([]float64, 64)}},
		acts:   []actSpec{{form: linear.A8, k: 53248}, {form: linear.A8, k: 16384}},
		slots:  4,
		symR:   1,
		values: []value{
			{width: 128256, lead: []graph.Dim{-2}, slot: 0}, {width: 53248, lead: []graph.Dim{-1}, slot: 1},
			{width: 53248, lead: []graph.Dim{-1}, slot: 2}, {width: 16384, lead: []graph.Dim{-1}, slot: 3},
		},
	}
	if n := p.leastMemory(); n > maxWorking/4 {
		t.Errorf("%.1f GiB for a large model", n/(1<<30))
	}
	if n := p.MaxRows(); n < 512 {
		t.Errorf("passes of %d tokens", n)
	}
	for name, p := range map[string]Program{
		"heads":     {caches: []graph.Attention{{Heads: 1 << 20, KVHeads: 1 << 20, HeadDim: 1}}},
		"layers":    {caches: slices.Repeat([]graph.Attention{{Heads: 1024, KVHeads: 1024, HeadDim: 32}}, 1<<12)},
		"wide head": {caches: []graph.Attention{{Heads: 1, KVHeads: 1, HeadDim: 1 << 23}}},
		"groups":    {caches: []graph.Attention{{Heads: 1 << 30, KVHeads: 1, HeadDim: 1}}},
		"ropes":     {ropes: slices.Repeat([]graph.RoPE{{Freqs: make([]float64, 1<<12)}}, 1<<10)},
		"width":     {values: []value{{width: 1 << 40}}, slots: 1},
	} {
		if n := p.leastMemory(); n <= maxWorking {
			t.Errorf("%s: %.3f GiB are within the limit", name, n/(1<<30))
		}
	}
}
