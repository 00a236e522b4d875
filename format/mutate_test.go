package format

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"sync"
	"testing"
)

// readAll reads everything that f offers, closes it and returns the first error.
func readAll(f *File) error {
	var first error
	keep := func(err error) {
		if err != nil && first == nil {
			first = err
		}
	}
	for i := range f.Sections() {
		_, err := f.Data(i)
		keep(err)
	}
	_, err := f.Meta()
	keep(err)
	_, err = f.Tensors()
	keep(err)
	_, err = f.References()
	keep(err)
	_, err = f.Activations()
	keep(err)
	_, err = f.Rewrites()
	keep(err)
	for _, name := range f.Programs() {
		_, err = f.Program(name)
		keep(err)
	}
	keep(Dump(io.Discard, f))
	keep(f.Verify(context.Background(), nil))
	keep(f.Close())
	return first
}

// TestEveryByteMatters changes each byte of a file, one at a time: nothing
// panics and nothing passes.
func TestEveryByteMatters(t *testing.T) {
	base := sampleBytes(t)
	b := bytes.Clone(base)
	for i := range b {
		if i > headerSize && i%16 != 0 && zero(base[i-1:min(i+2, len(b))]) && i < len(base)-10*entrySize {
			continue // inside long padding every 16th byte will do
		}
		b[i] ^= 1 << (i % 8)
		f, err := openBytes(b)
		if err == nil {
			err = f.Verify(t.Context(), nil)
			check(t, f.Close())
		}
		if err == nil {
			t.Fatalf("byte 0x%x from %02x to %02x goes unnoticed", i, base[i], b[i])
		}
		b[i] = base[i]
	}
}

// TestHostileBytes does the same with the checksums put right, as an attacker
// would: nothing panics, and changed contents do not verify.
func TestHostileBytes(t *testing.T) {
	base := sampleBytes(t)
	f, err := openBytes(base)
	check(t, err)
	table := int(le.Uint64(base[24:]))
	try := func(i, section int) error {
		b := bytes.Clone(base)
		b[i] ^= 0x41
		if section >= 0 {
			sealSection(b, section)
		} else {
			seal(b)
		}
		f, err := openBytes(b)
		if err != nil {
			return err
		}
		return readAll(f)
	}
	for i := range headerSize - 8 {
		if try(i, -1) == nil {
			t.Errorf("header byte %d has no meaning", i)
		}
	}
	for i := table; i < len(base); i++ {
		// A weights section may have another name, and then tensors miss it.
		if try(i, -1) == nil {
			t.Errorf("table byte %d of entry %d has no meaning", (i-table)%entrySize, (i-table)/entrySize)
		}
	}
	for n, s := range f.Sections() {
		for i := s.Offset; i < s.Offset+s.Stored; i++ {
			if s.Encoding == Zstd || i < s.Offset+64 {
				if err := try(int(i), n); err == nil {
					t.Errorf("section %q: changed byte %d verifies", s.Name, i-s.Offset)
				}
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	f, err := openBytes(sampleBytes(t))
	check(t, err)
	defer f.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range f.Sections() {
				if _, err := f.Data(i); err != nil {
					t.Error(err)
				}
			}
			if err := f.Verify(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// FuzzOpen feeds whole files; half the time the checksums of header and table
// are put right, so that the rules behind them are reached.
func FuzzOpen(f *testing.F) {
	f.Add(sampleBytes(f), false)
	path := filepath.Join(f.TempDir(), "m.qpt")
	sample(f, path, Zstd, 1) // has no long padding
	base := readFile(f, path)
	f.Add(base, false)
	for i := range 3 {
		f.Add(base[:len(base)*i/3], true)
	}
	for i := 0; i < headerSize; i += 4 {
		b := bytes.Clone(base)
		b[i] ^= 0xff
		f.Add(b, true)
	}
	table := len(base) - 10*entrySize
	for i := table; i < len(base); i += 12 {
		b := bytes.Clone(base)
		b[i] ^= 0x41
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix && len(b) >= headerSize {
			b = bytes.Clone(b)
			seal(b)
			if at := le.Uint64(b[24:]); at < uint64(len(b)) {
				for i := range (uint64(len(b)) - at) / entrySize {
					e := entry(b, int(i))
					if off, n := le.Uint64(e[8:]), le.Uint64(e[16:]); off <= uint64(len(b)) && n <= uint64(len(b))-off && off >= headerSize && off+n <= at {
						sealSection(b, int(i))
					}
				}
			}
		}
		x, err := openBytes(b)
		if err != nil {
			return
		}
		_ = readAll(x)
	})
}
