package calibrate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/num"
	"qpt/kernels/linear"
)

func TestPower(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100000 {
		x := float32(r.NormFloat64() * math.Exp2(200*r.Float64()-100))
		want := math.Pow(math.Abs(float64(x)), 0.7)
		if got := float64(power(x)); math.Abs(got-want) > 1e-6*want {
			t.Fatalf("|%v|^0.7 = %v, want %v", x, got, want)
		}
	}
	if power(0) != 0 || power(1) != 1 || power(-1) != 1 {
		t.Errorf("%v %v %v", power(0), power(1), power(-1))
	}
}

// norm is the sum of |d|^0.7 in float64.
func norm(d []float32) (sum float64) {
	for _, v := range d {
		sum += math.Pow(math.Abs(float64(v)), 0.7)
	}
	return sum
}

// halfQuadratic is HQQ as published, for a step: the zero moves by half-quadratic
// steps (beta 10, kappa 1.01, 20 iterations) and is rounded at the end.
func halfQuadratic(v []float32, step, zero float64, levels int) int {
	beta := 10.0
	for range 20 {
		next := 0.0
		for _, x := range v {
			w := float64(x) / step
			c := min(max(math.RoundToEven(w+zero), 0), float64(levels))
			e := w - (c - zero)
			shrunk := max(math.Abs(e)-math.Pow(math.Abs(e), 0.7-1)/beta, 0)
			next += (c - (w - math.Copysign(shrunk, e))) / float64(len(v))
		}
		zero = next
		beta *= 1.01
	}
	return int(num.RoundEven(float32(min(max(zero, 0), float64(levels)))))
}

// Every group has the zero of the least norm for its gscale, which half-quadratic steps seldom find; codes that rounding to
// nearest chose stay only where their norm is less still.
func TestHQQ(t *testing.T) {
	for _, format := range []linear.Format{linear.I4, linear.I6} {
		testHQQ(t, format)
	}
}

func testHQQ(t *testing.T, format linear.Format) {
	const n, k, group = 64, 112, 32
	levels, _ := format.Levels()
	r := rand.New(rand.NewPCG(13, 14))
	w := make([]float32, n*k)
	for i := range w {
		w[i] = float32(r.NormFloat64())
		if r.IntN(16) == 0 {
			w[i] *= 5
		}
	}
	out := Nearest(w, k, Target{Format: format, Group: group})
	if err := out.Check(); err != nil {
		t.Fatal(err)
	}
	d := dequantize(out)
	var got, least, half float64
	for i := range n {
		for g0 := 0; g0 < k; g0 += group {
			v := w[i*k+g0:][:min(group, k-g0)]
			e := make([]float32, len(v))
			params := out.Groups[(i/16*((k+group-1)/group)+g0/group)*16+i%16]
			_, gscale := format.Split(params)
			g := grid{format: format, group: group, scale: out.Scale[i], zero: []uint8{0}, gscale: []uint8{gscale}}
			of := func(z int) float64 {
				g.zero[0] = uint8(z)
				step, lo, hi := g.step(0)
				for j, x := range v {
					_, q := nearest(x, step, lo, hi)
					e[j] = x - q
				}
				return norm(e)
			}
			best := math.Inf(1)
			for z := range levels + 1 {
				best = min(best, of(z))
			}
			step := float64(g.scale) * float64(g.gscale[0])
			half += of(halfQuadratic(v, step, -float64(min(slices.Min(v), 0))/step, levels))
			for j := range e {
				e[j] = v[j] - d[i][g0+j]
			}
			x := norm(e)
			if x > best*(1+1e-5) {
				t.Errorf("row %d, group at %d: norm %v, the least is %v", i, g0, x, best)
			}
			got, least = got+x, least+best
		}
	}
	t.Logf("%v: norm %.5g, least for codes to nearest %.5g, half-quadratic %.5g", format, got, least, half)
	if half < 1.0005*least {
		t.Errorf("half-quadratic steps get to %v, trying all to %v", half, least)
	}
}
