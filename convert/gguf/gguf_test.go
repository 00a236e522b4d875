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
	"testing"

	"qpt/convert/safetensors/sttest"
	"qpt/convert/stored"
	"qpt/internal/num"
)

// oracle is where checkpoints of other tools are kept, outside the repository.
const oracle = "../../../shared/oracle/import"

// Every weight of every file there has the bits that ggml and gguf-py give it.
func TestOracle(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(oracle, "gguf-*"))
	if len(dirs) == 0 {
		t.Skip("no oracle beside the repository")
	}
	for _, dir := range dirs {
		f, err := Open(filepath.Join(dir, "model.gguf"))
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
	golden := sttest.Open(t, plain)
	for _, name := range golden.Names() {
		a := golden.Values(name)
		have, ok := f.Tensors.Tensor(name)
		if !ok {
			t.Errorf("%s: no tensor %s", path, name)
			continue
		}
		b := make([]float32, len(a))
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
	seen := map[string]bool{"Q1_0": true, "Q2_0": true} // see TestBits
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

// Q1_0 and Q2_0, which gguf-py does not read: one bit for -d or d, two for -1 to 2 times d, the first lowest.
func TestBits(t *testing.T) {
	block := append([]byte{0, 0x38}, bytes.Repeat([]byte{0b11_10_01_00, 0b00_00_00_01}, 8)...) // d = 0.5
	for name, want := range map[string][]float32{
		"Q1_0": {-.5, -.5, .5, -.5, -.5, .5, .5, .5, .5, -.5, -.5, -.5, -.5, -.5, -.5, -.5},
		"Q2_0": {-.5, 0, .5, 1, 0, -.5, -.5, -.5},
	} {
		for _, k := range kinds {
			if k.name != name {
				continue
			}
			c := k.codes
			c.N, c.K = 1, k.values
			b := c.Block(1, new(stored.Block))
			k.block(block, &part{codes: b.Codes, scale: b.Scale})
			have := make([]float32, k.values)
			c.Dequantize(b, have)
			if !slices.Equal(have[:2*len(want)], slices.Concat(want, want)) {
				t.Errorf("%s: %v, want %v", name, have[:2*len(want)], want)
			}
		}
	}
}
