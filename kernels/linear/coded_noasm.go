//go:build !amd64 || purego

package linear

var codedKernels []Kernel

func makeDigits(dst []byte, sums []int32, x []float32, d digitsArgs) { digitsGeneric(dst, sums, x, d) }
