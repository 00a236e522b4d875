package calibrate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qpt/kernels/linear"
)

// equalResults compares packed weights and scales.
func equalResults(t *testing.T, a, b *Result) {
	t.Helper()
	if len(a.Weights) == 0 || len(a.Weights) != len(b.Weights) || len(a.Sites) != len(b.Sites) {
		t.Fatalf("%d weights of %d sites, want %d of %d", len(b.Weights), len(b.Sites), len(a.Weights), len(a.Sites))
	}
	for name := range a.Weights {
		v, err := a.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		w, err := b.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.Data, w.Data) || !bytes.Equal(v.Groups, w.Groups) || !slices.Equal(v.Scale, w.Scale) || !slices.Equal(v.Sum, w.Sum) {
			t.Errorf("%s differs", name)
		}
		if !slices.Equal(a.Source.Col[name], b.Source.Col[name]) || !slices.Equal(a.Source.Row[name], b.Source.Row[name]) {
			t.Errorf("the scales of %s differ", name)
		}
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// With hardly any memory activations and layers go through files: the same
// result, and no file is left. An interrupted run goes on from its journal.
func TestMemoryAndJournal(t *testing.T) {
	g, src, calib, _ := stories(t)
	opt := Options{Seqs: [][]int32{calib[0][:20], calib[1][:30]}, Target: projections(linear.I4), GPTQ: true, Scales: true, Sweeps: 1, Correct: true, Threads: 2}
	want, err := Run(context.Background(), g, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	opt.TempDir, opt.Memory, opt.Threads = t.TempDir(), 1, 1
	got, err := Run(context.Background(), g, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	equalResults(t, want, got)
	if got.Weights[got.Sites[0].Reader].Data != nil {
		t.Error("finished layers stay in memory")
	}
	if err := got.Close(); err != nil {
		t.Error(err)
	}
	if left := entries(t, opt.TempDir); left != nil {
		t.Errorf("left behind: %q", left)
	}

	none := opt
	none.Target = func(string) (Target, bool) { return Target{}, false }
	if res, err := Run(context.Background(), g, src, none); err != nil || len(res.Weights) > 0 || res.Close() != nil {
		t.Errorf("nothing to round: %v, %v", res, err)
	}

	opt.Journal = filepath.Join(t.TempDir(), "j")
	ctx, cancel := context.WithCancel(context.Background())
	opt.Progress = func(done, _ int) {
		if done == 6 {
			cancel()
		}
	}
	if _, err := Run(ctx, g, src, opt); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if left := entries(t, opt.TempDir); left != nil {
		t.Errorf("left behind: %q", left)
	}
	whole, err := os.ReadFile(opt.Journal)
	if err != nil {
		t.Fatal(err)
	}
	opt.Progress = nil
	resume := func(journal []byte) error {
		t.Helper()
		if err := os.WriteFile(opt.Journal, journal, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Run(context.Background(), g, src, opt)
		if err != nil {
			return err
		}
		equalResults(t, want, got)
		return got.Close()
	}
	damaged := slices.Clone(whole)
	damaged[len(damaged)*2/3] ^= 4
	for i, journal := range [][]byte{whole, whole[:len(whole)-9], damaged, {}} {
		if err := resume(journal); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	finished, err := os.ReadFile(opt.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(finished, whole) {
		t.Error("the journal of a resumed run is not that of the first, continued")
	}
	opt.Key[0] = 1 // another model: its layers must not be taken
	if err := resume(finished); err != nil {
		t.Error(err)
	}
	if again, _ := os.ReadFile(opt.Journal); !bytes.Equal(again[48:], finished[48:]) || again[16] != 1 {
		t.Error("the journal of another run is not begun anew")
	}
	for _, other := range []string{"not ours", "a longer text that somebody wants to keep, in a file of this name"} {
		if err := resume([]byte(other)); !errors.Is(err, ErrJournal) {
			t.Errorf("a foreign file: %v", err)
		}
		if kept, _ := os.ReadFile(opt.Journal); string(kept) != other {
			t.Error("a foreign file is overwritten")
		}
	}
}
