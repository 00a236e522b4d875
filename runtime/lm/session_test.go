package lm_test

import (
	"path/filepath"
	goruntime "runtime"
	"testing"

	"qpt/bench/synth"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

// narrow has the keys and values of a model with 1.1 billion parameters, and little else.
func narrow(t *testing.T, layers int) *lm.Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "narrow")
	s := synth.Shapes["tinyllama-1.1b"]
	s.Layers, s.Heads, s.Hidden, s.FFN, s.Vocab = layers, 8, 64, 64, 512
	if err := synth.Write(dir, s, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	return lmtest.Open(t, dir, "da8w8", runtime.Options{Context: 1400})
}

// heap is what is in use after a collection.
func heap() int64 {
	goruntime.GC()
	goruntime.GC()
	var s goruntime.MemStats
	goruntime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// TestSessionMemory: an empty session takes little beside its pages, and those only come as it fills.
func TestSessionMemory(t *testing.T) {
	m := narrow(t, 22)
	warm, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := warm.Append(t.Context(), []int32{1, 2, 3}); err != nil { // the buffers of passes
		t.Fatal(err)
	}
	const n = 1000
	before, list := heap(), make([]*lm.Session, n)
	for i := range list {
		if list[i], err = m.NewSession(); err != nil {
			t.Fatal(err)
		}
	}
	got := (heap() - before) / n
	t.Logf("an empty session of 22 layers takes %d bytes", got)
	if got > 16<<10 {
		t.Errorf("an empty session of 22 layers takes %d bytes, want at most 16 KiB", got)
	}
	goruntime.KeepAlive(list)
}

// TestKVAccuracy: what the storage of keys and values costs, of the FP32 results in the file (KL 1.9e-4 and 4.0e-3
// when this was written); weights in float32.
func TestKVAccuracy(t *testing.T) {
	for _, c := range []struct {
		kv         string
		least, sum float64 // KL of a token
	}{{"f32", 0, 1e-9}, {"bf16", 1e-6, 5e-4}, {"int8", 1e-4, 8e-3}} {
		d, err := compare.Check(t.Context(), lmtest.Open(t, lmtest.Checkpoint, "f32", runtime.Options{KV: c.kv}))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: KL %.3g, top-1 %.3f, SQNR %.1f dB", c.kv, d.KL(), d.Top1(), d.SQNR())
		if !(d.KL() >= c.least && d.KL() <= c.sum) {
			t.Errorf("%s: KL %.3g, want %g to %g", c.kv, d.KL(), c.least, c.sum)
		}
	}
}
