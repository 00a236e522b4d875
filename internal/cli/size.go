package cli

import (
	"fmt"
	"strings"
)

// ParseSize reads 512MiB, 2GiB, 2GB or a number of bytes.
func ParseSize(s string) (int64, error) {
	units := []struct {
		suffix string
		factor float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1}, {"", 1}}
	for _, u := range units {
		if num, ok := strings.CutSuffix(s, u.suffix); ok {
			var v float64
			if _, err := fmt.Sscanf(num+"\n", "%g\n", &v); err != nil || !(v*u.factor >= 1) || v*u.factor >= 1<<62 {
				break
			}
			return int64(v * u.factor), nil
		}
	}
	return 0, fmt.Errorf("%q is no size (want something like 512MiB or 2GiB)", s)
}
