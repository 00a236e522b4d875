//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package safetensors

import (
	"io"
	"os"
)

// mapFile reads the first n bytes of f.
func mapFile(f *os.File, n int) (b []byte, free func([]byte) error, err error) {
	b = make([]byte, n)
	_, err = io.ReadFull(io.NewSectionReader(f, 0, int64(n)), b)
	return b, func([]byte) error { return nil }, err
}
