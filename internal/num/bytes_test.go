package num

import (
	"bytes"
	"math"
	"testing"
)

func TestFinite(t *testing.T) {
	for x, want := range map[float64]bool{0: true, math.MaxFloat64: true, math.Inf(1): false, math.Inf(-1): false} {
		if Finite(x) != want {
			t.Errorf("Finite(%g) is %v", x, !want)
		}
	}
	if Finite(float32(math.NaN())) || !Finite(float32(-1e-45)) {
		t.Error("Finite of float32")
	}
}

func TestBytesOf(t *testing.T) {
	if b := BytesOf([]int32{1, -2}); !bytes.Equal(b, []byte{1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff}) {
		t.Errorf("% x", b)
	}
	if b := BytesOf([]float32{}); len(b) != 0 {
		t.Errorf("%d bytes of nothing", len(b))
	}
}
