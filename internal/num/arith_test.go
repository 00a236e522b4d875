package num

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFMA32 holds FMA32 against exact arithmetic: ties and near ties, subnormal results, cancellation.
func TestFMA32(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	slow := 0
	for i := range 300000 {
		x, y := float32(rng.NormFloat64()), float32(rng.NormFloat64())
		z := float32(rng.NormFloat64() * math.Exp2(float64(rng.IntN(60)-30)))
		switch i % 4 {
		case 1: // few bits: exact ties; one more far below: near ties
			x, y = float32(1+rng.IntN(1<<12)), float32(1+2*rng.IntN(1<<11))*0x1p-25
			z = float32(rng.IntN(1<<24)) / 2
			if rng.IntN(2) == 0 {
				x, y = 1+0x1p-23, (1+0x1p-23)*0x1p-24
				z = 1 + float32(rng.IntN(1<<23))*0x1p-23
			}
		case 2:
			x *= 0x1p-70
			y *= 0x1p-70
			z *= 0x1p-140
		case 3:
			z = -x * y
		}
		s := float64(x)*float64(y) + float64(z)
		if b := math.Float64bits(s); b<<35 == 1<<63 || b<<1 < 897<<53 {
			slow++
		}
		bx := new(big.Float).SetPrec(2000).SetFloat64(float64(x))
		bx.Mul(bx, big.NewFloat(float64(y)).SetPrec(2000))
		want, _ := bx.Add(bx, big.NewFloat(float64(z)).SetPrec(2000)).Float32()
		if got := FMA32(x, y, z); got != want {
			t.Fatalf("%v*%v + %v = %v, want %v", x, y, z, got, want)
		}
	}
	if slow < 1000 {
		t.Errorf("only %d cases of the slow path", slow)
	}
}
