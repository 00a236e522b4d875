package runtime_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

// TestTuning: measurements are kept and used again; a damaged file is only a
// cache; and where nothing can be kept the model runs.
func TestTuning(t *testing.T) {
	path, err := lmtest.Convert(filepath.Join(lmtest.Root, "testdata/stories260K"), "da8w4")
	if err != nil {
		t.Fatal(err)
	}
	file := runtime.TuningPath(filepath.Join(t.TempDir(), "a", "b"))
	logits := func(opt runtime.Options) ([]float32, *lm.Model) {
		m, err := lm.Load(path, opt)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		y, err := m.Forward(context.Background(), []int32{1, 2, 3, 4, 5, 6, 7})
		if err != nil {
			t.Fatal(err)
		}
		return y, m
	}
	want, _ := logits(runtime.Options{})
	got, m := logits(runtime.Options{Tuning: file})
	list, err := m.Tuning()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("tuning changes results")
	}
	if len(list) == 0 {
		t.Skip("nothing to choose from on this machine")
	}
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	logits(runtime.Options{Tuning: file})
	if again, _ := os.ReadFile(file); !bytes.Equal(first, again) {
		t.Error("measured again although the file has it all")
	}
	if err := os.WriteFile(file, []byte(`{"version":`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, m = logits(runtime.Options{Tuning: file})
	if again, err := m.Tuning(); err != nil || len(again) != len(list) {
		t.Errorf("after damage: %d shapes, error %v", len(again), err)
	}
	if mended, _ := os.ReadFile(file); len(mended) < len(first)/2 {
		t.Errorf("the damaged file was not written again: %q", mended)
	}
	// A file where a folder should be: nothing can be kept.
	got, m = logits(runtime.Options{Tuning: filepath.Join(path, "x.json")})
	if _, err := m.Tuning(); err == nil || !slices.Equal(got, want) {
		t.Errorf("no place to keep: error %v", err)
	}
}
