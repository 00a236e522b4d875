package elem

import (
	"fmt"
	"math"
)

// Binary finds the function of two values of a graph op by name: dst[i] = f(a[i], b[i]), one rounding
// (numerics N6.4). An operand of a single value is repeated. dst may be an operand.
func Binary(name string) (f func(dst, a, b []float32), ok bool) {
	i, ok := binary[name]
	return func(dst, a, b []float32) {
		n := len(dst)
		if len(a) != n && len(a) != 1 || len(b) != n && len(b) != 1 {
			panic(fmt.Sprintf("elem: operands of %d and %d values for %d results", len(a), len(b), n))
		}
		if n > 0 {
			active().binary[i](dst, a, b)
		}
	}, ok
}

// Functions of two values, places in level.binary.
const (
	fnAdd = iota
	fnSub
	fnMul
	fnDiv
	fnMax
	fnMin
	// without kernels of their own
	fnPow
	fnGT
	fnGE
	fnLT
	fnLE
	fnEQ
	fnNE
	fnKeep
	fnCount2
)

var binary = map[string]int{"add": fnAdd, "sub": fnSub, "mul": fnMul, "div": fnDiv, "max": fnMax, "min": fnMin,
	"pow": fnPow, "gt": fnGT, "ge": fnGE, "lt": fnLT, "le": fnLE, "eq": fnEQ, "ne": fnNE, "keep": fnKeep}

// binaryTwins are the functions as numerics N6.4 tells them: max and min give NaN where an operand is, and hold -0 less than 0.
var binaryTwins = [fnCount2]func(a, b float32) float32{
	func(a, b float32) float32 { return a + b },
	func(a, b float32) float32 { return a - b },
	func(a, b float32) float32 { return a * b },
	func(a, b float32) float32 { return a / b },
	func(a, b float32) float32 { return max(a, b) },
	func(a, b float32) float32 { return min(a, b) },
	func(a, b float32) float32 { return float32(math.Pow(float64(a), float64(b))) },
	func(a, b float32) float32 { return truth(a > b) },
	func(a, b float32) float32 { return truth(a >= b) },
	func(a, b float32) float32 { return truth(a < b) },
	func(a, b float32) float32 { return truth(a <= b) },
	func(a, b float32) float32 { return truth(a == b) },
	func(a, b float32) float32 { return truth(a != b) },
	func(a, b float32) float32 {
		if b == 0 {
			return 0
		}
		return a
	},
}

func truth(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// pairTwins is binaryTwins over slices, of which a and b may be single values.
func pairTwins() (fs [fnCount2]func(dst, a, b []float32)) {
	for i, f := range binaryTwins {
		fs[i] = func(dst, a, b []float32) {
			sa, sb := step(a), step(b)
			for i := range dst {
				dst[i] = f(a[i*sa], b[i*sb])
			}
		}
	}
	return fs
}

// step is from one value of an operand to the next: 0 for one that is repeated.
func step(a []float32) int {
	if len(a) == 1 {
		return 0
	}
	return 1
}

// Broadcast applies a function of Binary to arrays of row-major shapes as, bs joined to shape as the graph op
// binary does: last extents side by side; where one has the extent 1, or none, its values repeat.
func Broadcast(f func(dst, a, b []float32), dst []float32, shape []int, a []float32, as []int, b []float32, bs []int) {
	if (len(a) == len(dst) || len(a) == 1) && (len(b) == len(dst) || len(b) == 1) {
		f(dst, a, b)
		return
	}
	n := shape[0]
	size := len(dst) / max(n, 1)
	na, as := leading(a, as, len(shape))
	nb, bs := leading(b, bs, len(shape))
	for i := range n {
		Broadcast(f, dst[i*size:][:size], shape[1:], a[i%na*(len(a)/na):][:len(a)/na], as, b[i%nb*(len(b)/nb):][:len(b)/nb], bs)
	}
}

// leading is the first extent of an operand of rank dimensions, 1 where it has fewer, and its other extents.
func leading(x []float32, shape []int, rank int) (int, []int) {
	if len(shape) < rank {
		return 1, shape
	}
	return max(shape[0], 1), shape[1:]
}
