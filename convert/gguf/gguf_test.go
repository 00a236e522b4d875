package gguf

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/internal/num"
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

// Every type that is read, from random blocks, has the bits that gguf-py gives it.
func TestTypes(t *testing.T) {
	f, err := openFile("../../testdata/import/types.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.disk.Close()
	seen := map[string]bool{}
	for _, r := range f.blocks {
		x := r.tensor(r.name, r.shape, 0, nil)
		c, err := stored.New([]*stored.Tensor{x}, stored.Source{})
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float32, x.Values())
		if err := c.ReadRows(r.name, 0, r.shape[0], v); err != nil {
			t.Error(err)
			continue
		}
		want := f.keys["golden."+r.name].text
		if have := fmt.Sprintf("%x", sha256.Sum256(num.BytesOf(v))); have != want || want == "" || r.kind.name != r.name {
			t.Errorf("%s, stored as %s: SHA-256 %s, want %s", r.name, r.kind.name, have, want)
		}
		part := make([]float32, 5)
		if err := c.ReadPart(r.name, 6, part); err != nil || !slices.Equal(part, v[6:11]) {
			t.Errorf("%s: a part differs from the rows (%v)", r.name, err)
		}
		seen[r.name] = true
	}
	for _, k := range kinds {
		if (k.block != nil || k.numbers != nil) && !seen[k.name] {
			t.Errorf("no golden of type %s", k.name)
		}
	}
}
