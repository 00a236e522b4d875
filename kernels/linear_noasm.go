//go:build purego || !amd64

package kernels

// isaKernels is empty: the twins do it all.
var isaKernels []Kernel
