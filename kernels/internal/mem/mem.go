// Package mem is memory as kernels want it: slices that start on a cache line and grow on demand, and
// rows transposed so that a lane is a row.
package mem

import "unsafe"

// hugePage is the size of a large page.
const hugePage = 2 << 20

// Bytes returns n zero bytes that start on a cache line; from half a large page on they lie on large pages where the
// system has them. The second-level cache holds more of what lies side by side: rows of inputs on small pages, scattered
// over its sets, cost products of 192 rows of 5632 on AMX a sixth.
func Bytes(n int) []byte {
	if n == 0 {
		return nil
	}
	line := 64
	if n >= hugePage/2 {
		line = hugePage
	}
	size := n + line - 1
	if line == hugePage {
		size = (n+line-1)&^(line-1) + line
	}
	b := make([]byte, size)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (line - 1)
	if line == hugePage {
		preferHuge(b[skip : skip+size-line])
	}
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
