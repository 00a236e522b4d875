//go:build !purego

package linear

var codedKernels []Kernel
