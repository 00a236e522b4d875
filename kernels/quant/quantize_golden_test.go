package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"qpt/convert/safetensors/sttest"
	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/ktest"
	"qpt/kernels/linear"
)

// goldens are the vectors of testdata/gen/*_golden.py, computed with torch apart from this code.
type goldens struct {
	t *testing.T
	sttest.File
}

func openGoldens(t *testing.T, file string) goldens {
	return goldens{t, sttest.Open(t, "testdata/"+file)}
}

// bits fails unless got is the golden tensor bit for bit, NaN as NaN.
func (g goldens) bits(name string, got []float32) {
	g.t.Helper()
	want, shape := g.Floats(name)
	if len(got) != len(want) {
		g.t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	bad := 0
	for i := range got {
		if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
			if bad++; bad <= 5 {
				row := i / (len(want) / shape[0])
				g.t.Errorf("%s: row %d, value %d is %v (%#08x), want %v (%#08x)", name, row, i%(len(want)/shape[0]),
					got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
			}
		}
	}
	if bad > 5 {
		g.t.Errorf("%s: %d values differ in all", name, bad)
	}
}

// code returns the stored code of W[n, k], as weight.go lays it out.
func code(w *linear.Weight, n, k int) int {
	kp := num.Pad(w.K, 64)
	if w.Format == linear.I8 {
		return int(int8(w.Data[n/16*kp*16+k/4*64+n%16*4+k%4]))
	}
	if w.Format == linear.I6 {
		line := w.Data[n/16*kp*12+k/16*192+n%16*4+k%4:] // 8 k, 8 k, the high bits of both
		return int(line[k%16/8*64]>>(k&4)&15 | line[128]>>(k%16/4*2)&3<<4)
	}
	return int(w.Data[n/16*kp*8+k/8*64+n%16*4+k%4] >> (k & 4) & 15)
}

// unpack returns the codes [N][K] of w, and of its groups, [N][G], zeros and gscales or scales.
func unpack(w *linear.Weight) (codes, zeros, scales []float32) {
	for n := range w.N {
		for k := range w.K {
			codes = append(codes, float32(code(w, n, k)))
		}
		for g := 0; w.Group > 0 && g*w.Group < w.K; g++ {
			i := (n/16*w.GroupCount()+g)*16 + n%16
			if w.Format == linear.I4F {
				zeros, scales = append(zeros, float32(w.Groups[i])), append(scales, w.GroupScale[i])
			} else {
				zeros, scales = append(zeros, float32(w.Groups[i]&15)), append(scales, float32(w.Groups[i]>>4+1))
			}
		}
	}
	return codes, zeros, scales
}

// checkPadding: weights beyond N and K have the value zero (numerics N4.5), and Sum is the sum of the rest.
func checkPadding(t *testing.T, w *linear.Weight) {
	t.Helper()
	for n := range num.Pad(w.N, 16) {
		sum := int32(0)
		for k := range num.Pad(w.K, 64) {
			zero, scale := 0, 1
			if w.Format != linear.I8 && k < w.GroupCount()*w.Group {
				b := int(w.Groups[(n/16*w.GroupCount()+k/w.Group)*16+n%16])
				switch zero = b; w.Format {
				case linear.I4:
					zero, scale = b&15, b>>4+1
				case linear.I6:
					zero, scale = b&63, b>>6+1
				}
			}
			v := (code(w, n, k) - zero) * scale
			if (n >= w.N || k >= w.K) && v != 0 {
				t.Fatalf("format %v [%d, %d]: padding at %d, %d has the value %d", w.Format, w.N, w.K, n, k, v)
			}
			if v < -128 || v > 127 {
				t.Fatalf("format %v: value %d at %d, %d is no int8", w.Format, v, n, k)
			}
			sum += int32(v)
		}
		if len(w.Sum) > 0 && w.Sum[n] != sum {
			t.Fatalf("format %v: Sum[%d] = %d, want %d", w.Format, n, w.Sum[n], sum)
		}
	}
}

// TestGoldenOwn: numerics N2 and N4 to the bit, on every implementation of the search.
func TestGoldenOwn(t *testing.T) {
	g := openGoldens(t, "quant.safetensors")
	for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512} {
		defer cpu.SetMax(isa)()
		for _, name := range []string{"own43", "own172"} {
			rows, shape := g.Floats(name + ".w")
			var imp []float32
			if _, ok := g.Tensor(name + ".h"); ok {
				imp, _ = g.Floats(name + ".h")
			}
			for _, group := range []int{0, 16, 32, 64, 128} {
				f, p := linear.I4, fmt.Sprintf("%s.i4g%d", name, group)
				if group == 0 {
					f, p = linear.I8, name+".i8"
				}
				w := linear.NewWeight(f, shape[0], shape[1], group)
				quantizeAll(w, rows, Options{Importance: imp})
				codes, zeros, gscales := unpack(w)
				g.bits(p+".codes", codes)
				g.bits(p+".scale", w.Scale[:w.N])
				if f == linear.I4 {
					g.bits(p+".zeros", zeros)
					g.bits(p+".gscales", gscales)
				}
				checkPadding(t, w)
			}
		}
	}
}

// TestGoldenTorchAO: numerics N5 from sources of every dtype.
func TestGoldenTorchAO(t *testing.T) {
	g := openGoldens(t, "quant.safetensors")
	for dtype, round := range map[string]func(float32) float32{
		"f32":  nil,
		"bf16": func(x float32) float32 { return num.FromBF16(num.BF16(x)) },
		"f16":  func(x float32) float32 { return num.FromF16(num.F16(x)) },
	} {
		name := "torchao." + dtype
		rows, shape := g.Floats(name + ".w")
		for _, group := range []int{0, 32, 64, 128} {
			f, p := linear.I4F, fmt.Sprintf("%s.i4g%d", name, group)
			if group == 0 {
				f, p = linear.I8, name+".i8"
			}
			w := linear.NewWeight(f, shape[0], shape[1], group)
			quantizeAll(w, rows, Options{Compat: CompatTorchAO, Source: round})
			codes, zeros, scales := unpack(w)
			g.bits(p+".codes", codes)
			if f == linear.I4F {
				g.bits(p+".zeros", zeros)
				g.bits(p+".scale", scales)
			} else {
				g.bits(p+".scale", w.Scale[:w.N])
			}
			checkPadding(t, w)
		}
	}
}

// TestGoldenActivations: numerics N3 on every ISA, rows one by one and together.
func TestGoldenActivations(t *testing.T) {
	g := openGoldens(t, "quant.safetensors")
	for isa := cpu.Generic; isa <= cpu.AMX; isa++ {
		if isa != cpu.Generic && !cpu.Has(isa) {
			t.Logf("%v: not on this machine", isa)
			continue
		}
		restore := cpu.SetMax(isa)
		for _, name := range []string{"act43", "act172"} {
			x, shape := g.Floats(name + ".x")
			m, k := shape[0], shape[1]
			for _, form := range []linear.ActForm{linear.A8, linear.A16} {
				a := linear.NewActs(form, m, k).Reset(m)
				a.Quantize(0, 1, x, k)
				a.Quantize(1, m, x[k:], k)
				codes := make([]float32, 0, m*k)
				for r := range m {
					for i := range k {
						q := int(a.Hi[r*a.Stride+i])
						if form == linear.A16 {
							q = q<<8 + int(a.Lo[r*a.Stride+i]) - 32768
						} else {
							q -= int(a.Zero[r])
						}
						codes = append(codes, float32(q))
					}
				}
				p := fmt.Sprintf("%s.%v", name, form)
				g.bits(p+".codes", codes)
				g.bits(p+".scale", a.Scale[:m])
			}
		}
		restore()
		if t.Failed() {
			t.Fatalf("on %v", isa)
		}
	}
}

// TestSearchIsNearBest holds the search of numerics N4.3 against all 256
// pairs of zero and gscale for the scale that it chose.
func TestSearchIsNearBest(t *testing.T) {
	const n, k = 16, 512
	for _, group := range []int{16, 32, 128} {
		for _, dof := range []int{0, 4} {
			rows := ktest.Student(rand.New(rand.NewPCG(3, uint64(dof))), n*k, dof)
			for i := 0; i < n*k; i += 3 * k { // some rows off centre
				for j := range k {
					rows[i+j] = rows[i+j]/4 + 0.02
				}
			}
			w := linear.NewWeight(linear.I4, n, k, group)
			got := quantizeAll(w, rows, Options{}).Noise
			best := 0.0
			for r := range n {
				for g := range k / group {
					best += bestError(rows[r*k+g*group:][:group], float64(w.Scale[r]))
				}
			}
			t.Logf("group %d, dof %d: %.4f times the least error", group, dof, got/best)
			if got < best*(1-1e-6) || got > best*1.04 {
				t.Errorf("group %d, dof %d: error %.6g, the least possible is %.6g", group, dof, got, best)
			}
		}
	}
}

func bestError(x []float32, s float64) float64 {
	best := math.Inf(1)
	for gscale := 1.0; gscale <= 16; gscale++ {
		for zero := 0.0; zero <= 15; zero++ {
			e := 0.0
			for _, v := range x {
				c := math.RoundToEven(float64(v) / (s * gscale))
				c = min(max(c, -zero, math.Ceil(-128/gscale)), 15-zero, math.Floor(127/gscale))
				d := float64(v) - c*gscale*s
				e += d * d
			}
			best = min(best, e)
		}
	}
	return best
}

// TestStaticEqualsTorch: a layer with static activations gives torch's codes
// for its input, the result of their integers, and, rounded to 8 bits as torch
// does between layers, torch's codes for that.
func TestStaticEqualsTorch(t *testing.T) {
	g := openGoldens(t, "static.safetensors")
	ktest.Levels(t, func(t *testing.T, _ cpu.ISA) {
		for _, name := range []string{"small", "wide", "positive", "negative"} {
			get := func(key string) []float32 { v, _ := g.Floats(name + "." + key); return v }
			x, w8, wscale, bias, y := get("x"), get("w8"), get("wscale"), get("bias"), get("y")
			n := len(wscale)
			k, m := len(w8)/n, len(y)/n
			q, out := get("qparams"), get("out.qparams")
			a := linear.NewActs(linear.A8, m, k).Reset(m)
			a.QuantizeStatic(0, m, x, k, q[0], int32(q[1]))
			for i, want := range get("codes") {
				if got := a.Hi[i/k*a.Stride+i%k]; float32(got) != want {
					t.Errorf("%s: %g has code %d, torch gives %g", name, x[i], got, want)
				}
			}
			w := linear.NewWeight(linear.I8, n, k, 0)
			codes := make([]int8, k)
			for r := range n {
				for i := range codes {
					codes[i] = int8(w8[r*k+i])
				}
				linear.PutRow(w, r, codes)
			}
			linear.FillSums(w)
			copy(w.Scale, wscale)
			w.Bias = make([]float32, num.Pad(n, 16))
			copy(w.Bias, bias)
			got := make([]float32, m*n)
			linear.Linear(linear.Sink{Y: got, Ld: n}, a, w, 0, w.Blocks(), new(linear.Scratch))
			theirs := get("out.codes")
			for i, v := range got {
				c := i % n
				// Five roundings, of the sum, two products, the bias' addition and y itself.
				if e := math.Abs(float64(v - y[i])); e > 5*0x1p-24*(math.Abs(float64(y[i]-bias[c]))+math.Abs(float64(bias[c]))) {
					t.Errorf("%s: y[%d] = %g, want %g", name, i, v, y[i])
				}
				r := float64(v) / float64(out[0])
				code := min(max(math.RoundToEven(r)+float64(out[1]), 0), 255)
				// torch's bias is rounded to a step of the integers: it may decide a near tie.
				near := math.Abs(math.Abs(r-math.RoundToEven(r))-0.5) < float64(q[0]*wscale[c]/out[0])+1e-3
				if d := math.Abs(code - float64(theirs[i])); d > 0 && (d > 1 || !near) {
					t.Errorf("%s: y[%d] / %g = %g has code %g, torch gives %g", name, i, out[0], r, code, theirs[i])
				}
			}
		}
	})
}
