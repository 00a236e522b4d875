package safetensors

import (
	"encoding/binary"
	"math"

	"qpt/internal/num"
)

// floats has the conversion of len(dst) little-endian numbers to float32, by
// dtype; nil where there is none.
var floats = [U64 + 1]func(dst []float32, src []byte){
	U8: func(dst []float32, src []byte) {
		for i, b := range src {
			dst[i] = float32(b)
		}
	},
	I8: func(dst []float32, src []byte) {
		for i, b := range src {
			dst[i] = float32(int8(b))
		}
	},
	I16: words(func(w uint16) float32 { return float32(int16(w)) }),
	U16: words(func(w uint16) float32 { return float32(w) }),
	F16: fromF16, BF16: fromBF16, F32: fromF32,
	I32: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])))
		}
	},
	U32: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = float32(binary.LittleEndian.Uint32(src[4*i:]))
		}
	},
	F64: quads(func(w uint64) float32 { return float32(math.Float64frombits(w)) }),
	I64: quads(func(w uint64) float32 { return float32(int64(w)) }),
	U64: quads(func(w uint64) float32 { return float32(w) }),
}

func words(f func(uint16) float32) func([]float32, []byte) {
	return func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = f(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
}

func quads(f func(uint64) float32) func([]float32, []byte) {
	return func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = f(binary.LittleEndian.Uint64(src[8*i:]))
		}
	}
}

// fromBF16 is num.FromBF16 on four at a time: one load, no bounds checks.
func fromBF16(dst []float32, src []byte) {
	for ; len(dst) >= 4 && len(src) >= 8; dst, src = dst[4:], src[8:] {
		w := binary.LittleEndian.Uint64(src)
		dst[0] = math.Float32frombits(uint32(w) << 16)
		dst[1] = math.Float32frombits(uint32(w) & 0xffff0000)
		dst[2] = math.Float32frombits(uint32(w>>32) << 16)
		dst[3] = math.Float32frombits(uint32(w>>32) & 0xffff0000)
	}
	for i := range dst {
		dst[i] = num.FromBF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// fromF16 is num.FromF16 with a short way for normal numbers.
func fromF16(dst []float32, src []byte) {
	for i := range dst {
		h := binary.LittleEndian.Uint16(src[2*i:])
		if e := h & 0x7c00; e != 0 && e != 0x7c00 {
			dst[i] = math.Float32frombits(uint32(h&0x8000)<<16 | uint32(h&0x7fff)<<13 + 112<<23)
		} else {
			dst[i] = num.FromF16(h)
		}
	}
}

func fromF32(dst []float32, src []byte) {
	for ; len(dst) >= 2 && len(src) >= 8; dst, src = dst[2:], src[8:] {
		w := binary.LittleEndian.Uint64(src)
		dst[0] = math.Float32frombits(uint32(w))
		dst[1] = math.Float32frombits(uint32(w >> 32))
	}
	if len(dst) > 0 {
		dst[0] = math.Float32frombits(binary.LittleEndian.Uint32(src))
	}
}
