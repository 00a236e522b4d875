// Package mem is memory as kernels want it: slices that start on a cache line and grow on demand, and
// rows transposed so that a lane is a row.
package mem

import "unsafe"

// Bytes returns n zero bytes that start on a cache line.
func Bytes(n int) []byte {
	if n == 0 {
		return nil
	}
	b := make([]byte, n+63)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & 63
	return b[skip : skip+n : skip+n]
}

// Floats is Bytes for float32.
func Floats(n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(Bytes(4*n)))), n)
}

// Sized is b with length n, allocated if it is too short.
func Sized[T any](b []T, n int) []T {
	if cap(b) < n {
		b = make([]T, n)
	}
	return b[:n]
}

// Fill sets all of b to v.
func Fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}
