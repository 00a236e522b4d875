//go:build !amd64 || purego

package linear

var codedKernels []Kernel
