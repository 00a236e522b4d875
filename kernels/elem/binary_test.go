package elem

import (
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
)

// TestBinary: every function gives the twin's bits on all levels, with operands of n values or one, in place.
func TestBinary(t *testing.T) {
	if _, ok := Binary("mod"); ok {
		t.Error("an unknown function was found")
	}
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(7, 7))
		for name, op := range binary {
			f, _ := Binary(name)
			for i, n := range ktest.Sizes() {
				for kind := range 4 { // bit 0: a is one value, bit 1: b is
					a, b := ktest.Mixed(rng, n+2, i%2 == 0)[2:], ktest.Mixed(rng, n+1, i%2 == 0)[1:]
					if n > 0 && kind&1 != 0 {
						a = a[:1]
					}
					if n > 0 && kind&2 != 0 {
						b = b[:1]
					}
					want := make([]float32, n)
					for j := range want {
						want[j] = binaryTwins[op](a[j*(len(a)-1)/max(n-1, 1)], b[j*(len(b)-1)/max(n-1, 1)])
					}
					dst, intact := ktest.Fenced(n, i%5)
					f(dst, a, b)
					if !slices.EqualFunc(dst, want, ktest.Same) || !intact() {
						t.Fatalf("%s n=%d kind %d: %v, want %v", name, n, kind, dst, want)
					}
					if len(a) == n {
						if f(a, a, b); !slices.EqualFunc(a, want, ktest.Same) {
							t.Fatalf("%s n=%d kind %d in place: %v, want %v", name, n, kind, a, want)
						}
					}
				}
			}
		}
	})
}

// TestBroadcast compares with a walk over all indices.
func TestBroadcast(t *testing.T) {
	sub, _ := Binary("sub")
	size := func(shape []int) int {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return n
	}
	rng := rand.New(rand.NewPCG(8, 8))
	for range 2000 {
		shape := make([]int, 1+rng.IntN(4))
		for i := range shape {
			shape[i] = 1 + rng.IntN(9)
		}
		operand := func() (x []float32, s []int) { // some leading extents absent, some others 1
			s = slices.Clone(shape[rng.IntN(len(shape)+1):])
			for i := range s {
				if rng.IntN(3) == 0 {
					s[i] = 1
				}
			}
			return ktest.Mixed(rng, size(s), false), s
		}
		a, as := operand()
		b, bs := operand()
		at := func(x []float32, s []int, index []int) float32 {
			k := 0
			for i, d := range s {
				k = k*d + index[len(shape)-len(s)+i]%d
			}
			return x[k]
		}
		dst := make([]float32, size(shape))
		Broadcast(sub, dst, shape, a, as, b, bs)
		index := make([]int, len(shape))
		for i, got := range dst {
			for j, r := len(shape)-1, i; j >= 0; j-- {
				index[j], r = r%shape[j], r/shape[j]
			}
			if want := at(a, as, index) - at(b, bs, index); got != want {
				t.Fatalf("%v - %v = %v: element %v is %g, want %g", as, bs, shape, index, got, want)
			}
		}
	}
}
