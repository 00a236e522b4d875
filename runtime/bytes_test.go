package runtime_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

// TestLoadBytes: a file in memory, aligned or not, and one of a file system give the bits of the mapped one.
func TestLoadBytes(t *testing.T) {
	path, err := lmtest.Convert(lmtest.Checkpoint, "da8w4")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ids := []int32{1, 50, 300}
	want, err := lmtest.Load(t, "da8w4").Forward(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	room := make([]byte, len(data)+64)
	for _, skip := range []int{0, 1, 33} {
		b := room[skip:][:copy(room[skip:], data)]
		r, err := runtime.LoadBytes("embedded", b, runtime.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := lm.New(r, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Forward(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		lmtest.Same(t, "from memory", got, want)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	fsys := fstest.MapFS{"models/m.qpt": {Data: data}}
	r, err := runtime.LoadFS(fsys, "models/m.qpt", runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := runtime.LoadFS(fsys, "models/none.qpt", runtime.Options{}); err == nil {
		t.Error("a file that is not there")
	}
	for _, b := range [][]byte{nil, data[:100], []byte(strings.Repeat("x", 4096))} {
		if _, err := runtime.LoadBytes("broken.qpt", b, runtime.Options{}); err == nil || !strings.Contains(err.Error(), "broken.qpt") {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	if _, err := r.Run(t.Context(), map[string]runtime.Tensor{"ids": {Shape: []int{1}, I: []int32{1}}}, runtime.RunOptions{Program: "vision"}); err == nil || !strings.Contains(err.Error(), filepath.Base("m.qpt")) {
		t.Errorf("a program that is not there: %v", err)
	}
}
