package main

import (
	"testing"

	"qpt/runtime"
)

// The command works on a model of any size.
func TestRun(t *testing.T) {
	o := options{shape: "tiny", scheme: "da8w4", dir: t.TempDir(), streams: []int{1, 3}, prompt: 5, passes: 2, rounds: 2, run: runtime.Options{Threads: 1}}
	for range 2 { // makes the file, and finds it
		if err := run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	o.shape = "none"
	if err := run(t.Context(), o); err == nil {
		t.Error("a shape that does not exist")
	}
}
