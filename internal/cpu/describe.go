package cpu

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// Describe returns one line for reports: brand, cores this process may use,
// caches, the levels of the machine and the active one.
func Describe() string {
	name := strings.Join(strings.Fields(cpuid.CPU.BrandName), " ")
	if name == "" {
		name = runtime.GOARCH
	}
	parts := []string{name, fmt.Sprintf("%d cores", runtime.NumCPU())}
	for _, c := range []struct {
		name  string
		bytes int
	}{{"L2", cpuid.CPU.Cache.L2}, {"L3", cpuid.CPU.Cache.L3}} {
		if c.bytes > 0 {
			parts = append(parts, fmt.Sprintf("%s %d KiB", c.name, c.bytes>>10))
		}
	}
	var levels []string
	for isa, ok := range has {
		if ok {
			levels = append(levels, ISA(isa).String())
		}
	}
	return fmt.Sprintf("%s; %s; using %s", strings.Join(parts, ", "), strings.Join(levels, " "), Active())
}
