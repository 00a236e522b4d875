package ui

import "syscall"

// PeakMemory returns the most memory in bytes that the process has held so
// far, mapped files included, or 0 where the system does not tell.
func PeakMemory() int64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return int64(r.Maxrss) << 10
}
