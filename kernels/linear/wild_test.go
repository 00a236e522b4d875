package linear

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
)

// wild gives some columns of a layer and of its rows to float32. Data keeps its numbers there: what they are is not the kernels' affair.
func wild(rng *rand.Rand, x *Acts, w *Weight) (*Acts, *Weight) {
	wx, ww := *x, *w
	for k := range w.K {
		if rng.IntN(w.K) < 9 || k == w.K-1 {
			ww.Wild = append(ww.Wild, int32(k))
		}
	}
	for range len(ww.Wild) * num.Pad(w.N, 16) {
		ww.WildData = append(ww.WildData, float32(rng.NormFloat64()))
	}
	for range len(ww.Wild) * x.M {
		wx.Wild = append(wx.Wild, float32(rng.NormFloat64()))
	}
	wx.For = ww.Rows()
	return &wx, &ww
}

// TestWildRows: rows have the codes of numerics N3.7, on every level, and a layer of them gives nearly the products of the numbers.
func TestWildRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, k := range []int{1, 7, 40, 384, 1001} {
		w := NewWeight(I8, 21, k, 0)
		codes := make([]int8, k)
		w.Wild = []int32{int32(k / 2)}
		if k > 30 {
			w.Wild = append(w.Wild, int32(k-1))
		}
		real := make([][]float64, w.N)
		for n := range real {
			w.Scale[n] = float32(rng.Float64())
			for i := range codes {
				codes[i] = int8(rng.IntN(255) - 127)
			}
			for _, i := range w.Wild {
				codes[i] = 0
			}
			PutRow(w, n, codes)
			for i := range codes {
				real[n] = append(real[n], float64(codes[i])*float64(w.Scale[n]))
			}
		}
		FillSums(w)
		w.WildData = make([]float32, len(w.Wild)*num.Pad(w.N, 16))
		for n := range w.N {
			for j, i := range w.Wild {
				v := float32(rng.NormFloat64())
				w.WildData[(n/16*len(w.Wild)+j)*16+n%16], real[n][i] = v, float64(v)
			}
		}
		const rows = 7 // the last four: zeros, beyond float32, infinity, NaN
		x := make([]float32, rows*k)
		for i := range x[:3*k] {
			x[i] = float32(rng.NormFloat64())
		}
		x[k/2] = 1e6 // wild, and so without harm
		for i := k; i < 2*k; i++ {
			x[i] = float32(math.Abs(float64(x[i]))) // of one sign
		}
		x[4*k], x[5*k-1] = 3e38, 3e38
		if k > 2 {
			x[4*k+1] = -3e38
		}
		x[5*k] = float32(math.Inf(-1))
		x[7*k-1] = float32(math.NaN())
		for isa := cpu.Generic; isa <= cpu.AMX; isa++ {
			if !cpu.Has(isa) {
				continue
			}
			restore := cpu.SetMax(isa)
			a := NewActsFor(A8, w.Rows(), rows, k).Reset(rows)
			a.Quantize(0, rows, x, k)
			y := make([]float32, rows*w.N)
			Linear(Sink{Y: y, Ld: w.N}, a, w, 0, w.Blocks(), new(Scratch))
			for r := range rows {
				row := append([]float32(nil), x[r*k:][:k]...)
				lost := false
				for _, i := range w.Wild {
					lost = lost || row[i]-row[i] != 0
					row[i] = 0
				}
				var lo, hi float32
				for _, v := range row {
					if v < lo || v != v {
						lo = v
					}
					if v > hi || v != v {
						hi = v
					}
				}
				span := hi - lo
				finite := span-span == 0
				switch {
				case !finite:
					if a.Scale[r] == a.Scale[r] {
						t.Errorf("%s, K %d, row %d: scale %v, want NaN", isa, k, r, a.Scale[r])
					}
				case span < 1e-30:
					if a.Scale[r] != 0 {
						t.Errorf("%s, K %d, row %d: scale %v, want 0", isa, k, r, a.Scale[r])
					}
				default:
					zero := num.RoundEven(-lo * (255 / span))
					if a.Scale[r] != span/255 || a.Zero[r] != zero {
						t.Fatalf("%s, K %d, row %d: scale %v, zero point %d, want %v, %d", isa, k, r, a.Scale[r], a.Zero[r], span/255, zero)
					}
					for i, v := range row {
						want := min(max(num.RoundEven(v*(255/span))+zero, 0), 255)
						if got := int32(a.Hi[r*a.Stride+i]); got != want && !slices.Contains(w.Wild, int32(i)) {
							t.Fatalf("%s, K %d, row %d: code %d of %v is %d, want %d", isa, k, r, i, v, got, want)
						}
					}
				}
				for n := range w.N {
					got := float64(y[r*w.N+n])
					if !finite || lost {
						if got-got == 0 {
							t.Errorf("%s, K %d, row %d: y[%d] = %v of a row that is not finite", isa, k, r, n, got)
						}
						continue
					}
					want, most := 0.0, 0.0
					for i, v := range x[r*k:][:k] {
						want += float64(v) * real[n][i]
						most += math.Abs(real[n][i])
					}
					if bound := float64(a.Scale[r])*most + 1e-5*(1+math.Abs(want)); math.Abs(got-want) > bound && math.Abs(want) < math.MaxFloat32 {
						t.Errorf("%s, K %d, row %d: y[%d] = %v, want %v within %v", isa, k, r, n, got, want, bound)
					}
				}
			}
			restore()
		}
	}
}

// TestWildChecks: rows that are not made for the layer, and columns that are none, are refused.
func TestWildChecks(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	plain := randomWeight(rng, I8, 20, 100, 0, false, true)
	rows := randomActs(rng, A8, 2, 100, false)
	x, w := wild(rng, rows, plain)
	for name, f := range map[string]func() (*Acts, *Weight){
		"rows without": func() (*Acts, *Weight) { return rows, w },
		"rows with":    func() (*Acts, *Weight) { return x, plain },
		"order":        func() (*Acts, *Weight) { ww := *w; ww.Wild = []int32{5, 5}; return x, &ww },
		"beyond":       func() (*Acts, *Weight) { ww := *w; ww.Wild = []int32{100}; return x, &ww },
		"short":        func() (*Acts, *Weight) { ww := *w; ww.WildData = ww.WildData[1:]; return x, &ww },
		"short rows":   func() (*Acts, *Weight) { wx := *x; wx.Wild = wx.Wild[1:]; return &wx, w },
	} {
		x, w := f()
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Linear(Sink{Y: make([]float32, 40), Ld: 20}, x, w, 0, 2, new(Scratch))
		}()
	}
}
