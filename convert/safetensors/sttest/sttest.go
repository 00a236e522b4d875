// Package sttest reads .safetensors files in tests: goldens and checkpoints, whole tensors at a time.
package sttest

import (
	"testing"

	"qpt/convert/safetensors"
)

// File is an open file or folder; what cannot be read ends the test.
type File struct {
	*safetensors.Checkpoint
	t testing.TB
}

// Open opens a file or folder until the test ends.
func Open(t testing.TB, path string) File {
	t.Helper()
	c, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return File{c, t}
}

// Has tells whether there is a tensor of that name.
func (f File) Has(name string) bool { _, ok := f.Tensor(name); return ok }

// Floats is a tensor as float32, which holds the numbers of goldens exactly, and its shape.
func (f File) Floats(name string) (v []float32, shape []int) {
	f.t.Helper()
	x, ok := f.Tensor(name)
	if !ok {
		f.t.Fatalf("no tensor %q among %q", name, f.Names())
	}
	v = make([]float32, x.NumElems())
	if err := x.ReadPart(0, v); err != nil {
		f.t.Fatal(err)
	}
	return v, x.Shape
}

// Values is Floats without the shape.
func (f File) Values(name string) []float32 {
	f.t.Helper()
	v, _ := f.Floats(name)
	return v
}

// Ints is a tensor of whole numbers, such as ids.
func (f File) Ints(name string) (list []int32) {
	f.t.Helper()
	for _, x := range f.Values(name) {
		list = append(list, int32(x))
	}
	return list
}
