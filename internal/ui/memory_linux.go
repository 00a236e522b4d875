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

// FreeMemory returns the bytes that processes may still take without harm, within the limit of the control group
// (version 2) that the process is in, or 0 where the system does not tell.
func FreeMemory() int64 {
	info, _ := os.ReadFile("/proc/meminfo")
	_, line, _ := bytes.Cut(info, []byte("\nMemAvailable:"))
	var kib, limit, used int64
	fmt.Sscan(string(line), &kib)
	free := kib << 10
	most, _ := os.ReadFile("/sys/fs/cgroup/memory.max")
	now, _ := os.ReadFile("/sys/fs/cgroup/memory.current")
	if n, _ := fmt.Sscan(string(most), &limit); n == 1 { // "max" without one
		fmt.Sscan(string(now), &used)
		free = min(free, max(limit-used, 0))
	}
	return free
}
