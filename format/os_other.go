//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package format

import (
	"io"
	"os"
	"unsafe"
)

// mapFile reads the first n > 0 bytes of f.
func mapFile(f *os.File, n int) (b []byte, free func([]byte) error, err error) {
	b, free, err = alloc(n)
	if err == nil {
		_, err = io.ReadFull(f, b)
	}
	return b, free, err
}

// alloc returns n > 0 zero bytes, aligned to minAlign.
func alloc(n int) (b []byte, free func([]byte) error, err error) {
	b = make([]byte, n+minAlign)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (minAlign - 1)
	return b[skip : skip+n : skip+n], func([]byte) error { return nil }, nil
}
