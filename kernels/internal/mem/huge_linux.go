package mem

import "golang.org/x/sys/unix"

// preferHuge asks the system for large pages under b, which starts at one. It is a hint: what
// comes of it changes only the time.
func preferHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
