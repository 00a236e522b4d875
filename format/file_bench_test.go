package format

import (
	"bytes"
	"path/filepath"
	"testing"
)

// BenchmarkFile measures each pass over 256 MB of weights in the page cache.
func BenchmarkFile(b *testing.B) {
	const size = 256 << 20
	dir := b.TempDir()
	data := bytes.Repeat(fill(chunk, 1), size/chunk)
	write := func(path string, enc Encoding) {
		w, err := Create(path, WriteOptions{})
		check(b, err)
		defer w.Abort()
		check(b, w.Put(KindWeights, "w", enc, data))
		check(b, w.Commit())
	}
	for _, enc := range []Encoding{Raw, Zstd} {
		path := filepath.Join(dir, enc.String())
		b.Run(enc.String()+"/write", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				write(path, enc)
			}
		})
		b.Run(enc.String()+"/first use", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				f, err := Open(path)
				check(b, err)
				_, err = f.Data(0)
				check(b, err)
				check(b, f.Close())
			}
		})
		b.Run(enc.String()+"/verify", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				f, err := Open(path)
				check(b, err)
				check(b, f.Verify(b.Context(), nil))
				check(b, f.Close())
			}
		})
	}
}
