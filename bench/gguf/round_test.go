package gguf

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The formats that are also written give the same numbers as their bytes.
func TestRoundEqualsBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		x := make([]float32, 96)
		for i := range x {
			x[i] = float32(r.NormFloat64() * math.Exp(3*r.NormFloat64()))
		}
		for typ, name := range map[Type]string{Q4_0: "q4_0", Q8_0: "q8_0"} {
			got := slices.Clone(x)
			Round(name, got)
			if want := decode(typ, typ.put(nil, x)); !slices.Equal(got, want) {
				t.Fatalf("%s: %v, want %v", name, got, want)
			}
		}
	}
}

// Numbers that a format holds stay as they are, short blocks are padded; SQNR of Gaussian weights; sizes.
func TestRound(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		format string
		exact  func(i int) float32
		sqnr   float64
	}{
		{"q4_0", func(i int) float32 { return float32(i%16 - 8) }, 21.3},
		{"q4_1", func(i int) float32 { return float32(i%16) - 3 }, 22.1},
		{"q4_k", func(i int) float32 { return float32(i/32%2*2+1)*21*float32(i%16) - 42*float32(i/32%4) }, 22.9},
		{"q6_k", func(i int) float32 { return float32(int(1)<<(i/16%3)) * float32(i%16*4-32) }, 35},
		{"q8_0", func(i int) float32 { return float32(i%32*8 - 127) }, 45.4},
	} {
		x := make([]float32, 512)
		for i := range x {
			x[i] = c.exact(i)
		}
		got := slices.Clone(x)
		Round(c.format, got)
		for i := range x {
			if math.Abs(float64(got[i]-x[i])) > 1e-3 {
				t.Errorf("%s: %d: %v became %v", c.format, i, x[i], got[i])
				break
			}
		}
		var signal, noise float64
		for range 20 {
			x := make([]float32, 2048+5)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			got := slices.Clone(x)
			Round(c.format, got)
			for i := range x {
				signal += float64(x[i]) * float64(x[i])
				noise += float64(got[i]-x[i]) * float64(got[i]-x[i])
			}
		}
		db := 10 * math.Log10(signal/noise)
		t.Logf("%s: %.2f dB, %.4f bits", c.format, db, Bits(c.format, 2048))
		if math.Abs(db-c.sqnr) > 0.2 {
			t.Errorf("%s: %.2f dB, want about %v", c.format, db, c.sqnr)
		}
		zero := make([]float32, 40)
		if Round(c.format, zero); slices.ContainsFunc(zero, func(v float32) bool { return v != 0 }) {
			t.Errorf("%s: zeros became %v", c.format, zero)
		}
	}
	for format, bits := range map[string]float64{"q4_0": 4.5, "q4_1": 5, "q4_k": 4.5, "q6_k": 6.5625, "q8_0": 8.5} {
		if got := Bits(format, 2048); got != bits {
			t.Errorf("%s: %v bits, want %v", format, got, bits)
		}
	}
}
