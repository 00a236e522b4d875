package safetensors

import (
	"encoding/binary"
	"math"
	"testing"

	"qpt/internal/num"
)

// TestConvert16 compares every 16-bit pattern with internal/num, at every
// distance from the end, since the loops take several at once.
func TestConvert16(t *testing.T) {
	for _, c := range []struct {
		dtype DType
		want  func(uint16) float32
	}{
		{BF16, num.FromBF16},
		{F16, num.FromF16},
		{I16, func(w uint16) float32 { return float32(int16(w)) }},
		{U16, func(w uint16) float32 { return float32(w) }},
	} {
		const n = 1 << 16
		src := make([]byte, 2*n)
		for i := range n {
			binary.LittleEndian.PutUint16(src[2*i:], uint16(i))
		}
		dst := make([]float32, n)
		for skip := range 5 {
			clear(dst)
			floats[c.dtype](dst[skip:], src[2*skip:])
			for i := skip; i < n; i++ {
				if got, want := math.Float32bits(dst[i]), math.Float32bits(c.want(uint16(i))); got != want {
					t.Fatalf("%v %#04x: got %#08x, want %#08x", c.dtype, i, got, want)
				}
			}
		}
	}
}

func TestConvertWide(t *testing.T) {
	nan := math.Float32frombits(0x7fc12345)
	f32 := []float32{0, -1.5, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(-1)), nan, 7}
	for n := range f32 {
		var src []byte
		for _, x := range f32[:n] {
			src = binary.LittleEndian.AppendUint32(src, math.Float32bits(x))
		}
		dst := make([]float32, n)
		floats[F32](dst, src)
		for i := range dst {
			if math.Float32bits(dst[i]) != math.Float32bits(f32[i]) {
				t.Errorf("F32 %v: got %v", f32[i], dst[i])
			}
		}
	}
	for _, c := range []struct {
		dtype DType
		bits  uint64
		want  float32
	}{
		{F64, math.Float64bits(1 + 1.0/(1<<24)), 1}, // a tie, to even
		{F64, math.Float64bits(1 + 3.0/(1<<24)), 1 + 1.0/(1<<22)},
		{F64, math.Float64bits(1e300), float32(math.Inf(1))},
		{F64, math.Float64bits(-0.5), -0.5},
		{I64, 1<<64 - 3, -3},
		{I64, 1<<24 + 1, 1 << 24}, // a tie, to even
		{U64, 1<<64 - 1, 1 << 64},
		{I32, 1<<32 - 2, -2},
		{I32, 1<<24 + 3, 1<<24 + 4},
		{U32, 1<<32 - 1, 1 << 32},
		{I8, 0x80, -128},
		{U8, 0x80, 128},
	} {
		var dst [1]float32
		floats[c.dtype](dst[:], binary.LittleEndian.AppendUint64(nil, c.bits)[:c.dtype.Bits()/8])
		if dst[0] != c.want {
			t.Errorf("%v %#x: got %v, want %v", c.dtype, c.bits, dst[0], c.want)
		}
	}
}

func BenchmarkConvert(b *testing.B) {
	dst := make([]float32, 1<<16)
	for _, d := range []DType{BF16, F16, F32, F64} {
		src := make([]byte, len(dst)*d.Bits()/8)
		for i := range src {
			src[i] = byte(i*7)&0x1f | 0x20 // numbers as weights are: no zeros, no infinities
		}
		b.Run(d.String(), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				floats[d](dst, src)
			}
		})
	}
}
