package ui

import (
	"bytes"
	"fmt"
	"os"
)

// PeakMemory returns the most memory in bytes that the process has held so far, mapped files included, or 0 where the
// system does not tell. getrusage would tell that of the process which started this one, if that was larger.
func PeakMemory() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, line, _ := bytes.Cut(status, []byte("\nVmHWM:"))
	var kib int64
	fmt.Sscan(string(line), &kib)
	return kib << 10
}
