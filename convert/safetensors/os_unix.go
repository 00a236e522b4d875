//go:build linux || darwin || freebsd || netbsd || openbsd

package safetensors

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps the first n > 0 bytes of f for reading.
func mapFile(f *os.File, n int) (b []byte, free func([]byte) error, err error) {
	b, err = unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ, unix.MAP_SHARED)
	return b, unix.Munmap, err
}
