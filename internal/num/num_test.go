package num

import (
	"math"
	"math/rand/v2"
	"testing"
)

// formats are the two 16-bit formats: exp and frac are the bits of exponent and fraction.
var formats = []struct {
	name      string
	exp, frac int
	narrow    func(float32) uint16
	widen     func(uint16) float32
}{
	{"bf16", 8, 7, BF16, FromBF16},
	{"f16", 5, 10, F16, FromF16},
}

// value is what a pattern means by IEEE 754.
func value(h uint16, exp, frac int) float64 {
	e, m := int(h>>frac)&(1<<exp-1), float64(h&(1<<frac-1))
	bias := 1<<(exp-1) - 1
	v := math.Ldexp(m, 1-bias-frac)
	switch {
	case e == 1<<exp-1 && m == 0:
		v = math.Inf(1)
	case e == 1<<exp-1:
		return math.NaN()
	case e > 0:
		v = math.Ldexp(m+float64(int(1)<<frac), e-bias-frac)
	}
	return math.Copysign(v, float64(1)-float64(h>>15)*2)
}

// TestAllPatterns: every pattern widens to its value and comes back; NaN stays a NaN of its sign.
func TestAllPatterns(t *testing.T) {
	for _, f := range formats {
		for i := range 1 << 16 {
			h := uint16(i)
			x, want := f.widen(h), value(h, f.exp, f.frac)
			back := f.narrow(x)
			if want != want {
				if x == x || !math.IsNaN(value(back, f.exp, f.frac)) || back>>15 != h>>15 {
					t.Fatalf("%s %#04x: NaN widens to %v and comes back as %#04x", f.name, h, x, back)
				}
				continue
			}
			if float64(x) != want || math.Signbit(float64(x)) != math.Signbit(want) || back != h {
				t.Fatalf("%s %#04x: widens to %v, want %v; comes back as %#04x", f.name, h, x, want, back)
			}
		}
	}
}

// TestBetween: half-way between two neighbours the even one wins, one float32
// away from there the nearer one. Infinity is the neighbour of the largest number.
func TestBetween(t *testing.T) {
	for _, f := range formats {
		inf := 1<<(f.exp+f.frac) - 1<<f.frac
		for i := range inf {
			lo, hi := uint16(i), uint16(i+1)
			a, b := value(lo, f.exp, f.frac), value(hi, f.exp, f.frac)
			if i+1 == inf {
				b = a + math.Ldexp(1, 1<<(f.exp-1)-1-f.frac)
			}
			even := lo
			if lo&1 != 0 {
				even = hi
			}
			mid := float32((a + b) / 2)
			if float64(mid) != (a+b)/2 {
				t.Fatalf("%s %#04x: the middle is no float32", f.name, lo)
			}
			for _, c := range []struct {
				x    float32
				want uint16
			}{{mid, even}, {math.Nextafter32(mid, 0), lo}, {math.Nextafter32(mid, math.MaxFloat32), hi}} {
				if math.IsInf(float64(mid), 0) {
					t.Fatalf("%s %#04x: the middle overflows", f.name, lo)
				}
				if c.x == mid && c.want != even { // the largest float32 has no next one
					continue
				}
				for _, sign := range []uint16{0, 1 << 15} {
					x := math.Float32frombits(math.Float32bits(c.x) | uint32(sign)<<16)
					if got := f.narrow(x); got != c.want|sign {
						t.Fatalf("%s: %v (%#08x) gives %#04x, want %#04x", f.name, x, math.Float32bits(x), got, c.want|sign)
					}
				}
			}
		}
	}
}

// TestSpecial: what lies outside the range of finite results.
func TestSpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), math.Float32frombits(0x7f800001) // a payload that narrowing cuts off
	for _, c := range []struct {
		x         float32
		bf16, f16 uint16
	}{
		{inf, 0x7f80, 0x7c00}, {-inf, 0xff80, 0xfc00},
		{math.MaxFloat32, 0x7f80, 0x7c00}, {-math.MaxFloat32, 0xff80, 0xfc00},
		{nan, 0x7fc0, 0x7e00}, {-nan, 0xffc0, 0xfe00},
		{math.SmallestNonzeroFloat32, 0, 0}, {-math.SmallestNonzeroFloat32, 0x8000, 0x8000},
		{65504, 0x4780, 0x7bff}, {65520, 0x4780, 0x7c00}, {0x1p-24, 0x3380, 1}, {0x1p-25, 0x3300, 0}, {0x1.8p-24, 0x33c0, 2},
	} {
		if got := BF16(c.x); got != c.bf16 {
			t.Errorf("BF16(%v) = %#04x, want %#04x", c.x, got, c.bf16)
		}
		if got := F16(c.x); got != c.f16 {
			t.Errorf("F16(%v) = %#04x, want %#04x", c.x, got, c.f16)
		}
	}
}

// TestRoundEven: all halves and quarters, their neighbours, and numbers at random, to the ends of the range.
func TestRoundEven(t *testing.T) {
	check := func(x float32) {
		if got, want := RoundEven(x), math.RoundToEven(float64(x)); float64(got) != want {
			t.Fatalf("RoundEven(%v) = %d, want %v", x, got, want)
		}
	}
	for i := -1 << 19; i <= 1<<19; i++ {
		x := float32(i) / 4
		check(x)
		check(math.Nextafter32(x, -1<<22))
		check(math.Nextafter32(x, 1<<22))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1 << 18 {
		check((rng.Float32() - 0.5) * (1 << 23))
	}
	end := math.Nextafter32(1<<22, 0)
	for _, x := range []float32{end, -end, end - 1, 0, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32} {
		check(x)
	}
}

// TestSum32: torch 2.15 gave these sums of rows of (7919 i + 13) mod 256 times 0.0173.
func TestSum32(t *testing.T) {
	for _, c := range []struct {
		n    int
		bits uint32
	}{
		{1, 0x3e664c30}, {2, 0x4092b43a}, {3, 0x410a6667}, {5, 0x417e6114}, {6, 0x4198a7bc}, {7, 0x41afc49c}, {8, 0x41c4872b}, {9, 0x41d6ef69}, {16, 0x420af41f}, {31, 0x428b05d6}, {32, 0x4293cfaa}, {33, 0x429c02eb},
		{49, 0x42e9cace}, {63, 0x430ff879}, {64, 0x4313cfab}, {100, 0x43637eb9}, {196, 0x43d6a41f}, {256, 0x440d2b02}, {511, 0x448d1a67}, {512, 0x448d2b02}, {513, 0x448d3234}, {784, 0x44d81824}, {1024, 0x450d2b02},
		{3136, 0x45d85f01}, {12544, 0x46d829db}, {131077, 0x488d2cff},
	} {
		x := make([]float32, c.n)
		for i := range x {
			x[i] = float32((i*7919+13)%256) * 0.0173
		}
		if got := math.Float32bits(Sum32(x)); got != c.bits {
			t.Errorf("%d numbers: %#x, want %#x", c.n, got, c.bits)
		}
	}
	if Sum32(nil) != 0 {
		t.Error("the sum of nothing")
	}
}
