//go:build !amd64 || purego

package cpu

// detect offers nothing above Generic.
func detect() (levels [len(names)]bool) { return levels }

func detectBF16() bool { return false }

func detectVBMI() bool { return false }
