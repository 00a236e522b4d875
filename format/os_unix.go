//go:build linux || darwin || freebsd || netbsd || openbsd

package format

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// mapFile maps the first n > 0 bytes of f for reading. One mapping from offset
// 0 on: Linux places it at a multiple of 2 MiB where it can, so that every huge
// page of the page cache fits, wherever sections begin.
func mapFile(f *os.File, n int) (b []byte, free func([]byte) error, err error) {
	b, err = unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ, unix.MAP_SHARED)
	return b, unix.Munmap, err
}

// alloc returns n > 0 zero bytes, page-aligned and outside the Go heap, so
// that gigabytes of decoded weights do not count for the garbage collector's pace.
func alloc(n int) (b []byte, free func([]byte) error, err error) {
	b, err = unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err == nil && runtime.GOOS == "linux" {
		const hugepage = 14           // MADV_HUGEPAGE, which the other systems lack
		_ = unix.Madvise(b, hugepage) // a hint; fewer TLB misses
	}
	return b, unix.Munmap, err
}
