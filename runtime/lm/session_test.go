package lm_test

import (
	"context"
	"errors"
	"path/filepath"
	goruntime "runtime"
	"testing"
	"time"

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

// TestFairness: while one session reads a long prompt, another's next token waits for a pass or two and not for the prompt.
func TestFairness(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := narrow(t, 4)
	long, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	other, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Append(t.Context(), []int32{1}); err != nil {
		t.Fatal(err)
	}
	ids := make([]int32, m.Context()-1)
	for i := range ids {
		ids[i] = int32(i*7919+1) % 512
	}
	done := make(chan error, 1)
	go func() {
		_, err := long.Append(t.Context(), ids)
		done <- err
	}()
	tokens, longest, start := 0, time.Duration(0), time.Now()
	for running := true; running; tokens++ {
		at := time.Now()
		if _, err := other.Append(t.Context(), []int32{2}); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(at))
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
	}
	whole := time.Since(start)
	t.Logf("%d tokens beside a prompt of %d; it took %v, the longest of them %v", tokens, len(ids), whole, longest)
	if tokens < 4 || longest > whole/2 {
		t.Errorf("%d tokens beside a prompt that took %v; the longest took %v", tokens, whole, longest)
	}
}

// TestDeadline: the end of a context is met within a pass, and while waiting for a turn.
func TestDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	m := narrow(t, 4)
	ids := make([]int32, m.Context()-1)
	for i := range ids {
		ids[i] = int32(i*104729+1) % 512
	}
	fresh := func() *lm.Session {
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	start := time.Now()
	if _, err := fresh().Append(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(start)
	for _, what := range []string{"alone", "while another runs"} {
		stop, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		if what != "alone" {
			go func() {
				_, err := fresh().Append(stop, ids)
				done <- err
			}()
			time.Sleep(whole / 20)
		}
		ctx, end := context.WithTimeout(t.Context(), whole/10)
		s, start := fresh(), time.Now()
		_, err := s.Append(ctx, ids)
		took := time.Since(start)
		end()
		cancel()
		if what != "alone" {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("the other: %v", err)
			}
		}
		if !errors.Is(err, context.DeadlineExceeded) || took > whole/2 {
			t.Errorf("%s: error %v after %v of a deadline of %v, all takes %v", what, err, took, whole/10, whole)
		}
		if n := s.Len(); n >= len(ids) {
			t.Errorf("%s: %d tokens in the sequence", what, n)
		} else if _, err := s.Append(t.Context(), ids[n:n+1]); err != nil {
			t.Errorf("%s: afterwards: %v", what, err)
		}
	}
}

// TestKVAccuracy: what the storage of keys and values costs, of the FP32 results in the file; weights in float32.
func TestKVAccuracy(t *testing.T) {
	for _, c := range []struct {
		kv         string
		least, sum float64 // KL of a token
	}{{"f32", 0, 1e-9}, {"bf16", 1e-6, 2e-4}, {"int8", 1e-4, 4e-3}} {
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
