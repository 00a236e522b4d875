package exec

import (
	"testing"

	"qpt/kernels/attn"
	"qpt/runtime/ref"
)

// TestWindows: a layer with a window keeps little more than that however long the sequence is, what comes then is what the FP32 executor gives, which
// keeps all, and memory is what KVBytes says.
func TestWindows(t *testing.T) {
	const rows, n = 16, 6 * attn.PageLen
	g, x, _ := historyModel(t)
	p := compile(t, g, x.as("f32"), Options{})
	pool := attn.NewPool(0)
	fast := &fast{p, NewWorkspace(1), pool, attn.KVF32}
	defer fast.ws.Close()
	exact := &plain{g, x}
	s, all := p.NewSequence(pool, attn.KVF32, n), exact.start().(*ref.Sequence)
	defer s.Close()
	for at := 0; at < n; at += rows {
		ids := make([]int32, rows)
		for i := range ids {
			ids[i] = int32((at + i*i) % 40)
		}
		got, err := fast.pass(t.Context(), tokens(s, ids, false))
		if err != nil {
			t.Fatal(err)
		}
		want, err := exact.pass(t.Context(), tokens(all, ids, false))
		if err != nil {
			t.Fatal(err)
		}
		near(t, got[0].F, want[0].F)
		if used, most := pool.Used(), p.KVBytes(attn.KVF32, at+rows, 0); used > most {
			t.Errorf("%d positions take %d bytes, KVBytes says %d", at+rows, used, most)
		}
	}
	var others int64 // a page of each layer without a window
	for _, c := range p.caches {
		if c.Mask.Window == 0 {
			others += int64(attn.PageBytes(attn.KVF32, c.KVHeads, c.HeadDim, c.Values))
		}
	}
	if more := p.KVBytes(attn.KVF32, n, 0) - p.KVBytes(attn.KVF32, n-attn.PageLen, 0); len(p.caches) != 3 || more != others {
		t.Errorf("a page more takes %d bytes, want %d", more, others)
	}
}
