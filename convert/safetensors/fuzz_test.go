package safetensors

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen: any bytes give a sound header or an error of ours, and what is
// sound comes back from the writer.
func FuzzOpen(f *testing.F) {
	for _, c := range cases {
		f.Add(c.file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := parse(file)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("not ErrCorrupt: %v", err)
			}
			return
		}
		end := int64(len(file))
		for i := len(h.tensors) - 1; i >= 0; i-- {
			x := h.tensors[i]
			if x.size < 0 || x.off < 8 || x.off+x.size != end {
				t.Fatalf("%q: %d bytes at %d, want the end at %d", x.Name, x.size, x.off, end)
			}
			end = x.off
			if n := x.NumRows() * x.RowLen(); n != x.NumElems() || n < 0 || n > 8*len(file) {
				t.Fatalf("%q: %d rows of %d are %d elements", x.Name, x.NumRows(), x.RowLen(), x.NumElems())
			}
		}

		// Package nlp says the same, and so does what it writes.
		if err := sameAsNLP(file, h); err != nil {
			t.Fatal(err)
		}
		tensors, err := Decode(file)
		if err != nil {
			if !errors.Is(err, ErrDType) && h.unknown == nil {
				t.Fatal(err)
			}
			return
		}
		var b bytes.Buffer
		if err := encode(&b, tensors, h.metadata); err != nil {
			t.Fatal(err)
		}
		again, err := parse(b.Bytes())
		if err != nil {
			t.Fatalf("%v in %q", err, b.Bytes())
		}
		if len(again.tensors) != len(h.tensors) || len(again.metadata) != len(h.metadata) {
			t.Fatalf("%d tensors, %d were written", len(again.tensors), len(h.tensors))
		}
	})
}

// FuzzIndex: any index file opens with what it lists, or is an error.
func FuzzIndex(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"weight_map":{}}`, `{"weight_map":{"a":"A"}}`, `{"metadata":{"total_size":6},"weight_map":{"a":"A","b":"B","c":"B"}}`,
		`{"weight_map":{"a":"../A"}}`, `{"weight_map":{"a":"A","a":"A"}}`, `{"weight_map":{"a":null},"x":[[]]}`, `{"metadata":{"total_size":1e3}}`,
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	for name, data := range map[string][]byte{"A": shardA, "B": shardB} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ix, err := parseIndex(text)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("not ErrCorrupt: %v", err)
			}
			return
		}
		for name, shard := range ix.weightMap {
			if filepath.Base(shard) != shard || !filepath.IsLocal(shard) || bytes.IndexByte([]byte(shard), 0) >= 0 {
				t.Fatalf("%q: shard %q is a path", name, shard)
			}
		}
		path := filepath.Join(t.TempDir(), indexName)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"A", "B"} {
			if err := os.Link(filepath.Join(dir, name), filepath.Join(filepath.Dir(path), name)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Open(path)
		if err != nil {
			return // a shard or tensor that is not there
		}
		defer c.Close()
		if len(c.Names()) != len(ix.weightMap) {
			t.Fatalf("%q, the index lists %d", c.Names(), len(ix.weightMap))
		}
	})
}
