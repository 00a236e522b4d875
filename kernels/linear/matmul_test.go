package linear

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
)

// dotN65 is numerics N6.5.
func dotN65(x, w []float32) float32 {
	var s [4]float32
	whole := len(x) &^ 7
	for k := range x {
		i := k % 4
		if k >= whole {
			i = 0
		}
		s[i] += float32(x[k] * w[k])
	}
	return (s[0] + s[2]) + (s[1] + s[3])
}

// TestMatMul holds every level to the bits of numerics N6.5. Rows of x, w and y
// lie between others at odd places, and nothing beside y is written.
func TestMatMul(t *testing.T) {
	shapes := []shape{{1, 1, 1}, {2, 15, 7}, {3, 16, 8}, {4, 17, 9}, {5, 40, 15}, {9, 33, 100}, {7, 16, 172}, {64, 50, 513}, {9, 70, 40000}, {300, 130, 520}, {7, 20, 1024}, {7, 20, 1027}, {31, 270, 1031}, {8, 17, 2056}}
	for m := range 14 {
		for _, k := range []int{4, 11, 16, 23, 24, 255, 256, 263, 264} {
			shapes = append(shapes, shape{m, 1 + 5*m, k})
		}
	}
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		f := MatMul()
		if f == nil {
			if isa >= cpu.AVX2 {
				t.Fatal("no function")
			}
			return
		}
		rng := rand.New(rand.NewPCG(2, 3))
		for _, v := range shapes {
			n0 := rng.IntN(9)
			w, wIntact := ktest.Fenced(v.n*v.k, rng.IntN(17))
			copy(w, ktest.Mixed(rng, v.n*v.k, v.m == 5))
			x, y := make([][]float32, v.m), make([][]float32, v.m)
			intact := []func() bool{wIntact}
			for m := range v.m {
				row, ok := ktest.Fenced(v.k, rng.IntN(17))
				copy(row, ktest.Mixed(rng, v.k, m == 2))
				out, outIntact := ktest.Fenced(v.n, rng.IntN(17)+n0)
				x[m], y[m] = row, unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(&out[0]), -4*n0)), n0+v.n)
				intact = append(intact, ok, outIntact)
			}
			f(y, n0, x, w)
			for _, ok := range intact {
				if !ok() {
					t.Fatalf("%v: written outside", v)
				}
			}
			for m := range v.m {
				for n := range v.n {
					got, want := y[m][n0+n], dotN65(x[m], w[n*v.k:(n+1)*v.k])
					if !ktest.Same(got, want) {
						t.Fatalf("%v: y[%d][%d] = %v, want %v", v, m, n, got, want)
					}
				}
			}
		}
	})
}
