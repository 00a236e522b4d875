package attn

import "unsafe"

// turn writes keys [n][32][hd] as values, F32 or else BF16; columns from valDim on stay as they are, for what is made of
// them belongs to no result.
func (l *layout) turn(values, keys []byte) {
	words := unsafe.Slice((*uint32)(unsafe.Pointer(&keys[0])), len(keys)/4)
	to := unsafe.Slice((*uint32)(unsafe.Pointer(&values[0])), len(keys)/4)
	if l.Type == KVF32 {
		for n := 32 * l.hd; len(words) > 0; words, to = words[n:], to[n:] {
			for half := range 2 { // [hd][16 positions] to [hd/16][32 positions][16 columns]
				from := words[half*16*l.hd:]
				for d := range l.valDim {
					y := to[d/16*512+half*256+d%16:][:256-d%16]
					for p, x := range from[d*16:][:16] {
						y[p*16] = x
					}
				}
			}
		}
		return
	}
	for n := 16 * l.hd; len(words) > 0; words, to = words[n:], to[n:] {
		for half := range 2 { // [hd/2][16 positions] of 2 columns to [hd/16][16 of 2 positions][16 columns]
			from := words[half*8*l.hd:]
			for d := 0; d < l.valDim; d += 2 {
				x, y := (*[16]uint32)(from[d*8:]), to[d/16*256+half*128+d%16:][:128-d%16]
				for p := 0; p < 8; p++ {
					a, b := x[2*p], x[2*p+1]
					y[p*16], y[p*16+1] = a&0xffff|b<<16, a>>16|b&0xffff0000
				}
			}
		}
	}
}
