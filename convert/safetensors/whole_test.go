package safetensors

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// write writes a file whose data is what content says for each tensor.
func write(path string, specs []Spec, metadata map[string]string, content func(Spec) []byte) error {
	f, err := writeShard(path, specs, metadata, func(s Spec, w io.Writer) error {
		_, err := w.Write(content(s))
		return err
	})
	if err != nil {
		return err
	}
	return f.Commit()
}

// content is data that depends on the tensor's name only.
func content(s Spec) []byte {
	size, _ := s.Size()
	b := make([]byte, size)
	r := rand.NewChaCha8(sha256.Sum256([]byte(s.Name)))
	r.Read(b)
	return b
}

func listing(t interface{ Fatal(...any) }, dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestWriterBytes fixes the bytes: order of the data, padding, escapes.
func TestWriterBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	specs := []Spec{{"b", U8, []int{3}}, {"a\"\n", U8, []int{}}, {"z", F32, []int{1, 2}}, {"c", BF16, []int{2}}}
	err := write(path, specs, map[string]string{"format": "pt", "a": "\\"}, func(s Spec) []byte {
		size, _ := s.Size()
		return bytes.Repeat([]byte(s.Name[:1]), int(size))
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	header := `{"__metadata__":{"a":"\\","format":"pt"},` +
		`"a\"\n":{"dtype":"U8","shape":[],"data_offsets":[12,13]},` +
		`"b":{"dtype":"U8","shape":[3],"data_offsets":[13,16]},` +
		`"c":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]},` +
		`"z":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := append(raw(header, 0), "zzzzzzzzccccabbb"...)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if names := listing(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("files %q", names)
	}
}

// TestWriterFailures: nothing appears, and an older file stays.
func TestWriterFailures(t *testing.T) {
	specs := []Spec{{"a", U8, []int{3}}, {"b", U8, []int{0}}}
	for _, c := range []struct {
		name, says string
		specs      []Spec
		metadata   map[string]string
		data       string // of each
		err        error
	}{
		{"too little", `tensor "a": data_offsets do not fit dtype and shape: found 2 bytes of data, want 3`, specs[:1], nil, "12", ErrTensorSize},
		{"nothing", "found 0 bytes of data, want 3", specs, nil, "", ErrTensorSize},
		{"too much", `tensor "b"`, specs[1:], nil, "1", ErrTensorSize},
		{"reserved name", "__metadata__", []Spec{{"__metadata__", U8, nil}}, nil, "", nil},
		{"name not UTF-8", `\xff`, []Spec{{"\xff", U8, nil}}, nil, "", nil},
		{"no dtype", "DType(0)", []Spec{{"a", 0, nil}}, nil, "", ErrDType},
		{"another dtype", "F8_E4M3", []Spec{{"a", F8E4M3, nil}}, nil, "", ErrDType},
		{"too large", `"a"`, []Spec{{"a", U8, []int{1 << 62}}}, nil, "", ErrOverflow},
		{"too large together", `"`, slices.Repeat([]Spec{{"", U8, []int{1 << 59}}}, 20), nil, "", ErrOverflow},
		{"header too large", "at most 100000000", []Spec{{strings.Repeat("x", maxHeader), U8, nil}}, nil, "1", ErrHeaderTooLarge},
		{"metadata not UTF-8", `metadata "k"`, specs, map[string]string{"k": "\xff"}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.specs {
				if len(c.specs) > 2 {
					c.specs[i].Name = fmt.Sprint(i)
				}
			}
			dir := folder(t, map[string][]byte{"x": []byte("old")})
			err := write(filepath.Join(dir, "x"), c.specs, c.metadata, func(Spec) []byte { return []byte(c.data) })
			if err == nil || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %.300v, want %v that says %q", err, c.err, c.says)
			}
			if old, _ := os.ReadFile(filepath.Join(dir, "x")); string(old) != "old" || len(listing(t, dir)) != 1 {
				t.Errorf("files %q, x has %q", listing(t, dir), old)
			}
		})
	}
}

// ReadFile gives back what WriteFile wrote, in package nlp's types, and refuses what Open refuses.
func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	specs := []Spec{{"scalar", F32, nil}, {"none", I64, []int{0, 3}}, {"ids", I64, []int{2, 3}}, {"mask", BOOL, []int{2, 3}}}
	if err := write(path, specs, map[string]string{"k": "v"}, content); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil || len(got) != len(specs) {
		t.Fatalf("%d tensors, %v", len(got), err)
	}
	for _, s := range specs {
		v := got[s.Name]
		if v.DType().String() != s.DType.String() || fmt.Sprint(v.Shape()) != fmt.Sprint(s.Shape) || !bytes.Equal(v.Data(), content(s)) {
			t.Errorf("%v: got %v %v %x", s, v.DType(), v.Shape(), v.Data())
		}
	}
	again := path + ".again"
	if err := WriteFile(again, got, map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(path)
	if b, _ := os.ReadFile(again); !bytes.Equal(a, b) {
		t.Errorf("written again:\n%q\n%q", b, a)
	}
	for name, c := range map[string]struct {
		file []byte
		err  error
	}{
		"a tensor twice": {raw("{"+entry("a", "U8", "[1]", 0, 1)+","+entry("a", "U8", "[1]", 0, 1)+"}", 1), ErrDuplicateKey},
		"FP8":            {raw("{"+entry("a", "F8_E4M3", "[1]", 0, 1)+"}", 1), ErrDType},
		"cut":            {a[:len(a)-1], ErrFileLength},
	} {
		if err := os.WriteFile(path, c.file, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); !errors.Is(err, c.err) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %v", name, err, c.err)
		}
	}
	if _, err := ReadFile(filepath.Dir(path)); !errors.Is(err, ErrNotFile) {
		t.Errorf("a folder: %v", err)
	}
}

// drawSpecs draws specs with distinct names.
func drawSpecs(t *rapid.T) []Spec {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Spec {
		s := Spec{
			Name:  rapid.StringN(1, 8, 16).Draw(t, "name"),
			DType: rapid.SampledFrom([]DType{BOOL, U8, I8, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64}).Draw(t, "dtype"),
			Shape: rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4).Draw(t, "shape"),
		}
		return s
	}), 1, 12, func(s Spec) string { return s.Name }).Draw(t, "specs")
}

// TestRoundTrip: what is written, in one file or in shards, is read.
func TestRoundTrip(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		specs := drawSpecs(t)
		metadata := rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "metadata")
		n := rapid.IntRange(1, len(specs)).Draw(t, "shards")
		err = WriteSharded(dir, n, specs, metadata, func(s Spec, w io.Writer) error {
			b := content(s)
			for _, piece := range [][]byte{b[:len(b)/3], b[len(b)/3:]} {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(listing(t, dir)), n+min(1, n-1); got != want {
			t.Fatalf("%d files, want %d", got, want)
		}
		c, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if len(c.Warnings()) != 0 || len(c.Files()) != n || len(c.Names()) != len(specs) {
			t.Fatalf("warnings %q, files %v, names %q", c.Warnings(), c.Files(), c.Names())
		}
		for key, value := range metadata {
			if c.Metadata()[key] != value {
				t.Errorf("metadata %q: got %q, want %q", key, c.Metadata()[key], value)
			}
		}
		for _, s := range specs {
			x, ok := c.Tensor(s.Name)
			if !ok || x.DType != s.DType || !slices.Equal(x.Shape, s.Shape) {
				t.Fatalf("got %+v, want %+v", x, s)
			}
			check(t, x, content(s))
		}
	})
}

// check reads a tensor in every way and compares with its stored bytes.
func check(t *rapid.T, x *Tensor, want []byte) {
	got, err := x.Bytes()
	if err != nil || !bytes.Equal(got, want) || x.Size() != int64(len(want)) || cap(got) != len(got) {
		t.Fatalf("%q: Bytes: got %x, %v, want %x", x.Name, got, err, want)
	}
	part := make([]byte, len(want)+1)
	if n, err := x.ReadAt(part, 0); n != len(want) || err != io.EOF || !bytes.Equal(part[:n], want) {
		t.Fatalf("%q: ReadAt: got %x, %v, want %x", x.Name, part[:n], err, want)
	}
	r0 := rapid.IntRange(0, x.NumRows()).Draw(t, "r0")
	r1 := rapid.IntRange(r0, x.NumRows()).Draw(t, "r1")
	dst := make([]float32, (r1-r0)*x.RowLen())
	err = x.ReadRows(r0, r1, dst)
	if floats[x.DType] == nil {
		if !errors.Is(err, ErrDType) || !strings.Contains(err.Error(), x.DType.String()) {
			t.Fatalf("%q: ReadRows of %v: %v", x.Name, x.DType, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	ref := make([]float32, len(dst))
	rowSize := x.RowLen() * x.DType.Bits() / 8
	floats[x.DType](ref, want[r0*rowSize:r1*rowSize])
	for i := range ref {
		if dst[i] != ref[i] && ref[i] == ref[i] {
			t.Fatalf("%q: ReadRows(%d, %d)[%d]: got %v, want %v", x.Name, r0, r1, i, dst[i], ref[i])
		}
	}
}

// TestReadRows reads a tensor larger than the buffer from several goroutines.
func TestReadRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	spec := Spec{"w", BF16, []int{301, 1000}} // 2.3 buffers; no row ends with one
	if err := write(path, []Spec{spec}, nil, content); err != nil {
		t.Fatal(err)
	}
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := c.Tensor("w")
	want := make([]float32, x.NumElems())
	fromBF16(want, content(spec))
	var wg sync.WaitGroup
	for _, r := range [][2]int{{0, 301}, {0, 301}, {7, 300}, {300, 301}, {150, 150}} {
		wg.Go(func() {
			got := make([]float32, (r[1]-r[0])*x.RowLen())
			if err := x.ReadRows(r[0], r[1], got); err != nil {
				t.Error(err)
			}
			for i, w := range want[r[0]*1000 : r[1]*1000] {
				if got[i] != w && w == w {
					t.Errorf("rows %v, element %d: got %v, want %v", r, i, got[i], w)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, r := range [][3]int{{-1, 1, 2000}, {1, 0, 0}, {0, 302, 302000}, {0, 1, 999}, {0, 1, 1001}} {
		if err := x.ReadRows(r[0], r[1], make([]float32, r[2])); err == nil || !strings.Contains(err.Error(), `x: tensor "w"`) {
			t.Errorf("%v: %v", r, err)
		}
	}
	dst := make([]float32, x.NumElems())
	if n := testing.AllocsPerRun(10, func() { _ = x.ReadRows(0, 301, dst) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
	// The file shrinks under our hands: an error, not a fault.
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	if err := x.ReadRows(0, 301, dst); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %v", err)
	}
	c.Close()
	if _, err := x.Bytes(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Bytes after Close: %v", err)
	}
	if err := x.ReadRows(0, 1, dst[:1000]); err == nil {
		t.Error("ReadRows after Close: no error")
	}
}

// TestWriteSharded checks how tensors are spread, and that a failure leaves nothing.
func TestWriteSharded(t *testing.T) {
	specs := make([]Spec, 10)
	for i := range specs {
		specs[i] = Spec{fmt.Sprintf("t%d", i), U8, []int{10}}
	}
	specs[0].Shape = []int{45} // half of all
	fill := func(s Spec, w io.Writer) error { _, err := w.Write(content(s)); return err }
	dir := t.TempDir()
	if err := WriteSharded(dir, 3, specs, nil, fill); err != nil {
		t.Fatal(err)
	}
	want := []string{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors", indexName}
	if got := listing(t, dir); !slices.Equal(got, want) {
		t.Fatalf("files %q", got)
	}
	for i, want := range [][]string{{"t0"}, {"t1", "t2", "t3", "t4", "t5"}, {"t6", "t7", "t8", "t9"}} {
		c, err := Open(filepath.Join(dir, fmt.Sprintf("model-%05d-of-00003.safetensors", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Names(); !slices.Equal(got, want) {
			t.Errorf("shard %d: got %q, want %q", i, got, want)
		}
		c.Close()
	}
	stop := errors.New("stop")
	dir = t.TempDir()
	for name, bad := range map[string]func() error{
		"fill fails": func() error {
			return WriteSharded(dir, 3, specs, nil, func(s Spec, w io.Writer) error {
				if s.Name == "t9" {
					return stop
				}
				return fill(s, w)
			})
		},
		"fill is short": func() error {
			return WriteSharded(dir, 3, specs, nil, func(s Spec, w io.Writer) error {
				_, err := w.Write(content(s)[:1])
				return err
			})
		},
		"too many shards": func() error { return WriteSharded(dir, 11, specs, nil, fill) },
		"no shards":       func() error { return WriteSharded(dir, 0, specs, nil, fill) },
		"twice":           func() error { return WriteSharded(dir, 2, append(specs, specs[0]), nil, fill) },
		"no folder":       func() error { return WriteSharded(filepath.Join(dir, "no"), 2, specs, nil, fill) },
	} {
		if err := bad(); err == nil || name == "fill fails" && err != stop {
			t.Errorf("%s: got %v", name, err)
		}
		if names := listing(t, dir); names != nil {
			t.Fatalf("%s: files %q", name, names)
		}
	}
}
