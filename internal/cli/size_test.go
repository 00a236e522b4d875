package cli

import "testing"

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
	}{
		{"1", 1}, {"512", 512}, {"512B", 512}, {"2K", 2048}, {"2KiB", 2048}, {"2KB", 2000}, {"1.5GiB", 3 << 29}, {"3GB", 3e9}, {"1G", 1 << 30},
		{"", 0}, {"0", 0}, {"-1", 0}, {"GiB", 0}, {"1TiB", 0}, {"1 GiB x", 0}, {"1e30", 0}, {"nan", 0}, {"inf", 0},
	} {
		got, err := ParseSize(c.in)
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%q: %d, %v, want %d", c.in, got, err, c.want)
		}
	}
}
