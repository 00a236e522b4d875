package linear

import (
	"math"
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/ktest"
)

// roundN66 is a row of numerics N6.6, and its scale.
func roundN66(v []float32) (q []int64, s float32) {
	top := float32(0)
	for _, a := range v {
		if a-a != 0 {
			return make([]int64, len(v)), float32(math.NaN())
		}
		top = max(top, a, -a)
	}
	q = make([]int64, len(v))
	if top < 1e-30 {
		return q, 0
	}
	for i, a := range v {
		q[i] = int64(num.RoundEven(a * (8191 / top)))
	}
	return q, top / 8191
}

// dotN66 is the product of two such rows.
func dotN66(p []int64, sp float32, q []int64, sq float32) float32 {
	sum := float32(0)
	for k := 0; k < len(p); k += 32 {
		part := int64(0)
		for i := k; i < min(k+32, len(p)); i++ {
			part += p[i] * q[i]
		}
		if part > math.MaxInt32 || part < math.MinInt32 {
			panic("sum beyond int32")
		}
		sum += float32(part)
	}
	return float32(sum*sp) * sq
}

// TestShorts holds every level to the bits of numerics N6.6, and those to the bound that Shorts.MatMul states. Rows of x, w and y
// lie between others at odd places, and nothing beside y is written.
func TestShorts(t *testing.T) {
	shapes := []shape{{1, 1, 1}, {3, 16, 8}, {9, 33, 100}, {7, 16, 172}, {40, 33, 513}, {50, 2, 4000}, {90, 3, 1536}}
	for m := range 14 {
		for _, k := range []int{4, 15, 16, 31, 33, 160} {
			shapes = append(shapes, shape{m, 1 + 5*m, k})
		}
	}
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(2, 3))
		for _, v := range shapes {
			w, wIntact := ktest.Fenced(v.n*v.k, rng.IntN(17))
			copy(w, ktest.Mixed(rng, v.n*v.k, v.m == 5))
			if v.m == 4 { // the greatest sums
				for i := range w {
					w[i] = 3
				}
			}
			x, y := make([][]float32, v.m), make([][]float32, v.m)
			intact := []func() bool{wIntact}
			for m := range v.m {
				row, ok := ktest.Fenced(v.k, rng.IntN(17))
				copy(row, ktest.Mixed(rng, v.k, m == 2))
				if m == 3 {
					for i := range row {
						row[i] = -7
					}
				}
				out, outIntact := ktest.Fenced(v.n, rng.IntN(17))
				x[m], y[m] = row, out
				intact = append(intact, ok, outIntact)
			}
			packed := NewShorts(v.n, v.k)
			for n0 := 0; n0 < v.n; n0 += 16 << (v.m % 2) {
				packed.Put(n0, w[n0*v.k:min(n0+16<<(v.m%2), v.n)*v.k])
			}
			cut := v.m % 3 * 32
			packed.MatMul(y, x, 0, min(cut, v.n))
			if cut < v.n {
				packed.MatMul(y, x, cut, v.n)
			}
			for _, ok := range intact {
				if !ok() {
					t.Fatalf("%v: written outside", v)
				}
			}
			for n := range v.n {
				row := w[n*v.k : (n+1)*v.k]
				q, sw := roundN66(row)
				for m := range v.m {
					p, sx := roundN66(x[m])
					got, want := y[m][n], dotN66(p, sx, q, sw)
					if !ktest.Same(got, want) {
						t.Fatalf("%v: y[%d][%d] = %v, want %v", v, m, n, got, want)
					}
					if got-got != 0 {
						continue
					}
					var exact, ax, aw, tx, tw float64
					for k := range row {
						a, b := float64(x[m][k]), float64(row[k])
						exact += a * b
						ax, aw, tx, tw = ax+math.Abs(a), aw+math.Abs(b), max(tx, math.Abs(a)), max(tw, math.Abs(b))
					}
					// Half a step on either side of each product, and the roundings of binary32.
					bound := (tx*aw+tw*ax)/16382 + float64(v.k)*tx*tw/16382/16382 + float64(v.k/32+8)*0x1p-23*float64(v.k)*tx*tw
					if d := math.Abs(float64(got) - exact); d > bound*1.001+1e-30 {
						t.Fatalf("%v: y[%d][%d] is off by %g, more than %g", v, m, n, d, bound)
					}
				}
			}
		}
	})
}
