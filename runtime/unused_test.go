package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"qpt/convert"
	"qpt/format"
	"qpt/runtime"
)

// A section of weights that no tensor lies in is neither decoded nor checked by Load: Verify finds what is wrong with it.
func TestUnusedSection(t *testing.T) {
	dir := t.TempDir()
	plain, more := filepath.Join(dir, "a.qpt"), filepath.Join(dir, "b.qpt")
	p, err := convert.MakePlan(convert.Options{In: "../testdata/stories260K", Out: plain, Scheme: "da8w8", References: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	f, err := format.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := format.Create(more, format.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Put(format.KindWeights, "spare", format.Zstd, make([]byte, 60<<20)); err != nil {
		t.Fatal(err)
	}
	for i, s := range f.Sections() {
		b, err := f.Data(i)
		if err == nil {
			err = w.Put(s.Kind, s.Name, s.Encoding, b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(more)
	if err != nil {
		t.Fatal(err)
	}
	g, err := format.Open(more)
	if err != nil {
		t.Fatal(err)
	}
	at := g.Sections()[0].Offset + 20
	g.Close()
	b[at] ^= 1
	if err := os.WriteFile(more, b, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := runtime.Load(more, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.File.Verify(t.Context(), nil); !errors.Is(err, format.ErrChecksum) {
		t.Errorf("Verify: %v, want ErrChecksum", err)
	}
}
