package kernels

// Where a weight lives (see the formats in weight.go), and moves between rows
// and blocks for what is not hot: tests, repacking, embedding lookup.

// PutRow stores codes [K] as row n: w8 for I8, 0..15 for I4 and I4F, whose
// Groups must be there already: codes that pad the last group become its zero
// point. Scales are the caller's, FillSums comes last.
func PutRow(w *Weight, n int, codes []int8) {
	checkRow(w, n, len(codes))
	row := w.Data[n/16*blockBytes(w)+n%16*4:]
	if w.Format == I8 {
		for k, c := range codes {
			row[k/4*64+k%4] = byte(c)
		}
		return
	}
	zero, _ := splitGroup(w.Groups[(n/16*w.groups()+w.groups()-1)*16+n%16])
	for k := range w.grouped() {
		c := zero
		if k < len(codes) {
			c = byte(codes[k]) & 15
		}
		p := &row[k/8*64+k%4]
		shift := k & 4
		*p = *p&^(15<<shift) | c<<shift
	}
}

// Row reads row n back: codes (I4F: minus their zero point) times gscale, that is
// w8 for I8 and I4; W[n, k] = dst[k] * Scale[n], or * GroupScale for I4F. dst is [K].
func Row(w *Weight, n int, dst []int8) {
	checkRow(w, n, len(dst))
	row := w.Data[n/16*blockBytes(w)+n%16*4:]
	if w.Format == I8 {
		for k := range dst {
			dst[k] = int8(row[k/4*64+k%4])
		}
		return
	}
	groups := w.Groups[n/16*w.groups()*16+n%16:]
	for g := 0; g*w.Group < len(dst); g++ {
		zero, gscale := splitGroup(groups[g*16])
		for k := g * w.Group; k < min((g+1)*w.Group, len(dst)); k++ {
			dst[k] = int8((row[k/8*64+k%4]>>(k&4)&15 - zero) * gscale)
		}
	}
}

// splitGroup splits a byte of Groups. In I4F it is a zero point up to 15, so gscale is 1.
func splitGroup(b byte) (zero, gscale byte) { return b & 15, b>>4 + 1 }

// FillSums computes Sum from the packed weights, padding rows included.
func FillSums(w *Weight) {
	buf := make([]byte, Pad(w.K, 64)*16)
	for b := range w.Blocks() {
		block := w.Data[b*blockBytes(w) : (b+1)*blockBytes(w)]
		if w.Format == I4 {
			expandBlock(w, b, buf)
			block = buf
		}
		sum := (*[16]int32)(w.Sum[16*b:])
		*sum = [16]int32{}
		for i, v := range block {
			sum[i/4%16] += int32(int8(v))
		}
	}
}

// blockBytes is the size in Data of 16 columns of an integer format.
func blockBytes(w *Weight) int {
	if w.Format == I8 {
		return Pad(w.K, 64) * 16
	}
	return Pad(w.K, 64) * 8
}

func checkRow(w *Weight, n, k int) {
	if w.Format != I8 && w.Format != I4 && w.Format != I4F {
		panic("kernels: row of a weight that is not integer")
	}
	if n < 0 || n >= w.N || k != w.K {
		panic("kernels: row outside the weight or not of its length")
	}
}

// expandBlock writes block b of an I4 or I4F weight as an I8 block
// [Kp/4][16][4]: (code - zero) * gscale, zeros beyond the groups.
func expandBlock(w *Weight, b int, dst []byte) {
	data := w.Data[b*blockBytes(w):]
	end := w.grouped()
	for g := 0; g*w.Group < end; g++ {
		bytes := w.Groups[(b*w.groups()+g)*16:][:16]
		for k := g * w.Group; k < min((g+1)*w.Group, end); k += 4 {
			src, out := data[k/8*64:][:64], dst[k*16:][:64]
			for i, v := range src {
				zero, gscale := splitGroup(bytes[i/4])
				out[i] = (v>>(k&4)&15 - zero) * gscale
			}
		}
	}
	clear(dst[end*16 : Pad(w.K, 64)*16])
}
