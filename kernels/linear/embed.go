package linear

import (
	"encoding/binary"
	"fmt"
	"math"

	"qpt/internal/num"
)

// EmbedRow writes row id of w to dst [K], dequantized: an embedding table is
// stored as a weight [V, K] of any format.
func EmbedRow(dst []float32, w *Weight, id int) {
	if len(dst) != w.K || id < 0 || id >= w.N {
		panic(fmt.Sprintf("linear: EmbedRow: row %d of [%d, %d] into %d values", id, w.N, w.K, len(dst)))
	}
	if w.Format == Codes {
		embedCoded(dst, w, id)
		return
	}
	n := id % 16
	block := w.Data[id/16*(len(w.Data)/(num.Pad(w.N, 16)/16)):]
	switch w.Format {
	case F32: // [kp][16]
		for k := range dst {
			dst[k] = math.Float32frombits(binary.LittleEndian.Uint32(block[(k*16+n)*4:]))
		}
	case BF16: // [kp/2][16][2]
		pairs := block[4*n:]
		for ; len(dst) > 1 && len(pairs) >= 64; dst, pairs = dst[2:], pairs[64:] {
			pair := binary.LittleEndian.Uint32(pairs)
			dst[0], dst[1] = math.Float32frombits(pair<<16), math.Float32frombits(pair&0xffff0000)
		}
		for k := range dst { // the last one or two
			dst[k] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(pairs[2*k:])) << 16)
		}
	case I8: // [kp/4][16][4]
		for k := range dst {
			dst[k] = float32(int8(block[k/4*64+n*4+k%4])) * w.Scale[id]
		}
		for i, k := range w.Wild {
			dst[k] = w.WildData[w.WildAt(id, i)]
		}
	case I4, I4F, I6: // groups [G][16]
		block = block[4*n:]
		groups := (w.K + w.Group - 1) / w.Group
		base := id/16*groups*16 + n
		for k := range dst {
			g := base + k/w.Group*16
			zero, gscale := w.Format.Split(w.Groups[g])
			v := float32(int8((w.Format.code(block, k) - zero) * gscale))
			if w.Format == I4F {
				dst[k] = v * w.GroupScale[g]
				continue
			}
			dst[k] = v * w.Scale[id]
		}
	default:
		panic(fmt.Sprintf("linear: EmbedRow: format %d", w.Format))
	}
}
