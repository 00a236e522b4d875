package format

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file that is cut short while it is mapped gives ErrLost wherever its bytes
// are read, also by the goroutines that decompress, and the process lives on.
func TestLost(t *testing.T) {
	for _, enc := range []Encoding{Raw, Zstd} {
		path := filepath.Join(t.TempDir(), "a.qpt")
		w, err := Create(path, WriteOptions{})
		check(t, err)
		data := make([]byte, 3*chunk)
		for i := range data { // not to be compressed into one page
			data[i] = byte(i * i >> 7)
		}
		check(t, w.Put(KindWeights, "w", enc, data))
		check(t, w.WriteMeta(Meta{Model: ModelInfo{BOS: -1}}))
		check(t, w.Commit())
		used, err := Open(path) // one that has checked its sections before
		check(t, err)
		defer used.Close()
		for i := range used.Sections() {
			check(t, used.check(i))
		}
		fresh, err := Open(path)
		check(t, err)
		defer fresh.Close()
		check(t, os.Truncate(path, 4096))

		for i := range fresh.Sections() {
			_, err := fresh.Data(i)
			wantError(t, err, ErrLost)
		}
		wantError(t, fresh.Verify(t.Context(), nil), ErrLost)
		wantError(t, Rewrite(t.Context(), fresh, path+"2", Raw, nil), ErrLost)
		if _, err := os.Stat(path + "2"); err == nil {
			t.Error("a file is left")
		}
		if enc == Zstd {
			frames := []frame{{data: used.stored(0), size: chunk}}
			wantError(t, decodeFrames(frames, make([]byte, chunk)), ErrLost)
			_, err = used.Data(0)
			wantError(t, err, ErrLost)
		}
		wantError(t, used.Verify(t.Context(), nil), ErrLost)
		wantError(t, Dump(io.Discard, used), ErrLost)
	}
}

// Panics that are no faults are not swallowed.
func TestGuardPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the panic is lost")
		}
	}()
	guard(func() error { panic("bug") })
}
