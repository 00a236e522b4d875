package gguf

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert/safetensors"
)

// oracle is where checkpoints of other tools are kept, outside the repository.
const oracle = "../../../shared/oracle/import"

// Every weight of every file there has the bits that ggml and gguf-py give it, or is refused by the name of its type.
func TestOracle(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(oracle, "gguf-*"))
	if len(dirs) == 0 {
		t.Skip("no oracle beside the repository")
	}
	for _, dir := range dirs {
		f, err := Open(filepath.Join(dir, "model.gguf"))
		if base := filepath.Base(dir); strings.HasPrefix(base, "gguf-rare") {
			if err == nil || !strings.Contains(err.Error(), "is of type IQ") {
				t.Errorf("%s: %v", base, err)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		compareGolden(t, f, filepath.Join(dir, "dequant.safetensors.gz"))
		f.Tensors.Close()
	}
}

// compareGolden holds the tensors of f against those of a compressed file.
func compareGolden(t *testing.T, f *File, path string) {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		return // plain types have none
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(plain, data, 0o600); err != nil {
		t.Fatal(err)
	}
	golden, err := safetensors.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	for _, name := range golden.Names() {
		want, _ := golden.Tensor(name)
		have, ok := f.Tensors.Tensor(name)
		if !ok {
			t.Errorf("%s: no tensor %s", path, name)
			continue
		}
		a, b := make([]float32, want.NumElems()), make([]float32, want.NumElems())
		if err := want.ReadRows(0, want.NumRows(), a); err != nil {
			t.Fatal(err)
		}
		if err := have.ReadRows(0, have.Shape[0], b); err != nil {
			t.Error(err)
			continue
		}
		for i := range a {
			if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
				t.Errorf("%s: %s (%s): value %d is %v, want %v", path, name, have.Type, i, b[i], a[i])
				break
			}
		}
	}
}
