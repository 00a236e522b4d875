//go:build !linux

package ui

// PeakMemory returns the most memory in bytes that the process has held so
// far, mapped files included, or 0 where the system does not tell.
func PeakMemory() int64 { return 0 }

// FreeMemory returns the bytes that processes may still take without harm, or 0 where the system does not tell.
func FreeMemory() int64 { return 0 }
